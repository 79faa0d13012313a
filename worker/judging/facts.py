"""Facts that rules name in their signatures: fetched from the API when a rule first uses one."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime
from math import inf
from typing import Generic, NamedTuple, Protocol, TypeVar

import msgspec

from worker.api import Client, Clock, Urgency
from worker.api.bodies import WhereMessage
from worker.api.search import SearchPage
from worker.errors import NotFound, Permanent, ServerFault, Temporary, WorkerError
from worker.escaping import escape
from worker.judging.raw import make_raw
from worker.language.base import Noun
from worker.language.models import Detection, History, Message, Now, Raw, Report, Submission, Trace
from worker.language.policies import AllowPolicy, Policies, Registry
from worker.language.reading import HOSTILE, read
from worker.language.times import epoch
from worker.mime.letter import Letter

CACHED = 300.0
"""Seconds for which the account's lists are cached."""
FAILURE_CACHED = 30.0
"""Seconds for which a failure to read a list is cached, so that a page of a thousand events asks for it once."""
MONTH = 30 * 86400.0
MOST_PAGES = 20
"""Pages of a thousand messages that are searched for a named mail, each time."""
LONGEST_ADDRESS, SUBJECT = 320, 500
"""Characters of an address, and of a subject, that a search takes."""

Known = TypeVar("Known", bound=Noun)
MAILS = 2
"""Mails that are loaded and taken apart at the same time, because each may have 40 MB."""
OnRead = Callable[[str, Sequence[msgspec.Raw], float], None]
"""Is shown what a fact came as: its name, the API's results, and when its mail was scanned."""


class OpenMail(Protocol):
    """Takes apart the text of a mail, of which ``is_cut`` says that only the beginning is there."""

    def __call__(self, mail: str, *, is_cut: bool = False) -> Awaitable[Letter]:
        """Take it apart."""
        ...


class MissingMessage(NotFound):
    """The message that an event names was not found (yet); says where it was searched for."""


class Fact(NamedTuple):
    """A fact as JSON, and the fields of it that could not be read, or of which the text is not as it came."""

    raw: bytes
    unread: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()


class Reach(NamedTuple):
    """Seconds before and after a time in which a mail is searched for, since it was scanned at another time."""

    before: float
    after: float


Reaches = tuple[Reach, ...]
REPORTED: Reaches = (Reach(300.0, 300.0), Reach(3600.0, 3600.0))
SENT_IN: Reaches = (Reach(3600.0, 3600.0), Reach(86400.0, 3600.0), Reach(7 * 86400.0, 3600.0))
"""The shortest first: most people submit mail that has just arrived."""


class MessageReference(NamedTuple):
    """The message that another event names, the API time named with it, and how far around it to search."""

    postfix_id: str
    at: float
    reaches: Reaches
    where: WhereMessage


def read_reference(noun: Report | Submission) -> MessageReference:
    """Return what a report or a submission says about its message; raise MissingMessage when it names none.

    Both name a mail by its postfix id only, and that mail may be clean. A report has the time of the mail itself. A
    submission may come a week after its mail, but has its subject.
    """
    if isinstance(noun, Report):
        about = noun.fields
        where = WhereMessage(recipient=about.to[0] if about.to else None)
        return _refer(f"report {noun.id}", about.postfix_id, about.occurred_at or noun.created_at, REPORTED, where)
    where = WhereMessage(subject=noun.subject[:SUBJECT] or None)
    reaches = SENT_IN if noun.subject else SENT_IN[:1]
    return _refer(f"submission {noun.submission_id}", noun.original_postfix_id, noun.requested_at, reaches, where)


def _refer(
    what: str, postfix_id: str, when: datetime | None, reaches: Reaches, where: WhereMessage
) -> MessageReference:
    if not postfix_id or when is None:
        raise MissingMessage(f"{what} names no message")
    return MessageReference(postfix_id, epoch(when), reaches, where)


class AccountList(Generic[Known]):
    """One list of the account as a fact, at most five minutes old; failures are cached for less."""

    def __init__(self, fresh: Callable[[], Awaitable[Known]], clock: Clock) -> None:
        """``fresh`` reads the whole list."""
        self._fresh, self._clock = fresh, clock
        self._one_at_a_time = asyncio.Lock()
        self._until = -inf
        self._answer: Known | WorkerError = Temporary("not read yet")

    async def get(self) -> Known:
        """Return the list; raise the error of the last attempt to read it."""
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
            self._answer, lasts = problem, FAILURE_CACHED
        self._until = self._clock.monotonic() + lasts


