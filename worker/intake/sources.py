"""Who tells us: each source fetches one page of a slice and turns its records into readings."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

import msgspec
from msgspec import Struct

from worker.api import Client, RecordPage, Urgency
from worker.api.bodies import WhereAllowed, WhereBlocked
from worker.api.submissions import WhereSubmission
from worker.language.base import Text, epoch
from worker.language.models import DISPOSITIONS
from worker.language.policies import ListEntry
from worker.ledger.values import Broken, Reading, Slice, SliceKind, Thing
from worker.observations import read_message

URGENCIES: dict[SliceKind, Urgency] = {
    "head": Urgency.HEAD,
    "overlap": Urgency.HEAD,
    "gap": Urgency.GAPS,
    "sweep": Urgency.SWEEP,
}


MONTH = 30 * 86400.0


class Fetched(Struct, frozen=True):
    """One page as it was read; ``next`` is the cursor of the page after it, None at the end of the slice."""

    readings: tuple[Reading, ...]
    broken: tuple[Broken, ...]
    next: str | None
    began: float


class Source(Protocol):
    """Something that can be read in slices of time."""

    @property
    def name(self) -> str:
        """The source's name, for ever."""

    @property
    def kind(self) -> str:
        """The noun it brings: what a rule must be about to need this source."""

    @property
    def pace(self) -> float:
        """How much more seldom than messages this source is asked."""

    @property
    def swept(self) -> float:
        """Seconds back that its sweep reaches at least, 0 for what is set for messages."""

    @property
    def stride(self) -> float:
        """Seconds that one slice of a gap or of its sweep spans."""

    @property
    def rest(self) -> float:
        """Seconds between two slices of its sweep."""

    @property
    def divisible(self) -> bool:
        """Whether half of a slice is easier to read than all of it."""

    async def fetch(self, slice_: Slice) -> Fetched:
        """Read one page; raises what the API raises."""


class ReportKey(Struct, frozen=True):
    """The fields of a report that the daemon itself reads."""

    id: int
    created_at: datetime | None = None
    updated_at: datetime | None = None


class SubmissionKey(Struct, frozen=True):
    """The fields of a submission that the daemon itself reads."""

    submission_id: str
    requested_at: datetime
    status: Text = ""
    outcome_disposition: Text = ""


_report_key = msgspec.json.Decoder(ReportKey)
_submission_key = msgspec.json.Decoder(SubmissionKey)
_entry = msgspec.json.Decoder(ListEntry)


class Messages:
    """Mail that was scanned (``GET investigate``)."""

    name = "messages"
    kind = "Message"
    pace = 1.0
    swept = 0.0
    stride = 3600.0
    rest = 10.0
    divisible = True

    def __init__(self, client: Client, clean_too: Callable[[], bool]) -> None:
        """Read detections; clean mail too while some rule names NONE."""
        self._client = client
        self._clean_too = clean_too

    async def fetch(self, slice_: Slice) -> Fetched:
        """Read one page of the search."""
        page = await self._client.investigate.search(
            start=slice_.start,
            end=slice_.end,
            cursor=slice_.cursor,
            detections_only=not self._clean_too(),
            urgency=URGENCIES[slice_.kind],
        )
        return fetched(page.records, page.next, page.begun, read_message)


class Numbered:
    """What is asked for seldom, by page numbers."""

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
        return fetched(page.records, page.next, page.begun, self._read)


class Reports(Numbered):
    """What PhishGuard analysts wrote (``GET phishguard/reports``)."""

    name = "reports"
    kind = "Report"

    def __init__(self, client: Client) -> None:
        """Read reports of one account."""
        ask = client.phishguard.reports
        super().__init__(
            lambda slice_, page, urgency: ask(start=slice_.start, end=slice_.end, page=page, urgency=urgency),
            report_reading,
        )


class Submissions(Numbered):
    """What people sent in to be looked at again (``GET submissions``), oldest first."""

    name = "submissions"
    kind = "Submission"

    def __init__(self, client: Client) -> None:
        """Read submissions of one account."""
        where, ask = WhereSubmission(order="requested_at", direction="asc"), client.submissions.list
        super().__init__(
            lambda slice_, page, urgency: ask(where, start=slice_.start, end=slice_.end, page=page, urgency=urgency),
            submission_reading,
        )


