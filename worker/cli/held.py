"""`worker held`: events that rules cannot judge yet, and what is in the way; they are tried again now on demand."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from worker import wording
from worker.cli import context, output
from worker.errors import SettingsError

if TYPE_CHECKING:
    from worker.ledger.ledger import Ledger
    from worker.ledger.values import Held
    from worker.settings import Settings

COLUMNS = ("what", "rule", "why", "held for", "next try")
HELD = 20
"""Rows without --limit."""
ALL = -1
Limit = Annotated[
    int | None, typer.Option("--limit", metavar="COUNT", min=1, help="Most rows. Default: 20, all with --json.")
]


def held(
    what: Annotated[str, typer.Argument(metavar="retry", help="Try held events again now. Default: list them.")] = "",
    id_: Annotated[
        str, typer.Argument(metavar="ID", help="Id of the mail, or of what else is to be tried. Default: all.")
    ] = "",
    *,
    limit: Limit = None,
    because: context.Because = "",
    who: context.As = "",
    as_json: context.Json = False,
) -> None:
    """List the events that wait for a fact, a field, or for a rule to be mended, newest first.

    Shows the mail, the rules that cannot judge it yet, what they need and why it cannot be had, since when, and when it
    is tried again. retry does so now; a record of which a field cannot be read is then read again from the API. After
    24 hours the event is put before a person, in `worker waiting`.

    Example: worker held retry
    """
    if what not in {"", "retry"}:
        raise SettingsError("write `worker held`, or `worker held retry [ID]`")
    if what:
        settings = context.read_settings()
        context.wait(_retry(settings, id_, context.find_person(settings, who, because)))
        return
    most = limit or (ALL if as_json else HELD)
    rows = context.wait(_list_held(context.read_settings(), most if most == ALL else most + 1))
    if as_json:
        output.print_json(rows[:most] if limit else rows)
        return
    output.print_rows(map(_describe_row, rows[:most]), COLUMNS, as_json=False, empty="no event is held")
    if len(rows) > most:
        typer.echo(f"\nmore events are held: --limit lists more than {most:,}")


async def _retry(settings: "Settings", id_: str, person: context.Person) -> None:
    """Order that held events be tried again."""
    async with context.open_ledger(settings) as (ledger, accounts):
        found = sum([await want_held(ledger, account, id_, person) for account in accounts])
    if not found:
        raise SettingsError(f"no event {f'of {id_!r} ' if id_ else ''}is held: `worker held` lists what is")
    typer.echo(f"Tries again: {wording.count(found, 'event')}. {person.describe_order()}")


async def want_held(
    ledger: "Ledger", account: str, id_: str, person: context.Person, *, unread_only: bool = False
) -> int:
    """Order that the held events of an account be tried again that have this id; all for an empty one."""
    events = [one for one in await ledger.list_held(account) if id_ in {"", one.sight.reading.thing.id}]
    covers = [one.sight.key for one in events if one.pending.fields or not unread_only]
    if covers:
        await ledger.order(account, "retry held", id_, person.who, person.because, time.time(), covers=covers)
    return len(covers)


async def _list_held(settings: "Settings", limit: int) -> list[output.Row]:
    async with context.read_ledger(settings) as (ledger, accounts):
        return [_describe(account, item) for account in accounts for item in await ledger.list_held(account, limit)]


def _describe(account: str, item: "Held") -> output.Row:
    """Describe an event for programs; what its rules need, where it is known which."""
    from worker.judging.judge import GIVEN_UP
    from worker.judging.people import read_people

    reading, asks = item.sight.reading, item.pending.asks
    people = read_people(reading)
    return {
        "account": account,
        "kind": reading.thing.kind,
        "id": reading.thing.id,
        "sender": people.sender,
        "recipients": people.client_recipients,
        "subject": people.subject,
        "rules": [ask.rule for ask in asks],
        "facts": sorted({fact for ask in asks for fact in ask.facts}),
        "why": item.why,
        "since": output.to_datetime(item.since),
        "tries": item.tries,
        "next_at": output.to_datetime(item.next_at),
        "given_up_at": output.to_datetime(item.since + GIVEN_UP),
    }


def _describe_row(row: output.Row) -> output.Row:
    """Describe an event for people."""
    to = "; ".join(row["recipients"][:2])
    mail = [f"from {row['sender']}" if row["sender"] else "", f"to {to}" if to else "", row["subject"]]
    return {
        "what": [f"{row['kind']} {row['id']}", *filter(None, mail)],
        "rule": row["rules"] or ["all rules"],
        "why": row["why"] if row["tries"] else f"not tried yet: {row['why'] or 'new'}",
        "held for": wording.format_duration(max(0.0, time.time() - row["since"].timestamp())),
        "next try": _describe_moment(row["next_at"].timestamp() - time.time() if row["next_at"] else 0.0),
    }


def _describe_moment(seconds: float) -> str:
    return f"in {wording.format_duration(seconds)}" if seconds > 0 else "now"
