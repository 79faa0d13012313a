"""`worker check --live`: whether this credential can do what the rules ask. Nothing is changed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

import msgspec

from worker.api import ApiClock, Budget, Client, HttpTransport, Urgency
from worker.daemon.account import credential_of
from worker.errors import NotEntitled, NotFound, Rejected, ServerFault, Temporary, Unauthorised, Unsure, WorkerError
from worker.language.rules import OBSERVE

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from worker.language.rules import Mode, RuleInfo
    from worker.settings import Account, Settings

PATIENCE = 30.0
"""Seconds for one question."""
SOON = 0.1
"""Seconds until a question that failed is asked again."""
NOTHING: dict[str, list[object]] = {"deletes": [], "patches": [], "puts": [], "posts": []}
"""A batch of nothing: refused without the permission to write, and without effect with it."""
BUSY = (
    f"no answer came within {PATIENCE:g} s: the API is slow, or others have spent the request budget; "
    "try again in five minutes"
)
T = TypeVar("T")


class Domain(msgspec.Struct, frozen=True):
    """What a domain of the account says about where its mail lies."""

    inbox_provider: str | None = None


class Finding(NamedTuple):
    """A sentence about an account: what must be fixed, what only a later step needs, or what nobody could answer."""

    kind: Literal["problems", "unanswered", "remarks"]
    says: str


def _problem(says: str) -> Finding:
    return Finding("problems", says)


AT_GOOGLE = {
    "RecoverableItemsDeletions": _problem(
        "all mailboxes are Google's, where RecoverableItemsDeletions does not exist: let rules move to DeletedItems"
    ),
    "RecoverableItemsPurges": Finding(
        "remarks",
        "all mailboxes are Google's, and nobody documents whether RecoverableItemsPurges exists there: "
        "DeletedItems does",
    ),
}
"""What is to be said of a folder that not every mailbox has."""
ONLY_READS = "the token can read but not change anything"
WRITES_WANTED = _problem(
    f"{ONLY_READS}: give it the permission Cloud Email Security: Write, or keep WORKER_CEILING at observe"
)
WRITES_WANTED_LATER = Finding(
    "remarks",
    f"{ONLY_READS}, which is enough to observe: "
    "give it the permission Cloud Email Security: Write before WORKER_CEILING is approve or enforce",
)


class _Impatient(Client):
    """A client that tries again at once what failed, for a person waits; what the API still works at has its time."""

    def _choose_pause(self, state: "RetryCallState") -> float:
        return min(super()._choose_pause(state), SOON)


async def probed(settings: "Settings", rules: "Sequence[RuleInfo]") -> list[Finding]:
    """Ask about every account, and return what is to be said; a few calls an account, one for a thousand domains."""
    findings: list[Finding] = []
    for account in settings.accounts():
        clock = ApiClock()
        async with asking(settings, account, clock) as client:
            found = await _found(client, clock, rules, settings.ceiling)
        findings += [Finding(kind, f"account {account.id}: {says}") for kind, says in found]
    return findings


@asynccontextmanager
async def asking(settings: "Settings", account: "Account", clock: ApiClock | None = None) -> AsyncIterator[Client]:
    """Open a way to the API for the few questions of a command, for whose answers a person waits."""
    clock = clock or ApiClock()
    async with HttpTransport(settings.base_url, credential_of(account), settings.request_timeout) as transport:
        yield _Impatient(transport, Budget(clock, *settings.budget, settings.budget_share), clock, account.id)


async def _found(client: Client, clock: ApiClock, rules: "Sequence[RuleInfo]", ceiling: "Mode") -> list[Finding]:
    """Ask for reading, then writing, then what the rules need; what fails first makes the rest pointless."""
    unread = await _reading(client, clock)
    if unread:
        return [unread]
    asked = [await _writing(client, ceiling), await _reports(client, clock, rules), await _mailboxes(client, rules)]
    return [finding for finding in asked if finding]


async def _reading(client: Client, clock: ApiClock) -> Finding | None:
    """Read the last minute: is the token known, and may it read?"""
    now = clock.now()
    return await _asked(
        client.investigate.search(start=now - 60, end=now, per_page=1, urgency=Urgency.FACTS),
        {
            NotFound: _problem(
                "there is no such account there: check CLOUDFLARE_ACCOUNT_ID, and CLOUDFLARE_BASE_URL, "
                "which ends with /client/v4 at Cloudflare"
            ),
            NotEntitled: _problem("Email Security is not in this account's subscription"),
            Unauthorised: _problem(
                "the API does not let this credential read Email Security: check CLOUDFLARE_API_TOKEN, "
                "CLOUDFLARE_ACCOUNT_ID, and that the token has the permission Cloud Email Security: Read or Write"
            ),
        },
    )


async def _writing(client: Client, ceiling: "Mode") -> Finding | None:
    """Change nothing: only the permission decides whether that is allowed, and to observe it is not needed."""
    path = "/settings/block_senders/batch"
    return await _asked(
        client.call("POST", path, _anything, urgency=Urgency.FACTS, body=NOTHING, writes=True),
        {
            Unauthorised: WRITES_WANTED_LATER if ceiling <= OBSERVE else WRITES_WANTED,
            NotEntitled: _problem("changing things is not in this account's subscription"),
            Rejected: None,  # allowed to, but a batch of nothing is refused
        },
    )


async def _reports(client: Client, clock: ApiClock, rules: "Sequence[RuleInfo]") -> Finding | None:
    """Ask for reports if a rule wants to hear of them."""
    hearing = [rule.name for rule in rules if rule.trigger == "Report"]
    if not hearing:
        return None
    now = clock.now()
    never = _problem(f"PhishGuard is not in the subscription, so {', '.join(hearing)} will never be called")
    question = client.phishguard.reports(start=now - 60, end=now, page=1, urgency=Urgency.FACTS)
    return await _asked(question, {NotEntitled: never})


async def _mailboxes(client: Client, rules: "Sequence[RuleInfo]") -> Finding | None:
    """See whether there are mailboxes to move mail in, if a rule moves any."""
    moving = [rule for rule in rules if "Move" in rule.actions]
    return await _asked(_providers(client), {}, lambda providers: _lacking(providers, moving))


async def _providers(client: Client) -> set[str | None]:
    """Return where the mail of each domain lies; nothing else that is said of a domain matters here."""
    pages = [page async for page in client.settings.domains.walk()]
    try:
        return {_domain(record).inbox_provider for page in pages for record in page.records}
    except msgspec.MsgspecError as error:
        raise ServerFault(f"a domain of the account cannot be read: {error}") from None


def _lacking(providers: set[str | None], moving: "Sequence[RuleInfo]") -> Finding | None:
    """Say what the rules that move mail do not find, given where the mail of each domain lies."""
    if not providers:
        return _problem("no domain is set up, so no mail will ever be seen: add one in the dashboard")
    names = ", ".join(rule.name for rule in moving)
    if moving and not providers - {None}:
        return _problem(f"no domain has an integration with its mailboxes, so {names} cannot move anything")
    return None if "Microsoft" in providers else _at_google({rule.file for rule in moving})


def _at_google(files: Iterable[str]) -> Finding | None:
    """Say of the first folder that is named in these rule files and not sure to be there that it is not."""
    texts = [Path(file).read_text("utf-8") for file in files]
    return next((says for name, says in AT_GOOGLE.items() if any(name in text for text in texts)), None)


async def _asked(
    question: Awaitable[T],
    refusals: Mapping[type[WorkerError], Finding | None],
    understood: Callable[[T], Finding | None] = lambda _: None,
) -> Finding | None:
    """Return what is to be said about the answer to a question, nothing when all is well."""
    try:
        async with asyncio.timeout(PATIENCE):
            return understood(await question)
    except TimeoutError:
        return Finding("unanswered", BUSY)
    except (Temporary, Unsure) as error:
        return Finding("unanswered", f"the API cannot be asked now: {error}")
    except WorkerError as error:
        return refusals.get(type(error), _problem(str(error)))


def _anything(raw: msgspec.Raw) -> msgspec.Raw:
    """Take any result."""
    return raw


_domain: Callable[[msgspec.Raw], Domain] = msgspec.json.Decoder(Domain).decode