class PolicyList(Numbered):
    """A list of the account: always read whole, since a change of an old entry has no place in its order.

    Of the entries, those count that were made or changed within the slice.
    """

    pace = 30.0

    def __init__(self, ask: Callable[[int, Urgency], Awaitable[RecordPage]]) -> None:
        """Read the pages that ``ask`` returns, whatever the slice."""
        super().__init__(lambda _, page, urgency: ask(page, urgency), partial(entry_reading, self.kind))

    async def fetch(self, slice_: Slice) -> Fetched:
        """Read one page of the list."""
        found = await super().fetch(slice_)
        within = [one for one in found.readings if slice_.start <= one.thing.time <= slice_.end]
        return msgspec.structs.replace(found, readings=tuple(within))


class BlockedSenders(PolicyList):
    """Who is blocked (``GET settings/block_senders``)."""

    name = "blocked senders"
    kind = "BlockedSender"

    def __init__(self, client: Client) -> None:
        """Read the block list of one account."""
        where, entries = WhereBlocked(order="created_at", direction="asc"), client.settings.block_senders
        super().__init__(lambda page, urgency: entries.list(where, page=page, urgency=urgency))


class AllowPolicies(PolicyList):
    """Whose mail is let through (``GET settings/allow_policies``)."""

    name = "allow policies"
    kind = "AllowPolicy"

    def __init__(self, client: Client) -> None:
        """Read the allow policies of one account."""
        where, entries = WhereAllowed(order="created_at", direction="asc"), client.settings.allow_policies
        super().__init__(lambda page, urgency: entries.list(where, page=page, urgency=urgency))


def report_reading(raw: msgspec.Raw, _began: float) -> Reading:
    """Read a report's key fields; an updated report is a new state of the same thing."""
    key = _report_key.decode(raw)
    created, updated = epoch(key.created_at), epoch(key.updated_at)
    thing = Thing("Report", _some(created or updated, "report"), str(key.id))
    return Reading(thing=thing, state=_as_of(updated or created), raw=bytes(raw))


def submission_reading(raw: msgspec.Raw, _began: float) -> Reading:
    """Read a submission's key fields; how far it is, and what came of it, make its state."""
    key = _submission_key.decode(raw)
    thing = Thing("Submission", _some(epoch(key.requested_at), "submission"), key.submission_id)
    return Reading(thing=thing, state=f"{key.status or ''}|{key.outcome_disposition or ''}", raw=bytes(raw))


def entry_reading(kind: str, raw: msgspec.Raw, _began: float) -> Reading:
    """Read the key fields of an entry of a list; each change of it is a thing of its own, as old as that change."""
    entry = _entry.decode(raw)
    if not entry.id:
        raise ValueError("the entry has no id")
    at = _some(epoch(entry.changed_at), "entry")
    return Reading(thing=Thing(kind, at, entry.id), state=_as_of(at), raw=bytes(raw))


def _some(at: float, what: str) -> float:
    """Return a time that has to be there."""
    if not at:
        raise ValueError(f"the {what} has no time, or none that makes sense")
    return at


def _as_of(at: float) -> str:
    """Write the state of what has none but the time of its last change."""
    return f"{datetime.fromtimestamp(at, UTC):%FT%T.%fZ}"


def fetched(
    records: tuple[msgspec.Raw, ...],
    following: str | None,
    began: float,
    read: Callable[[msgspec.Raw, float], Reading],
) -> Fetched:
    """Read each record on its own, so that a broken one costs only itself."""
    readings: list[Reading] = []
    broken: list[Broken] = []
    for raw in records:
        try:
            readings.append(reading := read(raw, began))
        except (msgspec.MsgspecError, ValueError, OverflowError) as problem:
            broken.append(Broken(bytes(raw), str(problem)[:300]))
            continue
        if reading.verdict and reading.verdict not in DISPOSITIONS:
            broken.append(
                Broken(reading.raw, f"unknown final_disposition {reading.verdict[:60]!r}; rules still hear it")
            )
    return Fetched(tuple(readings), tuple(broken), following, began)


WHEN_NEEDED = (Reports, Submissions, BlockedSenders, AllowPolicies)
"""What is read only while some rule is about what it brings."""
SOURCES = (Messages, *WHEN_NEEDED)
