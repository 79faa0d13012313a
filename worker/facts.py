"""Whom we ask: facts that rules name in their signatures, fetched from the API when a rule first touches one."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

import msgspec

from worker.api import Client, Clock, Urgency
from worker.api.bodies import WhereMessage
from worker.eml import parsed
from worker.errors import NotFound
from worker.models import (
    Detection,
    History,
    Message,
    Now,
    Policies,
    Raw,
    Registry,
    Report,
    Submission,
    Trace,
)
from worker.nouns import Noun, epoch
from worker.text import escaped

CACHED = 300.0
"""Seconds for which the account's lists are taken as known."""
AROUND, WEEK, MONTH = 3600.0, 7 * 86400.0, 30 * 86400.0
"""Seconds around a time that names a mail in which it is looked for: scan and report name different moments."""
LONGEST_ADDRESS, SUBJECT = 320, 500
"""Characters of an address, and of a subject that is searched for."""

Shared = TypeVar("Shared", bound=Noun)
_message = msgspec.json.Decoder(Message).decode


class MissingMessage(NotFound):
    """The message that something names is not to be found (yet); says where it was looked for."""


class Sought(NamedTuple):
    """A message that something else names, and where it is looked for: from ``start`` to ``end``, API time."""

    postfix_id: str
    start: float
    end: float
    where: WhereMessage


def named_by(noun: Report | Submission) -> Sought:
    """Return what is known of the message that a report or a submission names; raise MissingMessage when it is not.

    Both name mail by postfix id only, and that mail may be clean. A report tells the mail's own time; somebody may send
    a mail in a week after it came, but then tells its subject.
    """
    if isinstance(noun, Report):
        about, what = noun.fields, f"report {noun.id}"
        when, before, postfix_id = about.occurred_at or noun.created_at, AROUND, about.postfix_id
        where = WhereMessage(recipient=about.to[0] if about.to else None)
    else:
        what, when, postfix_id = f"submission {noun.submission_id}", noun.requested_at, noun.original_postfix_id
        where, before = WhereMessage(subject=noun.subject[:SUBJECT] or None), WEEK if noun.subject else AROUND
    if not postfix_id or when is None:
        msg = f"{what} names no message"
        raise MissingMessage(msg)
    return Sought(postfix_id, epoch(when) - before, epoch(when) + AROUND, where)