class Facts:
    """Fetches facts of one account, and caches the account's lists for five minutes."""

    def __init__(self, client: Client, clock: Clock, open_mail: OpenMail, on_read: OnRead = lambda *_: None) -> None:
        self._client, self._open_mail = client, open_mail
        self._places = asyncio.Semaphore(MAILS)
        self._clock = clock
        self._on_read = on_read
        self._said: dict[str, tuple[Noun, bytes]] = {}
        self._policies = AccountList(self._read_policies, clock)
        self._registry = AccountList(self._read_registry, clock)

    async def ask(self, name: str, raw: bytes) -> Fact:
        """Return a fact about the event with this record; raise what the API client raises."""
        if name in SHARED:
            return Fact(self._encode_shared(name, await SHARED[name](self)))
        try:
            noun = await OF_A_MESSAGE[name](self, read(Message, raw))
            return Fact(msgspec.json.encode(noun), noun.unread, noun.mended)
        except (ValueError, TypeError, OverflowError) as problem:  # mail is written by strangers
            raise Permanent(f"cannot make sense of the API's answer: {escape(str(problem), 200)}") from None

    def _encode_shared(self, name: str, noun: Noun) -> bytes:
        """Encode a list once for all events of a page: a registry may be long, and a page has a thousand events."""
        known = self._said.get(name)
        if known is None or known[0] is not noun:
            known = self._said[name] = (noun, msgspec.json.encode(noun))
        return known[1]

    async def detection(self, message: Message) -> Detection:
        """Return why a message was detected; empty for clean mail."""
        try:
            with self._show("Detection", message) as on_raw:
                return await self._client.investigate.detections(message.id, on_raw=on_raw)
        except NotFound:
            return Detection()

    async def action_log(self, message: Message) -> Noun:
        """Return the operations on a message after delivery."""
        with self._show("ActionLog", message) as on_raw:
            return await self._client.investigate.action_log(message.id, on_raw=on_raw)

    async def raw(self, message: Message) -> Raw:
        """Return the mail itself, taken apart; empty for clean mail."""
        async with self._places:
            try:
                mail = await self._client.investigate.raw(message.id)
            except NotFound:
                return Raw()
            return make_raw(await self._open_mail(mail.raw or "", is_cut=mail.is_cut))

    async def trace(self, message: Message) -> Trace:
        """Return how a message came in and was passed on."""
        with self._show("Trace", message) as on_raw:
            return await self._client.investigate.trace(message.id, on_raw=on_raw)

    @contextmanager
    def _show(self, fact: str, message: Message) -> Iterator[Callable[[msgspec.Raw], None]]:
        """Show what a fact comes as, once it has come as a whole."""
        came = list[msgspec.Raw]()
        yield came.append
        self._on_read(fact, came, epoch(message.scanned_at))

    async def history(self, message: Message) -> History:
        """Return earlier mail from the same address within 30 days; empty when the sender is no address."""
        if "sender" in message.unread:
            raise ValueError("the sender of the message cannot be read")
        sender, until = message.sender.lower(), epoch(message.scanned_at) or self._clock.now()
        if not _is_address(sender) or "sender" in message.mended:
            return History()
        page = await self._client.investigate.search(
            WhereMessage(sender=sender),
            start=until - MONTH,
            end=min(until, self._clock.now()),
            detections_only=False,
            urgency=Urgency.FACTS,
        )
        mail = page.read()
        found = (one for one in mail.entries if one.sender.lower() == sender and one.id != message.id)
        uncounted = mail.broken > 0 or any("sender" in one.unread for one in mail.entries)
        return _summarise(tuple(found), more=uncounted or not page.complete)

    async def policies(self) -> Policies:
        """Return the account's own lists, at most five minutes old."""
        return await self._policies.get()

    async def registry(self) -> Registry:
        """Return the impersonation registry, at most five minutes old."""
        return await self._registry.get()

    async def now(self) -> Now:
        """Return the API's time."""
        return Now(at=datetime.fromtimestamp(self._clock.now(), UTC))

    async def find_message(self, noun: Report | Submission) -> bytes:
        """Return the record of the message that a report or submission names; raise MissingMessage when not found."""
        wanted, looked = read_reference(noun), 0
        for reach in wanted.reaches:
            async with aclosing(self._mail_around(wanted, reach)) as pages:
                async for page in pages:
                    found = next((raw for raw in page.records if _postfix_of(raw) == wanted.postfix_id), None)
                    if found is not None:
                        return bytes(found)
                    looked += 1
                    if looked == MOST_PAGES:
                        raise MissingMessage(
                            _describe_missing(wanted, reach, f"was among the first {MOST_PAGES} pages of mail scanned")
                        )
        raise MissingMessage(_describe_missing(wanted, wanted.reaches[-1]))

    def _mail_around(self, wanted: MessageReference, reach: Reach) -> AsyncGenerator[SearchPage, None]:
        end = min(wanted.at + reach.after, self._clock.now())
        return self._client.investigate.walk(
            wanted.where, start=wanted.at - reach.before, end=end, detections_only=False, urgency=Urgency.FACTS
        )

    async def _read_policies(self) -> Policies:
        """Read the lists. What an unreadable entry names is protected too."""
        settings = self._client.settings
        domains, allowed = await settings.domains.all(), await settings.allow_policies.all()
        trusted = await settings.trusted_domains.all()
        spared = [one for one in allowed.entries if _spares_sender(one)]
        return Policies(
            domains=_name_all("domains", (one.domain for one in domains.entries), domains.unread),
            allowed=_name_all("allow policies", (one.pattern for one in spared if not one.is_regex), allowed.unread),
            trusted=_name_all(
                "trusted domains", (one.pattern for one in trusted.entries if not one.is_regex), trusted.unread
            ),
            expressions=(
                *(one.pattern for one in spared if one.is_regex),
                *(one.pattern for one in trusted.entries if one.is_regex),
            ),
        )

    async def _read_registry(self) -> Registry:
        """Read the registry; raise ServerFault when it is unknown whom one of its entries is about."""
        known = await self._client.settings.impersonation_registry.all()
        entries = known.entries
        lacks = entries and not (any(one.name for one in entries) and any(one.email for one in entries))
        if known.unread or lacks:
            raise ServerFault("cannot read an entry of the impersonation registry, so it is unknown who is in it")
        plain = [(one.name, one.email or None) for one in entries if not one.is_email_regex or not one.email]
        return Registry.of(plain, [(one.name, one.email) for one in entries if one.is_email_regex and one.email])


