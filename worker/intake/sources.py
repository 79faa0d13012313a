"""Sources: each fetches one page of a slice and turns its records into readings."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from typing import ClassVar, Protocol

import msgspec
from msgspec import Struct

from worker.api import Client, CutShort, RecordPage, Urgency
from worker.api.bodies import WhereAllowed, WhereBlocked
from worker.api.submissions import WhereSubmission
from worker.intake.naming import keep_broken
from worker.language.base import Noun, Text
from worker.language.models import DISPOSITIONS, Submission
from worker.language.policies import ListEntry
from worker.language.reading import Unreadable, read
from worker.language.times import Time, epoch
from worker.ledger.values import Broken, Reading, Slice, SliceKind, Thing
from worker.observations import read_message, try_names

URGENCIES: dict[SliceKind, Urgency] = {
    "head": Urgency.HEAD,
    "overlap": Urgency.HEAD,
    "gap": Urgency.GAPS,
    "unheard": Urgency.GAPS,
    "again": Urgency.GAPS,
    "sweep": Urgency.SWEEP,
}


MONTH = 30 * 86400.0
SECOND = 2.0
"""Seconds below which a slice is not halved any more of which the answer is cut short."""
FULL = 1000
"""Messages on a full page."""
TWICE = "a later record of the same page has the same id and tells of another state, or of another mail"
UNNAMED = "the API filled a page and named none after it"
UNKNOWN = "unknown final_disposition {!r}: only rules that name no dispositions hear it"


class Fetched(Struct, frozen=True):
    """One page as it was read; ``next`` is the cursor of the next page, None at the end of the slice."""

    readings: tuple[Reading, ...]
    broken: tuple[Broken, ...]
    next: str | None
    began: float
    trailing: int = 0
    """How many of its last records, in a row, could not be read, or have an unknown verdict."""
    full: tuple[msgspec.Raw, ...] = ()
    """All its records, where ``next`` is only a guess because there are as many as fit."""


class Source(Protocol):
    """Something that can be read in slices of time."""

    @property
    def name(self) -> str:
        """The name of the source; it is stored, so it must not change."""

    @property
    def kind(self) -> str:
        """The noun that it brings: the source is read while a rule uses it."""

    @property
    def pace(self) -> float:
        """How many times less often than messages it is polled."""

    @property
    def swept(self) -> float:
        """How many seconds its sweep goes back at least, 0 for the setting for messages."""

    @property
    def stride(self) -> float:
        """Seconds in one slice of a gap or of the sweep."""

    @property
    def rest(self) -> float:
        """Seconds between two slices of its sweep."""

    @property
    def divisible(self) -> bool:
        """Whether half of a slice is easier to read than the whole."""

    async def fetch(self, slice_: Slice) -> Fetched:
        """Read one page; raises what the API raises."""


class ReportKey(Noun, frozen=True):
    """The fields of a report that the worker itself reads."""

    _older: ClassVar[dict[str, str]] = {"created_at": "ts"}

    id: int
    created_at: Time = None
    updated_at: Time = None


class SubmissionKey(Noun, frozen=True):
    """The fields of a submission that the worker itself reads."""

    _older: ClassVar[dict[str, str]] = {"requested_at": "requested_ts"}

    submission_id: str
    requested_at: Time = None
    type: Text = ""
    status: Text = ""
    customer_status: Text = ""
    outcome: Text = ""
    outcome_disposition: Text = ""
    requested_disposition: Text = ""
    original_postfix_id: Text = ""
    escalated_submission_id: Text = ""


class PolicyKey(ListEntry, frozen=True):
    """The fields of a list entry that the worker itself reads."""

    pattern: Text = ""


class Messages:
    """Scanned mail (``GET investigate``)."""

    name = "messages"
    kind = "Message"
    pace = 1.0
    swept = 0.0
    stride = 3600.0
    rest = 10.0
    divisible = True

    def __init__(self, client: Client, wants_clean: Callable[[], bool]) -> None:
        """Read detections, and clean mail while ``wants_clean`` returns true."""
        self._client = client
        self._wants_clean = wants_clean

    async def fetch(self, slice_: Slice) -> Fetched:
        """Read one page of the search."""
        detected = not self._wants_clean()
        page = await self._client.investigate.search(
            start=slice_.start,
            end=slice_.end,
            cursor=slice_.cursor,
            detections_only=detected,
            urgency=URGENCIES[slice_.kind],
        )
        found = read_records(page.records, page.next, page.begun, partial(read_message, detected=detected))
        return _leave_open(found, slice_) if _may_go_on(page, slice_) else found


def _may_go_on(page: RecordPage, slice_: Slice) -> bool:
    """Tell whether there may be more than a first page of mail, although it names none after it."""
    return slice_.cursor is None and page.complete and len(page.records) >= FULL


def _leave_open(found: Fetched, slice_: Slice) -> Fetched:
    """Raise CutShort, so that halves are read; what is too short for that is judged, and its moment stays open."""
    if slice_.end - slice_.start >= SECOND:
        raise CutShort(f"GET /investigate: {UNNAMED}")
    rest = Broken(b"", UNNAMED, start=slice_.start, end=slice_.end)
    return msgspec.structs.replace(found, broken=(*found.broken, rest))


class Numbered:
    """A source that is polled rarely and has numbered pages."""

    kind: str
    pace = 6.0
    swept = stride = MONTH
    rest = 3600.0
    divisible = False

    def __init__(
        self, ask: Callable[[Slice, int, Urgency], Awaitable[RecordPage]], read: Callable[[msgspec.Raw, float], Reading]
    ) -> None:
        """Read the pages that ``ask`` returns, record by record."""
        self._ask = ask
        self._read = read

    async def fetch(self, slice_: Slice) -> Fetched:
        """Read one page."""
        page = await self._ask(slice_, int(slice_.cursor or 1), URGENCIES[slice_.kind])
        found = read_records(page.records, page.next, page.begun, self._read)
        return msgspec.structs.replace(found, full=page.records) if page.is_guess else found


class Reports(Numbered):
    """Reports by PhishGuard analysts (``GET phishguard/reports``)."""

    name = "reports"
    kind = "Report"

    def __init__(self, client: Client) -> None:
        """Read reports of one account."""
        ask = client.phishguard.reports
        super().__init__(
            lambda slice_, page, urgency: ask(start=slice_.start, end=slice_.end, page=page, urgency=urgency),
            read_report,
        )


class Submissions(Numbered):
    """Messages that people submitted for another verdict (``GET submissions``), oldest first."""

    name = "submissions"
    kind = "Submission"

    def __init__(self, client: Client) -> None:
        """Read submissions of one account."""
        where, ask = WhereSubmission(order="requested_at", direction="asc"), client.submissions.list
        super().__init__(
            lambda slice_, page, urgency: ask(where, start=slice_.start, end=slice_.end, page=page, urgency=urgency),
            read_submission,
        )


class PolicyList(Numbered):
    """A list of the account, always read whole: its order does not show changes of old entries.

    Only entries that were made or changed within the slice count.
    """

    pace = 30.0

    def __init__(self, ask: Callable[[int, Urgency], Awaitable[RecordPage]]) -> None:
        """Read the pages that ``ask`` returns, whatever the slice."""
        super().__init__(lambda _, page, urgency: ask(page, urgency), partial(read_list_entry, self.kind))

    async def fetch(self, slice_: Slice) -> Fetched:
        """Read one page of the list."""
        found = await super().fetch(slice_)
        within = [one for one in found.readings if slice_.start <= one.thing.time <= slice_.end]
        return msgspec.structs.replace(found, readings=tuple(within))


class BlockedSenders(PolicyList):
    """Blocked senders (``GET settings/block_senders``)."""

    name = "blocked senders"
    kind = "BlockedSender"

    def __init__(self, client: Client) -> None:
        """Read the block list of one account."""
        where, entries = WhereBlocked(order="created_at", direction="asc"), client.settings.block_senders
        super().__init__(lambda page, urgency: entries.list(where, page=page, urgency=urgency))


class AllowPolicies(PolicyList):
    """Allow policies (``GET settings/allow_policies``)."""

    name = "allow policies"
    kind = "AllowPolicy"

    def __init__(self, client: Client) -> None:
        """Read the allow policies of one account."""
        where, entries = WhereAllowed(order="created_at", direction="asc"), client.settings.allow_policies
        super().__init__(lambda page, urgency: entries.list(where, page=page, urgency=urgency))


def read_report(raw: msgspec.Raw, _began: float) -> Reading:
    """Read the key fields of a report; an update is a new state of the same thing."""
    key = read(ReportKey, raw)
    created, updated = epoch(key.created_at), epoch(key.updated_at)
    thing = Thing("Report", _require_time(created or updated, "report"), str(key.id))
    return Reading(thing=thing, state=_write_state(updated or created), raw=bytes(raw))


def read_submission(raw: msgspec.Raw, _began: float) -> Reading:
    """Read the key fields of a submission; how far Cloudflare and the team are with it makes its state."""
    key = read(SubmissionKey, raw)
    if not key.submission_id:
        raise Unreadable("the submission has no id")
    thing = Thing("Submission", _require_time(epoch(key.requested_at), "submission"), key.submission_id)
    submission = Submission(**msgspec.structs.asdict(key))
    state = f"{submission.status}|{submission.outcome_disposition}|{submission.customer_status}"
    return Reading(thing=thing, state=state, raw=bytes(raw), submission=submission)


def read_list_entry(kind: str, raw: msgspec.Raw, _began: float) -> Reading:
    """Read the key fields of a list entry; each change of it is a thing of its own, as old as the change."""
    entry = read(PolicyKey, raw)
    if not entry.id:
        raise Unreadable("the entry has no id")
    at = _require_time(epoch(entry.changed_at), "entry")
    if not entry.pattern:
        raise Unreadable("the entry has no pattern, or none that can be read")
    return Reading(thing=Thing(kind, at, entry.id), state=_write_state(at), raw=bytes(raw))


def _require_time(at: float, what: str) -> float:
    """Return a time, or raise Unreadable when there is none."""
    if not at:
        raise Unreadable(f"the {what} has no time, or none that makes sense")
    return at


def _write_state(at: float) -> str:
    """Return the state of something whose only state is the time of its last change."""
    return f"{datetime.fromtimestamp(at, UTC):%FT%T.%fZ}"


def read_records(
    records: tuple[msgspec.Raw, ...],
    following: str | None,
    began: float,
    read: Callable[[msgspec.Raw, float], Reading],
) -> Fetched:
    """Read each record separately, so that a broken one does not cost the others."""
    readings: list[Reading] = []
    broken: list[Broken] = []
    trailing = 0
    for raw in records:
        try:
            readings.append(reading := read(raw, began))
        except Unreadable as problem:
            broken.append(keep_broken(raw, str(problem), began))
            trailing += 1
            continue
        unknown = bool(reading.verdict) and reading.verdict not in DISPOSITIONS
        trailing = trailing + 1 if unknown else 0
        if unknown:
            broken.append(_keep_unknown(reading))
    contradicted = _find_contradicted(readings)
    broken += (
        Broken(one.raw, TWICE, id=one.thing.id, start=one.thing.time, end=one.thing.time) for one in contradicted
    )
    sure = [one for one in readings if one not in contradicted] if contradicted else readings
    return Fetched(tuple(sure), tuple(broken), following, began, trailing)


def _keep_unknown(reading: Reading) -> Broken:
    """Return a message with an unknown verdict, which rules judge that name none."""
    thing, why = reading.thing, UNKNOWN.format(reading.verdict[:60])
    return Broken(reading.raw, why, judged=True, id=thing.id, start=thing.time, end=thing.time)


def _find_contradicted(readings: Iterable[Reading]) -> list[Reading]:
    """Return readings of messages of which a later record of the same page tells another state, or another mail."""
    messages = [one for one in readings if one.thing.kind == "Message"]
    last = {one.thing: one for one in messages}
    if len(last) == len(messages):
        return []
    return [one for one in messages if _tells_otherwise(one, last[one.thing])]


def _tells_otherwise(one: Reading, other: Reading) -> bool:
    """Tell whether two records of one id cannot both be true."""
    differs = one.raw != other.raw and try_names(one.raw) != try_names(other.raw)
    return one.state != other.state or differs


READERS: dict[str, Callable[[msgspec.Raw, float], Reading]] = {
    "messages": read_message,
    "reports": read_report,
    "submissions": read_submission,
    "blocked senders": partial(read_list_entry, "BlockedSender"),
    "allow policies": partial(read_list_entry, "AllowPolicy"),
}
"""What reads one record of a source."""
WHEN_NEEDED = (Reports, Submissions, BlockedSenders, AllowPolicies)
"""Sources that are read only while a rule uses them; submissions also while a request for a verdict is open."""
SOURCES = (Messages, *WHEN_NEEDED)
