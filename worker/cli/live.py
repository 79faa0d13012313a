"""`worker check --live`: whether this credential can do what the rules ask. Nothing is changed."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from worker.api import ApiClock, Budget, Client, HttpTransport, Urgency
from worker.daemon.desk import credential_of
from worker.errors import NotEntitled, NotFound, Rejected, Temporary, Unauthorised, WorkerError

if TYPE_CHECKING:
    from worker.rules import RuleInfo
    from worker.settings import Settings

MICROSOFT_ONLY = ("RecoverableItemsDeletions", "RecoverableItemsPurges")
PATIENCE = 30.0
"""Seconds for one question."""
NOTHING: dict[str, list[object]] = {"deletes": [], "patches": [], "puts": [], "posts": []}
"""A batch of nothing: refused without the permission to write, and without effect with it."""


class Domain(msgspec.Struct, frozen=True):
    """What a domain of the account says about where its mail lies."""

    domain: str | None = None
    inbox_provider: str | None = None


async def probed(settings: "Settings", rules: "Sequence[RuleInfo]") -> list[str]:
    """Return every problem with every account, each in a sentence; at most six calls an account."""
    problems: list[str] = []
    for account in settings.accounts():
        clock = ApiClock(sleep=_impatient)
        async with HttpTransport(settings.base_url, credential_of(account), settings.request_timeout) as transport:
            budget = Budget(clock, *settings.budget, settings.budget_share)
            found = await _problems(Client(transport, budget, clock, account.id), clock, rules)
        problems += [f"account {account.id}: {problem}" for problem in found]
    return problems


async def _problems(client: Client, clock: ApiClock, rules: "Sequence[RuleInfo]") -> list[str]:
    """Ask for reading, then writing, then what the rules need; what fails first makes the rest pointless."""
    problem = await _reading(client, clock)
    if problem:
        return [problem]
    asked = [await _writing(client), await _reports(client, clock, rules), await _mailboxes(client, rules)]
    return [problem for problem in asked if problem]


async def _reading(client: Client, clock: ApiClock) -> str:
    """Read the last minute: is the token known, and may it read?"""
    now = clock.now()
    return await _said(
        lambda: client.investigate.search(start=now - 60, end=now, per_page=1, urgency=Urgency.FACTS),
        {
            NotFound: "there is no such account: check CLOUDFLARE_ACCOUNT_ID",
            NotEntitled: "Email Security is not in this account's subscription",
            Unauthorised: "the API does not let this credential read Email Security: check CLOUDFLARE_API_TOKEN, "
            "CLOUDFLARE_ACCOUNT_ID, and that the token has the permission Cloud Email Security: Read or Write",
        },
    )


async def _writing(client: Client) -> str:
    """Change nothing: only the permission decides whether that is allowed."""
    return await _said(
        lambda: client.call(
            "POST", "/settings/block_senders/batch", _anything, urgency=Urgency.FACTS, body=NOTHING, writes=True
        ),
        {
            Unauthorised: "the token can read but not change anything: give it the permission "
            "Cloud Email Security: Write, or keep WORKER_CEILING at observe",
            NotEntitled: "changing things is not in this account's subscription",
            Rejected: "",  # allowed to, but a batch of nothing is refused
        },
    )


async def _reports(client: Client, clock: ApiClock, rules: "Sequence[RuleInfo]") -> str:
    """Ask for reports if a rule wants to hear of them."""
    hearing = [rule.name for rule in rules if rule.trigger == "Report"]
    if not hearing:
        return ""
    now = clock.now()
    return await _said(
        lambda: client.phishguard.reports(start=now - 60, end=now, page=1, urgency=Urgency.FACTS),
        {NotEntitled: f"PhishGuard is not in the subscription, so {', '.join(hearing)} will never hear anything"},
    )


async def _mailboxes(client: Client, rules: "Sequence[RuleInfo]") -> str:
    """See whether there are mailboxes to move mail in, if a rule moves any."""
    moving = [rule.name for rule in rules if "Move" in rule.actions]
    try:
        answer = await client.call("GET", "/settings/domains", _domains, urgency=Urgency.FACTS)
    except WorkerError as error:
        return str(error)
    if not answer.result:
        return "no domain is set up, so no mail will ever be seen: add one in the dashboard"
    providers = {domain.inbox_provider for domain in answer.result}
    if moving and not providers - {None}:
        return f"no domain has an integration with its mailboxes, so {', '.join(moving)} cannot move anything"
    missing = _named({rule.file for rule in rules if "Move" in rule.actions})
    if missing and "Microsoft" not in providers:
        return f"all mailboxes are Google's, where {' and '.join(missing)} do not exist: let rules move to DeletedItems"
    return ""


def _named(files: Iterable[str]) -> list[str]:
    """Return the folders only Microsoft has that are named in these rule files."""
    texts = [Path(file).read_text("utf-8") for file in files]
    return [name for name in MICROSOFT_ONLY if any(name in text for text in texts)]


async def _impatient(seconds: float) -> None:
    """Try again at once: a person waits for the answer."""
    await asyncio.sleep(min(seconds, 0.1))


async def _said(ask: Callable[[], Awaitable[object]], sentences: dict[type[WorkerError], str]) -> str:
    """Return the sentence for what the API answered, empty when it is content."""
    try:
        async with asyncio.timeout(PATIENCE):
            await ask()
    except TimeoutError:
        return "the API does not let us ask now: others may have spent the request budget; try again in five minutes"
    except Temporary as error:
        return f"the API cannot be asked now: {error}"
    except WorkerError as error:
        return sentences.get(type(error), str(error))
    return ""


def _anything(raw: msgspec.Raw) -> msgspec.Raw:
    """Take any result."""
    return raw


_domains: Callable[[msgspec.Raw], tuple[Domain, ...]] = msgspec.json.Decoder(tuple[Domain, ...]).decode