SHARED: dict[str, Callable[[Facts], Awaitable[Noun]]] = {
    "Policies": Facts.policies,
    "Registry": Facts.registry,
    "Now": Facts.now,
}
"""Facts that need no API call per event, so events need not be held for them."""
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
    """Return the postfix id in a record's id, before the first dash; empty for a broken record."""
    try:
        return msgspec.json.decode(raw, type=_Named).id.partition("-")[0]
    except HOSTILE:
        return ""


class _Listed(msgspec.Struct):
    domain: str = ""
    pattern: str = ""


def _name_all(what: str, known: Iterable[str], unread: Iterable[msgspec.Raw]) -> tuple[str, ...]:
    """Return what list entries name, in lower case; raise ServerFault if one names nothing, as a renamed field does."""
    names = (*known, *map(_read_name, unread))
    if not all(names):
        raise ServerFault(f"cannot read an entry of the account's {what}, so it is unknown whom it protects")
    return tuple(name.lower() for name in names)


def _spares_sender(policy: AllowPolicy) -> bool:
    """Tell whether a policy lets its sender's mail through; one that allows nothing has lost what says so."""
    return policy.is_acceptable_sender or policy.is_trusted_sender or not policy.is_exempt_recipient


def _read_name(record: msgspec.Raw) -> str:
    """Return what an unreadable list entry names; empty for one that names nothing."""
    try:
        named = msgspec.json.decode(record, type=_Listed)
    except HOSTILE:
        return ""
    return named.domain or named.pattern


def _is_address(sender: str) -> bool:
    """Tell whether mail from a sender can be searched for; for a bare domain, the API finds all its senders."""
    return "@" in sender and len(sender) <= LONGEST_ADDRESS


def _summarise(earlier: Sequence[Message], *, more: bool) -> History:
    """Count messages by disposition, and find the first and the last time."""
    times = [datetime.fromtimestamp(at, UTC) for one in earlier if (at := epoch(one.scanned_at))]
    return History(
        messages=len(earlier),
        dispositions=dict(Counter(one.final_disposition for one in earlier)),
        first_at=min(times, default=None),
        last_at=max(times, default=None),
        more=more,
    )


def _describe_missing(wanted: MessageReference, reach: Reach, was: str = "was scanned") -> str:
    """Say which message was searched for, and where."""
    times = wanted.at - reach.before, wanted.at + reach.after
    start, end = (f"{datetime.fromtimestamp(at, UTC):%F %T}" for at in times)
    asked = "".join(f" with {name} {escape(value, 100)}" for name, value in wanted.where.to_query())
    return f"no message {escape(wanted.postfix_id, 100)}{asked} {was} between {start} and {end}"
