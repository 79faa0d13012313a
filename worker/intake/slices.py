"""Slices: which stretch of a source is read next, and what replaces one that cannot be read.

The ledger keeps both, so that a restart continues where the process before it stopped.
"""

from msgspec import Struct
from msgspec.structs import replace

from worker.intake.coverage import (
    Interval,
    advance_sweep,
    choose_gap,
    choose_head,
    choose_reread,
    choose_sweep,
    find_end,
    find_gaps,
    find_horizon,
    find_stale_head,
    halve,
    step_around,
)
from worker.intake.sources import SECOND, Source
from worker.judging.services import AccountServices
from worker.ledger.values import REREAD, Broken, Coverage, Page, Slice

FUTURE = 60.0
"""Seconds by which coverage may be ahead of the time before it is taken for a wrong clock's."""
SLOW_AGAIN, FAULT_AGAIN = 300.0, 60.0
"""Seconds until a slice is tried again: one that is too slow to answer, and one that the API fails."""


class Pace(Struct, frozen=True, kw_only=True):
    """How often a source is read, and how far back; all in seconds."""

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
        """Begin without coverage; it is in the ledger."""
        self._account, self._ledger, self._clock = services.account, services.ledger, services.clock
        self._contact, self._source, self._pace = services.contact, source, pace
        self._begun = False
        self._since = 0.0
        self._overlap_at = self._clock.monotonic() + pace.overlap_every
        self._sweep_at = self._clock.monotonic()
        self._parts = list[Interval]()
        """What is left of the overlap in hand."""
        self.reached = 0.0
        """How far the source is read, in API time; 0 when nothing is read yet."""

    # -- what is read next --------------------------------------------------------------------------------------------

    async def choose_head(self) -> Slice:
        """Return the head; one that was interrupted long ago becomes a gap, so that new mail does not wait for it."""
        coverage = await self.read_coverage()
        if old := find_stale_head(coverage, self._clock.now()):
            await self._replace(old, replace(old, kind="gap", why="reading it was interrupted"))
            coverage = await self.read_coverage()
        return choose_head(self._source.name, coverage, self._clock.now())

    async def choose_behind(self) -> Slice | None:
        """Return the next slice behind the head: the overlap, a gap, what is read again, or the sweep, if it is due."""
        coverage, now = await self.read_coverage(), self._clock.now()
        if not find_horizon(coverage):
            return None
        gap = choose_gap(self._source.name, coverage, now, self._source.stride)
        first = self._choose_overlap(coverage, now) or gap or choose_reread(coverage, now)
        return first or await self._choose_sweep(coverage, now)

    async def read_coverage(self) -> Coverage:
        """Return what is read; the first time after contact with the API, whose time every slice is in."""
        if not self._begun:
            await self._contact()
        coverage = await self._ledger.coverage(self._account, self._source.name)
        now = self._clock.now()
        if max(find_end(coverage), coverage.since) > now + FUTURE:
            await self._ledger.mend_future(self._account, self._source.name, now)
            coverage = await self._ledger.coverage(self._account, self._source.name)
        if not self._begun and coverage.closed:  # a worker that dies every minute must still read the overlap
            self._overlap_at = self._clock.monotonic()
        self._begun = True
        self._since = coverage.since or self._clock.now() - self._pace.lookback
        self.reached = find_end(coverage)
        return coverage

    @property
    def pause(self) -> float:
        """Seconds until there may be something to read behind the head."""
        return max(min(self._overlap_at, self._sweep_at) - self._clock.monotonic(), self._pace.soonest)

    def _choose_overlap(self, coverage: Coverage, now: float) -> Slice | None:
        """Return the last stretch once more when it is due: mail is indexed late, and verdicts change early."""
        if not self._parts and self._pace.overlap and self._clock.monotonic() >= self._overlap_at:
            self._parts = list(find_gaps(coverage.unread, now - self._pace.overlap, now))
        if not self._parts:
            return None
        start, end = self._parts.pop()
        return Slice(source=self._source.name, kind="overlap", start=start, end=end, opened=now)

    async def _choose_sweep(self, coverage: Coverage, now: float) -> Slice | None:
        """Return the next stretch of the sweep when it is due."""
        if not self._pace.sweep or self._clock.monotonic() < self._sweep_at:
            return None
        self._sweep_at = self._clock.monotonic() + self._pace.sweep_every
        chosen = choose_sweep(self._source.name, coverage, now, self._source.stride)
        around = chosen if chosen.cursor else step_around(chosen, coverage.unread)
        if around != chosen:
            await self._replace(chosen, around if around.start < around.end else self._after_sweep(around, now))
        return around if around.start < around.end else None

    # -- how far it is read -------------------------------------------------------------------------------------------

    def advance(self, page: Page, after: Slice) -> Page:
        """Add to a page how far its slice is read; an overlap leaves no trace, and a sweep names its next stretch."""
        if after.kind == "overlap":
            return page
        closes = after.cursor is None
        if closes and after.kind == "sweep":
            return replace(page, slice=after, instead=(self._after_sweep(after, page.now),))
        return replace(page, slice=after, closes=closes, since=self._since)

    def note_page(self, page: Page) -> None:
        """Note that a page was entered."""
        if page.closes and page.slice and page.slice.kind == "head":
            self.reached = max(self.reached, page.slice.end)

    def note_end(self, slice_: Slice) -> None:
        """Note that the walk of a slice is over."""
        if (
            slice_.kind == "overlap" and not self._parts
        ):  # its pause begins at its end, so that a slow overlap leaves time for gaps
            self._overlap_at = self._clock.monotonic() + self._pace.overlap_every

    # -- what cannot be read ------------------------------------------------------------------------------------------

    async def put_off(self, slice_: Slice, why: str) -> None:
        """Put a failing gap behind the older ones, and let the sweep step over what fails."""
        now = self._clock.now()
        if slice_.kind in {"gap", *REREAD}:
            await self._replace(slice_, replace(slice_, why=why, next_at=now + FAULT_AGAIN))
        elif slice_.kind == "sweep":
            await self._replace(slice_, self._after_sweep(slice_, now))

    async def cut(self, slice_: Slice, why: str) -> None:
        """Replace a slice that is too much for the API by its halves; a minute stays an open gap.

        The sweep moves on, and what it could not read becomes a gap, unless it is one already.
        """
        if slice_.kind == "overlap":
            return
        now = self._clock.now()
        instead = halve(slice_, now + SLOW_AGAIN, why)
        if slice_.kind == "sweep":
            left = (await self._ledger.coverage(self._account, self._source.name)).open
            known = any(one.kind == "gap" and one.start < slice_.end and slice_.start < one.end for one in left)
            instead = (*(() if known else instead), self._after_sweep(slice_, now))
        await self._replace(slice_, *instead)

    async def cut_finer(self, slice_: Slice, why: str) -> Broken | None:
        """Halve a slice of which the answer is cut short; a second is closed, and kept as what cannot be read.

        The sweep, and the overlap, move on from where they were.
        """
        halves, now = halve(slice_, 0.0, why, SECOND), self._clock.now()
        instead = (self._after_sweep(slice_, now),) if slice_.kind == "sweep" else ()
        if len(halves) > 1:
            await self._replace(slice_, *halves, *instead)
            return None
        lost = Broken(b"", why, start=slice_.start, end=slice_.end)
        page = Page(account=self._account, now=now, source=self._source.name, broken=(lost,), since=self._since)
        closes = slice_.kind in {"head", "gap", *REREAD}
        await self._ledger.enter(
            replace(page, slice=None if slice_.kind == "overlap" else slice_, closes=closes, instead=instead)
        )
        return lost

    async def _replace(self, slice_: Slice, *instead: Slice) -> None:
        page = Page(account=self._account, now=self._clock.now(), source=self._source.name, slice=slice_)
        await self._ledger.enter(replace(page, instead=instead, since=self._since))

    def _after_sweep(self, swept: Slice, now: float) -> Slice:
        back_to = max(now - (self._source.swept or self._pace.sweep), self._since)
        return advance_sweep(swept, now, back_to, self._source.stride)
