"""`worker check --live`: whether this credential can do what the rules ask. Nothing is changed."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from worker.api import ApiClock, Client, Urgency
from worker.cli import context
from worker.cli.check_reading import find_drift
from worker.cli.client import open_client
from worker.cli.findings import Finding, Refusals, ask
from worker.errors import NotEntitled, NotFound, Rejected, ServerFault, StoreError, Unauthorised
from worker.language.rules import APPROVE, OBSERVE
from worker.ledger.presence import Memories

if TYPE_CHECKING:
    from worker.language.rules import Mode, RuleInfo
    from worker.settings import Settings

NOTHING: dict[str, list[object]] = {"deletes": [], "patches": [], "puts": [], "posts": []}
"""An empty batch: without effect, and refused where the permission to write is missing."""


class DomainProvider(msgspec.Struct, frozen=True):
    """Where the mailboxes of a domain are."""

    inbox_provider: str | None = None


AT_GOOGLE = {
    "RecoverableItemsDeletions": Finding(
        "problems",
        "all mailboxes are Google's, which have no RecoverableItemsDeletions: move mail to DeletedItems instead",
    ),
    "RecoverableItemsPurges": Finding(
        "remarks",
        "all mailboxes are Google's, and it is not documented whether those have RecoverableItemsPurges: "
        "they do have DeletedItems",
    ),
}
"""Findings about folders that not every mailbox has."""
ONLY_READS = "the token can read but not change anything"
WRITES_WANTED = Finding(
    "problems", f"{ONLY_READS}: give it the permission Cloud Email Security: Write, or keep WORKER_CEILING at observe"
)
WRITES_WANTED_LATER = Finding(
    "remarks",
    f"{ONLY_READS}, which is enough to observe: "
    "give it the permission Cloud Email Security: Write before WORKER_CEILING is approve or enforce",
)


READING_REFUSED: Refusals = {
    NotFound: Finding(
        "problems",
        "there is no such account there: check CLOUDFLARE_ACCOUNT_ID, and CLOUDFLARE_BASE_URL, "
        "which ends with /client/v4 at Cloudflare",
    ),
    NotEntitled: Finding("problems", "Email Security is not in this account's subscription"),
    Unauthorised: Finding(
        "problems",
        "the API does not let this credential read Email Security: check CLOUDFLARE_API_TOKEN, "
        "CLOUDFLARE_ACCOUNT_ID, and that the token has the permission Cloud Email Security: Read or Write",
    ),
}


NOBODY_IS_TOLD = "no channel has an address, so nobody is told when a decision waits for a person"


def check_calling(settings: "Settings", rules: "Sequence[RuleInfo]") -> Finding | None:
    """Say that nobody would be called to what waits: a problem once something waits by plan, before it a remark."""
    if settings.channels:
        return None
    asking = [rule.name for rule in rules if rule.mode is APPROVE]
    if settings.ceiling is APPROVE:
        return Finding("problems", f"{NOBODY_IS_TOLD}, and WORKER_CEILING is approve: set WORKER_NOTIFY_APPROVALS")
    if settings.ceiling > APPROVE and asking:
        return Finding("problems", f"{NOBODY_IS_TOLD}, as {', '.join(asking)} asks: set WORKER_NOTIFY_APPROVALS")
    later = "before WORKER_CEILING is raised" if settings.ceiling <= OBSERVE else "before a rule asks for approval"
    return Finding("remarks", f"{NOBODY_IS_TOLD}: set WORKER_NOTIFY_APPROVALS {later}")


async def probe(settings: "Settings", rules: "Sequence[RuleInfo]") -> list[Finding]:
    """Ask about every account and return the findings: 16 calls an account, one more per thousand domains."""
    findings: list[Finding] = []
    remembered = await _recall_fields(settings)
    for account in settings.accounts():
        clock = ApiClock()
        async with open_client(settings, account, clock) as client:
            found = await _check_account(client, clock, rules, settings.ceiling, remembered.get(account.id, {}))
        findings += [Finding(kind, f"account {account.id}: {says}") for kind, says in found]
    return findings


async def _recall_fields(settings: "Settings") -> dict[str, Memories]:
    """Return which fields records had, by account, as far as there is a ledger that can be read."""
    if not context.has_ledger(settings):
        return {}
    try:
        async with context.read_ledger(settings) as (ledger, accounts):
            return {account: await ledger.read_presence(account) for account in accounts}
    except StoreError:
        return {}


async def _check_account(
    client: Client, clock: ApiClock, rules: "Sequence[RuleInfo]", ceiling: "Mode", remembered: Memories
) -> list[Finding]:
    """Check reading, then writing and what the rules need; without reading the rest is pointless."""
    unread = await _check_reading(client, clock)
    if unread:
        return [unread]
    writing = await _check_writing(client, ceiling)
    reports, mailboxes = await _check_reports(client, clock, rules), await _check_mailboxes(client, rules)
    drift = await find_drift(client, clock.now(), rules, remembered)
    return [finding for finding in (writing, reports, mailboxes, *drift) if finding]


async def _check_reading(client: Client, clock: ApiClock) -> Finding | None:
    """Read the last minute: is the token known, and may it read?"""
    now = clock.now()
    return await ask(
        client.investigate.search(start=now - 60, end=now, per_page=1, urgency=Urgency.FACTS), READING_REFUSED
    )


async def _check_writing(client: Client, ceiling: "Mode") -> Finding | None:
    """Ask to change nothing, which only the permission decides; observing does not need it."""
    path = "/settings/block_senders/batch"
    return await ask(
        client.call("POST", path, _take_anything, urgency=Urgency.FACTS, body=NOTHING, writes=True),
        {
            Unauthorised: WRITES_WANTED_LATER if ceiling <= OBSERVE else WRITES_WANTED,
            NotEntitled: Finding("problems", "this account's subscription does not allow changes, only reading"),
            Rejected: None,  # allowed to, but a batch of nothing is refused
        },
    )


async def _check_reports(client: Client, clock: ApiClock, rules: "Sequence[RuleInfo]") -> Finding | None:
    """Ask for reports if a rule is about them."""
    hearing = [rule.name for rule in rules if rule.trigger == "Report"]
    if not hearing:
        return None
    now = clock.now()
    never = Finding("problems", f"PhishGuard is not in the subscription, so {', '.join(hearing)} will never be called")
    question = client.phishguard.reports(start=now - 60, end=now, page=1, urgency=Urgency.FACTS)
    return await ask(question, {NotEntitled: never})


async def _check_mailboxes(client: Client, rules: "Sequence[RuleInfo]") -> Finding | None:
    """See whether there are mailboxes to move mail in, if a rule moves any."""
    moving = [rule for rule in rules if "Move" in rule.actions]
    return await ask(_list_providers(client), {}, lambda providers: _find_lacking(providers, moving))


async def _list_providers(client: Client) -> set[str | None]:
    """Return where the mailboxes of each domain are; the rest of a domain's record is not read."""
    pages = [page async for page in client.settings.domains.walk()]
    try:
        return {_decode_domain(record).inbox_provider for page in pages for record in page.records}
    except msgspec.MsgspecError as error:
        raise ServerFault(f"a domain of the account cannot be read: {error}") from None


def _find_lacking(providers: set[str | None], moving: "Sequence[RuleInfo]") -> Finding | None:
    """Say what the rules that move mail lack, given where the mailboxes of each domain are."""
    if not providers:
        return Finding("problems", "no domain is set up, so no mail will ever be seen: add one in the dashboard")
    names = ", ".join(rule.name for rule in moving)
    if moving and not providers - {None}:
        return Finding("problems", f"no domain has an integration with its mailboxes, so {names} cannot move anything")
    return None if "Microsoft" in providers else _check_google({rule.file for rule in moving})


def _check_google(files: Iterable[str]) -> Finding | None:
    """Return the finding about the first folder that these rule files name and Google's mailboxes may lack."""
    texts = [Path(file).read_text("utf-8") for file in files]
    return next((says for name, says in AT_GOOGLE.items() if any(name in text for text in texts)), None)


def _take_anything(raw: msgspec.Raw) -> msgspec.Raw:
    return raw


_decode_domain: Callable[[msgspec.Raw], DomainProvider] = msgspec.json.Decoder(DomainProvider).decode
