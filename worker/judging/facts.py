"""Whom we ask: facts that rules name in their signatures, fetched from the API when a rule first touches one."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing
from datetime import UTC, datetime
from math import inf
from typing import Generic, NamedTuple, TypeVar

import msgspec

from worker.api import Client, Clock, Urgency
from worker.api.bodies import WhereMessage
from worker.api.investigate import SearchPage
from worker.errors import NotFound, Permanent, ServerFault, Temporary, WorkerError
from worker.escaping import escaped
from worker.judging.mime import parse_mail
from worker.language.base import Noun, epoch
from worker.language.models import Detection, History, Message, Now, Raw, Report, Submission, Trace
from worker.language.policies import Policies, Registry

CACHED = 300.0
"""Seconds for which the account's lists are taken as known."""
NOT_HAD = 30.0
"""Seconds for which it is remembered that a list cannot be had: a page of a thousand events asks for it once."""
MONTH = 30 * 86400.0
MOST_PAGES = 20
"""Pages of a thousand messages in which a named mail is looked for, each time it is tried."""
LONGEST_ADDRESS, SUBJECT = 320, 500
"""Characters of an address, and of a subject that is searched for."""

Known = TypeVar("Known", bound=Noun)
_message = msgspec.json.Decoder(Message).decode


class MissingMessage(NotFound):
    """The message that something names is not to be found (yet); says where it was looked for."""


class Reach(NamedTuple):
    """How many seconds before and after a named moment a mail is looked for: scan and report name different ones."""

    before: float
    after: float


Reaches = tuple[Reach, ...]
REPORTED: Reaches = (Reach(300.0, 300.0), Reach(3600.0, 3600.0))
SENT_IN: Reaches = (Reach(3600.0, 3600.0), Reach(86400.0, 3600.0), Reach(7 * 86400.0, 3600.0))
"""The nearest first: most people send in what has just come."""


class MessageReference(NamedTuple):
    """A message that something else names, the moment named with it (API time), and how far from there to look."""

    postfix_id: str
    at: float
    reaches: Reaches
    where: WhereMessage


def read_reference(noun: Report | Submission) -> MessageReference:
    """Return what is known of the message that a report or a submission names; raise MissingMessage when it is not.

    Both name mail by postfix id only, and that mail may be clean. A report tells the mail's own time; somebody may send
    a mail in a week after it came, but then tells its subject.
    """
    if isinstance(noun, Report):
        about, what, reaches = noun.fields, f"report {noun.id}", REPORTED
        when, postfix_id = about.occurred_at or noun.created_at, about.postfix_id
        where = WhereMessage(recipient=about.to[0] if about.to else None)
    else:
        what, when, postfix_id = f"submission {noun.submission_id}", noun.requested_at, noun.original_postfix_id
        where, reaches = WhereMessage(subject=noun.subject[:SUBJECT] or None), SENT_IN if noun.subject else SENT_IN[:1]
    if not postfix_id or when is None:
        msg = f"{what} names no message"
        raise MissingMessage(msg)
    return MessageReference(postfix_id, epoch(when), reaches, where)


class AccountList(Generic[Known]):
    """One list of the account as a fact, at most five minutes old; that it cannot be had is remembered shortly."""

    def __init__(self, fresh: Callable[[], Awaitable[Known]], clock: Clock) -> None:
        """``fresh`` asks the API for the whole list."""
        self._fresh, self._clock = fresh, clock
        self._one_at_a_time = asyncio.Lock()
        self._until = -inf
        self._answer: Known | WorkerError = Temporary("it was not asked for yet")

    async def get(self) -> Known:
        """Return the list; raise what the API raised when it was last asked for."""
        async with self._one_at_a_time:
            if self._clock.monotonic() >= self._until:
                await self._ask()
        if isinstance(self._answer, WorkerError):
            raise self._answer.with_traceback(None)
        return self._answer

    async def _ask(self) -> None:
        try:
            self._answer, lasts = await self._fresh(), CACHED
        except WorkerError as problem:
            self._answer, lasts = problem, NOT_HAD
        self._until = self._clock.monotonic() + lasts


