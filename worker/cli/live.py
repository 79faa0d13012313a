"""What the API knows of a mail now, for `worker show --live`: two requests for each account at most."""

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from worker.api.bodies import WhereMessage
from worker.api.pacing import Urgency
from worker.cli.client import open_client, wait_for
from worker.cli.life import FoundMail, describe_mail
from worker.errors import NotFound, Unsent
from worker.language.reading import Unreadable
from worker.ledger.lives import MailSearch, SeenMail, is_wanted
from worker.ledger.values import Reading
from worker.observations import has_scan_time, read_message, read_names
from worker.wording import count

if TYPE_CHECKING:
    from worker.api.client import Client
    from worker.settings import Account, Settings

PAGE = 1000
"""Mail of one search: as much as the API gives at once."""


class LogLine(Struct, frozen=True, kw_only=True):
    """One operation on the mail after its delivery."""

    operation: str
    completed_at: datetime | None
    status: str
    folder: str
    requested_by: str


class LiveMail(FoundMail, frozen=True, kw_only=True):
    """A mail as the API shows it now."""

    verdict: str
    quarantined: bool
    delivery_status: tuple[str, ...]
    operations: tuple[str, ...]
    log: tuple[LogLine, ...]


class LiveAnswer(Struct, frozen=True, kw_only=True):
    """The mail that the API finds, and all about it when it is only one."""

    found: tuple[FoundMail, ...]
    mail: LiveMail | None


def describe_cost(accounts: int) -> str:
    """Say what asking costs, before anybody asks."""
    asked = count(2 * accounts, "request")
    return (
        f"--live makes {asked} at most, of the budget that the worker uses too: a search, or a read of the mail, and "
        "its action log. A search that the API still works on is asked for again."
    )


async def ask(settings: "Settings", search: MailSearch, known: FoundMail | None, now: float) -> LiveAnswer:
    """Ask the API of every account for the mail that is looked for, or for the one that the ledger knows."""
    found: list[FoundMail] = []
    lives: list[LiveMail] = []
    for account in settings.accounts():
        if known and account.id != known.account:
            continue
        async with open_client(settings, account) as client:
            readings = await _find(client, account, search, known, now)
            found += [_describe(account.id, reading) for reading in readings]
            lives += [await _read(client, account, readings[0])] if len(readings) == 1 else []
    return LiveAnswer(found=tuple(found), mail=lives[0] if len(found) == 1 else None)


async def _find(
    client: "Client", account: "Account", search: MailSearch, known: FoundMail | None, now: float
) -> list[Reading]:
    """Return what the API finds: by its id, if that is known, otherwise by one page of a search."""
    id_ = known.id if known else search.id.strip()
    if known or has_scan_time(id_):
        try:
            return [read_message(await wait_for(client.investigate.get(id_)), now)]
        except (NotFound, Unsent, Unreadable):
            return []
    where, since = _make_conditions(search), search.since
    asking = client.investigate.search(
        where, start=since, end=now, urgency=Urgency.FACTS, detections_only=False, per_page=PAGE
    )
    page = await wait_for(asking)
    readings = [reading for raw in page.records if (reading := _try_reading(raw, now))]
    return [one for one in readings if is_wanted(_name(account.id, one), search)]


def _make_conditions(search: MailSearch) -> WhereMessage:
    """Return the conditions of a search; of ids, the API looks for alert ids and Message-IDs only."""
    id_ = search.id.strip()
    return WhereMessage(
        alert_id=id_ if "-" in id_ and "@" not in id_ else None,
        message_id=id_ if "@" in id_ else None,
        sender=search.sender.strip() or None,
        recipient=search.recipient.strip() or None,
        subject=search.subject or None,
    )


def _try_reading(raw: msgspec.Raw, now: float) -> Reading | None:
    try:
        return read_message(raw, now)
    except Unreadable:
        return None


def _name(account: str, reading: Reading) -> SeenMail:
    names = read_names(reading.raw)
    return SeenMail(
        account=account,
        time=reading.thing.time,
        id=reading.thing.id,
        **msgspec.structs.asdict(names),
    )


def _describe(account: str, reading: Reading) -> FoundMail:
    return describe_mail(_name(account, reading))


async def _read(client: "Client", account: "Account", reading: Reading) -> LiveMail:
    """Describe the only mail that was found, with its action log."""
    log = await wait_for(client.investigate.action_log(reading.thing.id))
    return LiveMail(
        **msgspec.structs.asdict(_describe(account.id, reading)),
        verdict=reading.verdict,
        quarantined=bool(reading.look and reading.look.quarantined),
        delivery_status=reading.look.status if reading.look else (),
        operations=reading.look.operations if reading.look else (),
        log=tuple(
            LogLine(
                operation=line.operation,
                completed_at=line.completed_at,
                status=line.status,
                folder=line.folder,
                requested_by=line.requested_by,
            )
            for line in log.entries
        ),
    )