class Facts:
    """Asks the API for facts about one account, and remembers the account's lists for five minutes."""

    def __init__(self, client: Client, clock: Clock) -> None:
        """Begin with nothing known."""
        self._client = client
        self._clock = clock
        self._remembered: dict[str, tuple[float, Noun]] = {}
        self._said: dict[str, tuple[Noun, bytes]] = {}
        self._one_at_a_time = asyncio.Lock()

    async def ask(self, name: str, raw: bytes) -> bytes:
        """Return a fact about the event with this record, as JSON; raises what the API raises."""
        if name in SHARED:
            return self._written(name, await SHARED[name](self))
        return msgspec.json.encode(await OF_A_MESSAGE[name](self, _message(raw)))

    def _written(self, name: str, noun: Noun) -> bytes:
        """Write a list once for all the events of a page: a registry may be long, and a page has a thousand."""
        known = self._said.get(name)
        if known is None or known[0] is not noun:
            known = self._said[name] = (noun, msgspec.json.encode(noun))
        return known[1]

    async def detection(self, message: Message) -> Detection:
        """Return why a message was detected; clean mail has an empty detection."""
        try:
            return await self._client.investigate.detections(message.id)
        except NotFound:
            return Detection()

    async def action_log(self, message: Message) -> Noun:
        """Return what was done to a message after delivery."""
        return await self._client.investigate.action_log(message.id, Urgency.FACTS)

    async def raw(self, message: Message) -> Raw:
        """Return the mail itself; clean mail is not kept. It is taken apart in a thread, as it may be long."""
        try:
            eml = await self._client.investigate.raw(message.id)
        except NotFound:
            return Raw()
        return await asyncio.to_thread(parsed, eml)

    async def trace(self, message: Message) -> Trace:
        """Return how a message came in and went on."""
        return await self._client.investigate.trace(message.id)

    async def history(self, message: Message) -> History:
        """Return what came from the same address in the 30 days before; nothing of what is no address."""
        sender, until = message.sender.lower(), epoch(message.scanned_at) or self._clock.now()
        if "@" not in sender or len(sender) > LONGEST_ADDRESS:  # a bare domain would find all who write from there
            return History()
        page = await self._client.investigate.search(
            WhereMessage(sender=sender),
            start=until - MONTH,
            end=min(until, self._clock.now()),
            detections_only=False,
            urgency=Urgency.FACTS,
        )
        earlier = [one for one in page.messages if one.sender.lower() == sender and one.id != message.id]
        times = sorted(one.scanned_at for one in earlier if one.scanned_at)
        return History(
            messages=len(earlier),
            dispositions=dict(Counter(one.final_disposition for one in earlier)),
            first_at=times[0] if times else None,
            last_at=times[-1] if times else None,
            more=not page.complete,
        )

    async def policies(self) -> Policies:
        """Return the account's own lists, at most five minutes old."""
        return await self._at_most_five_minutes_old(Policies, self._fresh_policies)

    async def registry(self) -> Registry:
        """Return whose names strangers may borrow, at most five minutes old."""
        return await self._at_most_five_minutes_old(Registry, self._fresh_registry)

    async def now(self) -> Now:
        """Return the API's time."""
        return Now(at=datetime.fromtimestamp(self._clock.now(), UTC))

    async def message_of(self, noun: Report | Submission) -> bytes:
        """Return the raw record of the message this names; raises MissingMessage when it is not to be found."""
        sought = named_by(noun)
        pages = self._client.investigate.walk(
            sought.where,
            start=sought.start,
            end=min(sought.end, self._clock.now()),
            detections_only=False,
            urgency=Urgency.FACTS,
        )
        async with aclosing(pages):
            async for page in pages:
                for raw in page.records:
                    if _postfix_of(raw) == sought.postfix_id:
                        return bytes(raw)
        start, end = (f"{datetime.fromtimestamp(at, UTC):%F %T}" for at in (sought.start, sought.end))
        asked = "".join(f" with {name} {escaped(value, 100)}" for name, value in sought.where.asked())
        msg = f"no message {sought.postfix_id}{asked} was scanned between {start} and {end}"
        raise MissingMessage(msg)

    async def _at_most_five_minutes_old(self, kind: type[Shared], fresh: Callable[[], Awaitable[Shared]]) -> Shared:
        async with self._one_at_a_time:
            at, known = self._remembered.get(kind.__name__, (0.0, None))
            if not isinstance(known, kind) or self._clock.monotonic() - at > CACHED:
                known = await fresh()
                self._remembered[kind.__name__] = (self._clock.monotonic(), known)
            return known

    async def _fresh_policies(self) -> Policies:
        settings = self._client.settings
        domains, allowed = await settings.domains.all(), await settings.allow_policies.all()
        trusted = await settings.trusted_domains.all()
        return Policies(
            domains=_lower(d.domain for d in domains.entries),
            allowed=_lower(p.pattern for p in allowed.entries if p.is_acceptable_sender or p.is_trusted_sender),
            trusted=_lower(d.pattern for d in trusted.entries if not d.is_regex),
        )

    async def _fresh_registry(self) -> Registry:
        entries = (await self._client.settings.impersonation_registry.all()).entries
        return Registry.of((one.name, None if one.is_email_regex else one.email) for one in entries)


SHARED: dict[str, Callable[[Facts], Awaitable[Noun]]] = {
    "Policies": Facts.policies,
    "Registry": Facts.registry,
    "Now": Facts.now,
}
"""Facts that cost nothing per event, so a page need not be put off for them."""
OF_A_MESSAGE: dict[str, Callable[[Facts, Message], Awaitable[Noun]]] = {
    "Detection": Facts.detection,
    "ActionLog": Facts.action_log,
    "Raw": Facts.raw,
    "Trace": Facts.trace,
    "History": Facts.history,
}


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
