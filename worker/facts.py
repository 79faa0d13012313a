"""Whom we ask: facts that rules name in their signatures, fetched from the API when a rule first touches one."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime

import msgspec

from worker.api import Client, Clock, Urgency
from worker.api.bodies import WhereMessage
from worker.errors import NotFound
from worker.models import Detection, Now, Policies, Report
from worker.nouns import Noun, epoch

CACHED = 300.0
"""Seconds for which the account's lists are taken as known."""
AROUND = 3600.0
"""Seconds around a report's own time in which its message is looked for; scan and report name different moments."""


class MissingMessage(NotFound):
    """The message a report names is not to be found (yet); says where it was looked for."""


class Facts:
    """Asks the API for facts about one account, and remembers the account's lists for five minutes."""

    def __init__(self, client: Client, clock: Clock) -> None:
        """Begin with nothing known."""
        self._client = client
        self._clock = clock
        self._policies: tuple[float, Policies] | None = None
        self._one_at_a_time = asyncio.Lock()

    async def ask(self, name: str, id_: str) -> bytes:
        """Return a fact about the thing with this id as JSON; raises what the API raises."""
        return msgspec.json.encode(await FACTS[name](self, id_))

    async def detection(self, id_: str) -> Detection:
        """Return why a message was detected; clean mail has an empty detection."""
        try:
            return await self._client.investigate.detections(id_)
        except NotFound:
            return Detection()

    async def action_log(self, id_: str) -> Noun:
        """Return what was done to a message after delivery."""
        return await self._client.investigate.action_log(id_, Urgency.FACTS)

    async def policies(self, _: str = "") -> Policies:
        """Return the account's own lists, at most five minutes old."""
        async with self._one_at_a_time:
            if self._policies is None or self._clock.monotonic() - self._policies[0] > CACHED:
                self._policies = (self._clock.monotonic(), await self._fresh_policies())
            return self._policies[1]

    async def now(self, _: str) -> Now:
        """Return the API's time."""
        return Now(at=datetime.fromtimestamp(self._clock.now(), UTC))

    async def message_of(self, report: Report) -> bytes:
        """Return the raw record of the message a report names; raises MissingMessage when it is not to be found.

        Reports name mail by postfix id only, and that mail may be clean.
        """
        about = report.fields
        when = about.occurred_at or report.created_at
        if not about.postfix_id or when is None:
            msg = f"report {report.id} names no message"
            raise MissingMessage(msg)
        start, end = epoch(when) - AROUND, min(epoch(when) + AROUND, self._clock.now())
        recipient = about.to[0] if about.to else None
        cursor = None
        while True:
            page = await self._client.investigate.search(
                WhereMessage(recipient=recipient),
                start=start,
                end=end,
                cursor=cursor,
                detections_only=False,
                urgency=Urgency.FACTS,
            )
            for raw in page.records:
                if _postfix_of(raw) == about.postfix_id:
                    return bytes(raw)
            if (cursor := page.next) is None:
                whom = recipient or "anyone"
                msg = f"no message {about.postfix_id} to {whom} was scanned within an hour of {when:%F %T}"
                raise MissingMessage(msg)

    async def _fresh_policies(self) -> Policies:
        settings = self._client.settings
        domains, allowed = await settings.domains.all(), await settings.allow_policies.all()
        trusted = await settings.trusted_domains.all()
        return Policies(
            domains=_lower(d.domain for d in domains.entries),
            allowed=_lower(p.pattern for p in allowed.entries if p.is_acceptable_sender or p.is_trusted_sender),
            trusted=_lower(d.pattern for d in trusted.entries if not d.is_regex),
        )


Ask = Callable[[Facts, str], Awaitable[Noun]]
FACTS: dict[str, Ask] = {
    "Detection": Facts.detection,
    "ActionLog": Facts.action_log,
    "Policies": Facts.policies,
    "Now": Facts.now,
}
SHARED = frozenset({"Policies", "Now"})
"""Facts that cost nothing per event, so a page need not be put off for them."""


class _Named(msgspec.Struct):
    id: str


def _postfix_of(raw: msgspec.Raw) -> str:
    """Return the part of a record's id before the first dash; empty for a broken record."""
    try:
        return msgspec.json.decode(raw, type=_Named).id.partition("-")[0]
    except msgspec.MsgspecError:
        return ""


def _lower(patterns: Iterable[str]) -> tuple[str, ...]:
    return tuple(pattern.lower() for pattern in patterns if pattern)
