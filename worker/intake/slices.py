"""Slices: which stretch of a source is read next, and what takes the place of one that cannot be read.

Both are kept in the ledger, so that a restart continues where the process before it stopped.
"""

from msgspec import Struct
from msgspec.structs import replace

from worker.intake import coverage as reading
from worker.intake.sources import Source
from worker.ledger.values import Coverage, Page, Slice
from worker.services import AccountServices

SLOW_AGAIN, FAULT_AGAIN = 300.0, 60.0
"""Seconds until a slice is tried again that is too slow to be answered, or that is answered by a fault."""


class Pace(Struct, frozen=True, kw_only=True):
    """How a source is read; all in seconds."""

    soonest: float
    latest: float
    lookback: float
    overlap: float
    overlap_every: float
    sweep: float
    sweep_every: float


class SlicePlan:
    """Chooses the slices of one source of one account: the head, and behind it overlap, gaps and sweep."""

    def __init__(self, services: AccountServices, source: Source, pace: Pace) -> None:
        """Begin knowing nothing of what is read; the ledger tells."""
        self._account, self._ledger, self._clock = services.account, services.ledger, services.clock
        self._contact, self._source, self._pace = services.contact, source, pace
        self._begun = False
        self._since = 0.0
        self._overlap_at = self._clock.monotonic() + pace.overlap_every
        self._sweep_at = self._clock.monotonic()
        self.reached = 0.0
        """How far the source is read, in API time; 0 when nothing is read yet."""

    # -- what is read next --------------------------------------------------------------------------------------------

    async def choose_head(self) -> Slice:
        """Return the head; one that was broken off long ago becomes a gap, for the present must not wait for it."""
        coverage = await self.read_coverage()
        if old := reading.find_stale_head(coverage, self._clock.now()):
            await self._replace(old, replace(old, kind="gap", why="its reading was broken off"))
            coverage = await self.read_coverage()
        return reading.choose_head(self._source.name, coverage, self._clock.now())

    async def choose_behind(self) -> Slice | None:
        """Return what is read next behind the head: the overlap when it is due, else a gap, else the sweep."""
        coverage, now = await self.read_coverage(), self._clock.now()
        if not reading.find_horizon(coverage):
            return None
        gap = reading.choose_gap(self._source.name, coverage, now, self._source.stride)
        return self._choose_overlap(now) or gap or self._choose_sweep(coverage, now)

    async def read_coverage(self) -> Coverage:
        """Return what is read; the first time only after the API has answered, since until then no time is known."""
        if not self._begun:
            await self._contact()
        coverage = await self._ledger.coverage(self._account, self._source.name)
        if not self._begun and coverage.closed:  # a worker that dies every minute still reads again what comes late
            self._overlap_at = self._clock.monotonic()
        self._begun = True
        self._since = coverage.since or self._clock.now() - self._pace.lookback
        self.reached = reading.find_end(coverage)
        return coverage

    @property
    def pause(self) -> float:
        """Seconds until there may be something to read behind the head."""
        return max(min(self._overlap_at, self._sweep_at) - self._clock.monotonic(), self._pace.soonest)

    def _choose_overlap(self, now: float) -> Slice | None:
        """Return the last stretch again, once a minute: mail is indexed late, verdicts change early."""
        if not self._pace.overlap or self._clock.monotonic() < self._overlap_at:
            return None
        return Slice(source=self._source.name, kind="overlap", start=now - self._pace.overlap, end=now, opened=now)

    def _choose_sweep(self, coverage: Coverage, now: float) -> Slice | None:
        """Return the next stretch of the long way back."""
        if not self._pace.sweep or self._clock.monotonic() < self._sweep_at:
            return None
        self._sweep_at = self._clock.monotonic() + self._pace.sweep_every
        return reading.choose_sweep(self._source.name, coverage, now, self._source.stride)

    # -- how far it is read -------------------------------------------------------------------------------------------

    def advance(self, page: Page, after: Slice) -> Page:
        """Write on a page how far its slice is read; an overlap leaves no trace, and a sweep names what comes next."""
        if after.kind == "overlap":
            return page
        closes = after.cursor is None
        if closes and after.kind == "sweep":
            return replace(page, slice=after, instead=(self._after_sweep(after, page.now),))
        return replace(page, slice=after, closes=closes, since=self._since)

    def note_page(self, page: Page) -> None:
        """Note that a page is in the ledger."""
        if page.closes and page.slice and page.slice.kind == "head":
            self.reached = max(self.reached, page.slice.end)

    def note_end(self, slice_: Slice) -> None:
        """Note that a slice was read, or given up."""
        if slice_.kind == "overlap":  # it pauses from its end on, so that a slow one leaves the gaps their time
            self._overlap_at = self._clock.monotonic() + self._pace.overlap_every

    # -- what cannot be read ------------------------------------------------------------------------------------------

    async def put_off(self, slice_: Slice, why: str) -> None:
        """Let older gaps have their turn before one that gives faults, and the sweep step over what does."""
        now = self._clock.now()
        if slice_.kind == "gap":
            await self._replace(slice_, replace(slice_, why=why, next_at=now + FAULT_AGAIN))
        elif slice_.kind == "sweep":
            await self._replace(slice_, self._after_sweep(slice_, now))

    async def cut(self, slice_: Slice, why: str) -> None:
        """Put two halves in the place of a slice that cannot be read in one; a minute stays an open gap.

        The sweep steps on, and what it could not read again becomes a gap, unless it is one already.
        """
        if slice_.kind == "overlap":
            return
        now = self._clock.now()
        instead = reading.halve(slice_, now + SLOW_AGAIN, why)
        if slice_.kind == "sweep":
            left = (await self._ledger.coverage(self._account, self._source.name)).open
            known = any(one.kind == "gap" and one.start < slice_.end and slice_.start < one.end for one in left)
            instead = (*(() if known else instead), self._after_sweep(slice_, now))
        await self._replace(slice_, *instead)

    async def _replace(self, slice_: Slice, *instead: Slice) -> None:
        page = Page(account=self._account, now=self._clock.now(), source=self._source.name, slice=slice_)
        await self._ledger.enter(replace(page, instead=instead, since=self._since))

    def _after_sweep(self, swept: Slice, now: float) -> Slice:
        back_to = max(now - (self._source.swept or self._pace.sweep), self._since)
        return reading.advance_sweep(swept, now, back_to, self._source.stride)
