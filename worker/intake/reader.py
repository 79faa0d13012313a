"""Intake: one source is read slice by slice, page by page; each page is judged and entered in one transaction.

The head runs by itself; everything behind it (overlap, gaps, sweep) and held events run beside it and never hold it up.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from worker.api import Slow
from worker.errors import NotFound, Rejected, ServerFault, Temporary, WorkerError
from worker.intake import coverage as reading
from worker.intake.coverage import Interval
from worker.intake.sources import Fetched, Source
from worker.judging.judge import Judge, Judged
from worker.ledger.values import Coverage, News, Page, Reading, Slice
from worker.services import AccountServices, Timing

SLOW_AGAIN, FAULT_AGAIN = 300.0, 60.0
"""Seconds until a slice is tried again that is too slow to be answered, or that is answered by a fault."""
RESTARTS = 3
"""How often a slice is begun again in one walk because the API does not go on in the middle of it."""


class Stuck(Temporary):
    """The API does not go on in the middle of a slice, however often that is begun again."""


WHY: dict[type[WorkerError], str] = {
    Slow: "the search took more than 60 s to answer",
    Stuck: "the API does not go on in the middle of it",
}


class Pace(Struct, frozen=True, kw_only=True):
    """How a source is read; all in seconds."""

    soonest: float
    latest: float
    lookback: float
    overlap: float
    overlap_every: float
    sweep: float
    sweep_every: float


class Intake:
    """Reads one source of one account to its end, for ever. The head and what lies behind it are stepped apart."""

    def __init__(
        self,
        services: AccountServices,
        timing: Timing,
        *,
        source: Source,
        judge: Judge,
        pace: Pace,
    ) -> None:
        """Begin with nothing read."""
        self.source = source
        self.account = services.account
        self.walking = False
        self.reached = 0.0
        self.totals: Counter[str] = Counter()
        """What was read and decided since the start: read, new, decisions."""
        self._judge = judge
        self._ledger = services.ledger
        self._looks = services.looks
        self._clock = clock = services.clock
        self._pace = pace
        self._settle = timing.settle
        self._contact = services.contact
        self._begun = False
        self._spent = services.budget.spent
        self._observer = services.observer
        self._wake = services.wake
        self._turn = asyncio.Lock()
        self._pause = pace.soonest
        self._overlap_at = clock.monotonic() + pace.overlap_every
        self._sweep_at = clock.monotonic()

    async def head(self) -> float:
        """Read from a little before the end of coverage until now; return the seconds until the next time.

        Something new halves the pause, nothing new lengthens it, never beyond the latest.
        """
        coverage = await self._present(await self._coverage())
        slice_ = reading.choose_head(self.source.name, coverage, self._clock.now())
        new = await self._walk(slice_, self._since(coverage))
        quicker, slower = self._pace.soonest, self._pause * 1.5
        self._pause = min(max(quicker if new else slower, quicker), self._pace.latest)
        return self._pause

    async def behind(self) -> float:
        """Read one slice of what lies behind the head; return the seconds until there may be more to read."""
        coverage = await self._coverage()
        now = self._clock.now()
        if not reading.find_horizon(coverage):
            return self._pace.soonest
        gap = reading.choose_gap(self.source.name, coverage, now, self.source.stride)
        slice_ = self._overlap(now) or gap or self._sweep(coverage, now)
        if slice_ is None:
            return max(min(self._overlap_at, self._sweep_at) - self._clock.monotonic(), self._pace.soonest)
        try:
            await self._walk(slice_, self._since(coverage))
        finally:
            if slice_.kind == "overlap":  # from its end on, so that a slow one leaves the gaps their time
                self._overlap_at = self._clock.monotonic() + self._pace.overlap_every
        return 0.0

    async def gaps(self) -> tuple[Interval, ...]:
        """Return what is not read between the beginning and the head."""
        coverage = await self._coverage()
        return reading.find_gaps(coverage.closed, coverage.since, reading.find_horizon(coverage))

    async def _coverage(self) -> Coverage:
        if not self._begun:
            await self._contact()
        coverage = await self._ledger.coverage(self.account, self.source.name)
        if not self._begun and coverage.closed:  # a worker that dies every minute still reads again what comes late
            self._overlap_at = self._clock.monotonic()
        self._begun = True
        self.reached = reading.find_end(coverage)
        return coverage

    async def _present(self, coverage: Coverage) -> Coverage:
        """Make a gap of a head that was broken off long ago, which goes on where it was."""
        old = reading.find_stale_head(coverage, self._clock.now())
        if old is None:
            return coverage
        await self._replace(old, replace(old, kind="gap", why="its reading was broken off"))
        return await self._coverage()

    def _since(self, coverage: Coverage) -> float:
        return coverage.since or self._clock.now() - self._pace.lookback

    def _overlap(self, now: float) -> Slice | None:
        """Return the last stretch again, once a minute: mail is indexed late, verdicts change early."""
        if not self._pace.overlap or self._clock.monotonic() < self._overlap_at:
            return None
        return Slice(source=self.source.name, kind="overlap", start=now - self._pace.overlap, end=now, opened=now)

    def _sweep(self, coverage: Coverage, now: float) -> Slice | None:
        """Return the next stretch of the long way back; where it stands is written down, so a restart goes on there."""
        if not self._pace.sweep or self._clock.monotonic() < self._sweep_at:
            return None
        self._sweep_at = self._clock.monotonic() + self._pace.sweep_every
        return reading.choose_sweep(self.source.name, coverage, now, self.source.stride)

    async def _walk(self, slice_: Slice, since: float) -> int:
        """Read a slice to its end; return how many new sights it held.

        What cannot be read in one is cut; what the API answers with a fault behind the head has its turn again later.
        """
        new = 0
        try:
            self.walking = True
            async with aclosing(self._pages(slice_)) as pages:
                async for after, fetched in pages:
                    self.walking = fetched.next is not None
                    new += await self._enter(fetched, partial(self._advanced, after=after, since=since))
                    slice_ = after
        except (Slow, Stuck, ServerFault, Rejected, NotFound) as error:
            if not self.source.divisible or type(error) not in WHY:
                await self._put_off(slice_, since, str(error))
                raise
            await self._cut(slice_, since, WHY[type(error)])
        finally:
            self.walking = False
        return new

    async def _pages(self, slice_: Slice) -> AsyncGenerator[tuple[Slice, Fetched]]:
        """Yield each page with the slice as it stands after it, fetching one page ahead; raise Stuck, too."""
        ahead, restarts, been = asyncio.ensure_future(self._fetch(slice_)), 0, set[str | None]()
        try:
            while True:
                read, fetched = await ahead
                if read is not slice_:
                    restarts, been = restarts + 1, set()
                if restarts > RESTARTS or fetched.next in been:
                    raise Stuck(WHY[Stuck])
                slice_ = read
                been.add(fetched.next)
                after = replace(slice_, end=min(slice_.end, fetched.began) if slice_.cursor is None else slice_.end)
                after = replace(after, cursor=fetched.next)
                if fetched.next is not None:
                    ahead = asyncio.ensure_future(self._fetch(after))
                yield after, fetched
                if fetched.next is None:
                    return
                slice_ = after
        finally:
            ahead.cancel()

    async def _fetch(self, slice_: Slice) -> tuple[Slice, Fetched]:
        """Read one page; a cursor that brings no page begins the slice again, which loses nothing."""
        try:
            return slice_, await self.source.fetch(slice_)
        except (Rejected, NotFound, ServerFault):
            if slice_.cursor is None:
                raise
        begun = replace(slice_, cursor=None)
        return begun, await self.source.fetch(begun)

    async def see(self, readings: Sequence[Reading]) -> None:
        """Enter what somebody else has read of this source: it is judged like everything that is read here."""
        await self._enter(Fetched(tuple(readings), (), None, self._clock.now()), lambda page: page)

    async def _enter(self, fetched: Fetched, advanced: Callable[[Page], Page]) -> int:
        """Judge a page and enter it, with how far the slice is read; return how many sights were new."""
        for one in fetched.readings:
            if one.look is not None:
                self._looks.saw(one.thing.id, one.look)
        async with self._turn:
            now = self._clock.now()
            news = await self._ledger.news(self.account, fetched.readings, now, self._settle)
            judged = await self._judge.new(news.sights)
            page = advanced(self._page(judged, news, fetched))
            await self._ledger.enter(page)
        if page.closes and page.slice and page.slice.kind == "head":
            self.reached = max(self.reached, page.slice.end)
        if judged.drafts:
            self._wake.set()
        self._observe(fetched, news, judged)
        return len(news.sights)

    def _page(self, judged: Judged, news: News, fetched: Fetched) -> Page:
        return Page(
            account=self.account,
            now=self._clock.now(),
            source=self.source.name,
            news=news,
            drafts=judged.drafts,
            mishaps=judged.mishaps,
            broken=(*fetched.broken, *judged.broken),
            failing=tuple(one.thing.id for one in fetched.readings if one.look and "move_failed" in one.look.status),
            held=judged.held,
            spent=tuple(self._spent()),
        )

    def _advanced(self, page: Page, after: Slice, since: float) -> Page:
        """Say how far the slice is read; an overlap leaves no trace, and a stretch of the sweep names the next."""
        if after.kind == "overlap":
            return page
        closes = after.cursor is None
        if closes and after.kind == "sweep":
            return replace(page, slice=after, instead=(self._next_sweep(after, page.now, since),))
        return replace(page, slice=after, closes=closes, since=since)

    async def _put_off(self, slice_: Slice, since: float, why: str) -> None:
        """Let older gaps have their turn before one that gives faults, and the sweep step over what does."""
        now = self._clock.now()
        if slice_.kind == "gap":
            instead = replace(slice_, why=why, next_at=now + FAULT_AGAIN)
        elif slice_.kind == "sweep":
            instead = self._next_sweep(slice_, now, since)
        else:
            return
        await self._replace(slice_, instead, since=since)

    async def _cut(self, slice_: Slice, since: float, why: str) -> None:
        """Put two halves in the place of a slice that cannot be read in one; a minute stays an open gap.

        The sweep steps on, and what it could not read again becomes a gap, unless it is one already.
        """
        if slice_.kind == "overlap":
            return
        now = self._clock.now()
        instead = reading.halve(slice_, now + SLOW_AGAIN, why)
        if slice_.kind == "sweep":
            left = (await self._ledger.coverage(self.account, self.source.name)).open
            known = any(one.kind == "gap" and one.start < slice_.end and slice_.start < one.end for one in left)
            instead = (*(() if known else instead), self._next_sweep(slice_, now, since))
        await self._replace(slice_, *instead, since=since)

    async def _replace(self, slice_: Slice, *instead: Slice, since: float = 0.0) -> None:
        now, source = self._clock.now(), self.source.name
        await self._ledger.enter(
            Page(account=self.account, now=now, source=source, slice=slice_, instead=instead, since=since)
        )

    def _next_sweep(self, swept: Slice, now: float, since: float) -> Slice:
        back_to = max(now - (self.source.swept or self._pace.sweep), since)
        return reading.advance_sweep(swept, now, back_to, self.source.stride)

    def _observe(self, fetched: Fetched, news: News, judged: Judged) -> None:
        """Count what a page came to."""
        read, broken = len(fetched.readings) + len(fetched.broken), len(fetched.broken) + len(judged.broken)
        self.totals.update({"read": read, "new": len(news.sights), "decisions": len(judged.drafts)})
        self._observer.on_page(self.source.name, read, broken)
        for mishap in judged.mishaps:
            self._observer.on_rule_failure(mishap.rule)