class Facts:
    """Asks the API for facts about one account, and remembers the account's lists for five minutes."""

    def __init__(self, client: Client, clock: Clock) -> None:
        """Begin with nothing known."""
        self._client = client
        self._clock = clock
        self._said: dict[str, tuple[Noun, bytes]] = {}
        self._policies = AccountList(self._read_policies, clock)
        self._registry = AccountList(self._read_registry, clock)

    async def ask(self, name: str, raw: bytes) -> bytes:
        """Return a fact about the event with this record, as JSON; raises what the API raises."""
        if name in SHARED:
            return self._encode_shared(name, await SHARED[name](self))
        try:
            return msgspec.json.encode(await OF_A_MESSAGE[name](self, _message(raw)))
        except (ValueError, TypeError, OverflowError) as problem:  # strangers write what is made of it
            raise Permanent(f"what the API tells makes no sense: {escaped(str(problem), 200)}") from None

    def _encode_shared(self, name: str, noun: Noun) -> bytes:
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
        return await asyncio.to_thread(parse_mail, eml)

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
        earlier = [one for one in page.read().entries if one.sender.lower() == sender and one.id != message.id]
        times = [datetime.fromtimestamp(at, UTC) for one in earlier if (at := epoch(one.scanned_at))]
        return History(
            messages=len(earlier),
            dispositions=dict(Counter(one.final_disposition for one in earlier)),
            first_at=min(times, default=None),
            last_at=max(times, default=None),
            more=not page.complete,
        )

    async def policies(self) -> Policies:
        """Return the account's own lists, at most five minutes old."""
        return await self._policies.get()

    async def registry(self) -> Registry:
        """Return whose names strangers may borrow, at most five minutes old."""
        return await self._registry.get()

    async def now(self) -> Now:
        """Return the API's time."""
        return Now(at=datetime.fromtimestamp(self._clock.now(), UTC))

    async def message_of(self, noun: Report | Submission) -> bytes:
        """Return the raw record of the message this names; raises MissingMessage when it is not to be found."""
        sought, looked = read_reference(noun), 0
        for reach in sought.reaches:
            async with aclosing(self._mail_around(sought, reach)) as pages:
                async for page in pages:
                    found = next((raw for raw in page.records if _postfix_of(raw) == sought.postfix_id), None)
                    if found is not None:
                        return bytes(found)
                    looked += 1
                    if looked == MOST_PAGES:
                        raise MissingMessage(
                            _describe_missing(sought, reach, f"was among the first {MOST_PAGES} pages of mail scanned")
                        )
        raise MissingMessage(_describe_missing(sought, sought.reaches[-1]))

    def _mail_around(self, sought: MessageReference, reach: Reach) -> AsyncGenerator[SearchPage, None]:
        end = min(sought.at + reach.after, self._clock.now())
        return self._client.investigate.walk(
            sought.where, start=sought.at - reach.before, end=end, detections_only=False, urgency=Urgency.FACTS
        )

    async def _read_policies(self) -> Policies:
        """Read the lists. Of an entry that cannot be read, whatever it names is protected."""
        settings = self._client.settings
        domains, allowed = await settings.domains.all(), await settings.allow_policies.all()
        trusted = await settings.trusted_domains.all()
        spared = (one.pattern for one in allowed.entries if one.is_acceptable_sender or one.is_trusted_sender)
        return Policies(
            domains=_lower((*(one.domain for one in domains.entries), *_read_names(domains.unread))),
            allowed=_lower((*spared, *_read_names(allowed.unread))),
            trusted=_lower(
                (*(one.pattern for one in trusted.entries if not one.is_regex), *_read_names(trusted.unread))
            ),
        )

    async def _read_registry(self) -> Registry:
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


class _Listed(msgspec.Struct):
    domain: str = ""
    pattern: str = ""


def _read_names(unread: Iterable[msgspec.Raw]) -> Iterator[str]:
    """Yield what list entries name that cannot be read as a whole; raise ServerFault for one that names nothing."""
    for record in unread:
        try:
            named = msgspec.json.decode(record, type=_Listed)
        except ValueError:
            named = _Listed()
        if not (named.domain or named.pattern):
            raise ServerFault("an entry of the account's own lists cannot be read, so nobody knows whom it protects")
        yield named.domain or named.pattern


def _describe_missing(sought: MessageReference, reach: Reach, was: str = "was scanned") -> str:
    """Say which message was looked for, and where."""
    times = sought.at - reach.before, sought.at + reach.after
    start, end = (f"{datetime.fromtimestamp(at, UTC):%F %T}" for at in times)
    asked = "".join(f" with {name} {escaped(value, 100)}" for name, value in sought.where.to_query())
    return f"no message {escaped(sought.postfix_id, 100)}{asked} {was} between {start} and {end}"


def _lower(patterns: Iterable[str]) -> tuple[str, ...]:
    return tuple(pattern.lower() for pattern in patterns if pattern)
