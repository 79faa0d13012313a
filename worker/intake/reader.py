"""Reader: reads one source page by page, judges each page and enters it in one transaction.

The head is a loop of its own: what lies behind it (overlap, gaps, sweep) and held events never delay it.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing

from msgspec.structs import replace

from worker.api import CutShort, SlowSearch
from worker.errors import NotFound, Rejected, ServerFault, WorkerError
from worker.intake.coverage import Interval, find_gaps, find_horizon
from worker.intake.legibility import Legibility
from worker.intake.mails import name_heard
from worker.intake.paging import ENDLESS, Stuck, walk_pages
from worker.intake.requests import follow_requests
from worker.intake.slices import Pace, SlicePlan
from worker.intake.sources import Fetched, Source
from worker.judging.judge import Judge, Judged, add_up
from worker.judging.services import AccountServices, Timing
from worker.judging.watches import FieldWatch
from worker.language.models import DISPOSITIONS
from worker.ledger.entries import Outcome
from worker.ledger.values import Broken, NewSights, Page, Reading, Slice

CUT = "what the API answers for this moment is cut short, or longer than any page that is read"
UNREADABLE: dict[type[WorkerError], str] = {
    SlowSearch: "the search took more than 60 s to answer",
    Stuck: ENDLESS,
}
"""Errors for which a slice is cut, since half of it may be readable, and the reason to keep with it."""


class Intake:
    """Reads one source of one account. The head and what lies behind it are separate steps, for separate loops."""

    def __init__(self, services: AccountServices, timing: Timing, *, source: Source, judge: Judge, pace: Pace) -> None:
        """Begin with nothing read."""
        self.account, self.source = services.account, source
        self.walking = False
        self.totals: Counter[str] = Counter()
        """Counts since the start: read, new, decisions."""
        self.legibility = Legibility(services.clock, source.name)
        self.fields = FieldWatch(source.name, source.kind)
        self.keep_fields: Callable[[], Awaitable[None]] = keep_nothing
        """Lets it be remembered that fields are missing, before what was judged without them is entered."""
        self._services, self._judge = services, judge
        self._ledger, self._clock = services.ledger, services.clock
        self._pace, self._settle = pace, timing.settle
        self._plan = SlicePlan(services, source, pace)
        self._pause = pace.soonest
        self._turn = asyncio.Lock()
        self._is_crowded = False
        """Whether not all events could be held when there were some to be held last."""

    @property
    def reached(self) -> float:
        """How far the source is read, in API time; 0 when nothing is read yet."""
        return self._plan.reached

    async def read_head(self) -> float:
        """Read from a little before the end of coverage until now; return the seconds until the next time.

        Something new makes the pause as short as it may be; each time without anything new lengthens it by half.
        """
        new = await self._walk(await self._plan.choose_head())
        quicker, slower = self._pace.soonest, self._pause * 1.5
        self._pause = min(max(quicker if new else slower, quicker), self._pace.latest)
        return self._pause

    async def read_behind(self) -> float:
        """Read one slice behind the head; return the seconds until there may be another."""
        slice_ = await self._plan.choose_behind()
        if slice_ is None:
            return self._plan.pause
        try:
            await self._walk(slice_)
        finally:
            self._plan.note_end(slice_)
        return 0.0

    @property
    def swept(self) -> float:
        """How many seconds back the source is swept."""
        return self.source.swept or self._pace.sweep

    async def find_gaps(self) -> tuple[Interval, ...]:
        """Return the gaps between the beginning of reading and the head."""
        coverage = await self._plan.read_coverage()
        return find_gaps(coverage.closed, coverage.since, find_horizon(coverage))

    async def _walk(self, slice_: Slice) -> int:
        """Read a slice to its end; return how many new sights it held.

        A slice that is too much for the API is cut; one that fails otherwise is put off and the error raised.
        """
        new = 0
        try:
            self.walking = True
            async with aclosing(walk_pages(self.source, slice_)) as pages:
                async for after, fetched in pages:
                    self.walking = fetched.next is not None
                    page = await self._enter_page(place(fetched, after), after)
                    new += len(page.news.sights)
                    slice_ = after
                    if self._is_crowded and after.kind == "unheard":
                        break
        except CutShort as error:
            if not self.source.divisible:
                await self._plan.put_off(slice_, str(error))
                raise
            lost = await self._plan.cut_finer(slice_, CUT)
            self.legibility.note(0, (lost,) if lost else (), 1)
        except (SlowSearch, Stuck, ServerFault, Rejected, NotFound) as error:
            if not self.source.divisible or type(error) not in UNREADABLE:
                await self._plan.put_off(slice_, str(error))
                raise
            await self._plan.cut(slice_, UNREADABLE[type(error)])
        finally:
            self.walking = False
        return new

    async def enter_readings(self, readings: Sequence[Reading]) -> None:
        """Judge and enter readings of this source that were made one by one."""
        await self.enter_again(Fetched(tuple(readings), (), None, self._clock.now()))

    async def fetch_again(self, start: float, end: float) -> Fetched:
        """Read the first page of a stretch, whatever has been read of it."""
        now = self._clock.now()
        stretch = Slice(source=self.source.name, kind="sweep", start=start, end=min(end, now), opened=now)
        return place(await self.source.fetch(stretch), stretch)

    async def enter_again(self, fetched: Fetched) -> Page:
        """Judge and enter what was read beside all slices."""
        return await self._enter_page(fetched, None)

    async def _enter_page(self, fetched: Fetched, after: Slice | None) -> Page:
        """Judge a page and enter it together with how far its slice is read."""
        for one in fetched.readings:
            if one.look is not None:
                self._services.looks.remember(one.thing.id, one.look)
        async with self._turn:
            now = self._clock.now()
            news = await self._ledger.news(self.account, fetched.readings, now, self._settle)
            judged = await self._judge_page(news, fetched, after)
            news = name_heard(_leave_out(news, judged), judged.rule_table)
            outcomes = await follow_requests(self._ledger, self.account, fetched.readings, fetched.began)
            page = self._make_page(fetched, news, judged, outcomes)
            if after:
                page = self._plan.advance(page, after)
                self.fields.note(page.news.sights, page.now)
                await self.keep_fields()
            entered = await self._ledger.enter(page)
            self._is_crowded = entered.left > 0 if page.held else self._is_crowded
        for digest in entered.read_again:
            self.legibility.forgive(digest)
        self._plan.note_page(page)
        if judged.drafts or outcomes or news.sights:  # a newer sight may end what others wait for
            self._services.wake.set()
        self._observe(fetched, news, judged)
        unheard = _list_unheard(page)
        lost = [*await self._list_lost(page), *unheard]
        self.legibility.note(len(news.sights) - len(unheard), lost, fetched.trailing)
        return page

    async def _judge_page(self, news: NewSights, fetched: Fetched, after: Slice | None) -> Judged:
        """Judge what is new, and in a stretch that is read again for it also what could not be held before."""
        judged = await self._judge.judge_new(news.sights, is_crowded=self._is_crowded)
        if after is None or after.kind != "unheard":
            return judged
        left = await self._ledger.find_unheard(self.account, fetched.readings, self._clock.now())
        return add_up([judged, await self._judge.judge_unheard(left)], judged.rule_table)

    def _make_page(self, fetched: Fetched, news: NewSights, judged: Judged, outcomes: tuple[Outcome, ...]) -> Page:
        broken = (*fetched.broken, *judged.broken)
        lost = {one.id for one in broken if not one.judged}
        return Page(
            account=self.account,
            now=self._clock.now(),
            source=self.source.name,
            news=news,
            judgements=judged.judgements,
            rule_table=judged.rule_table,
            drafts=judged.drafts,
            mishaps=judged.mishaps,
            broken=broken,
            readings=fetched.readings,
            legible=tuple(one.thing.id for one in fetched.readings if one.thing.id not in lost),
            verdicts={one.thing.id: one.verdict for one in fetched.readings if one.verdict in DISPOSITIONS},
            legible_since=fetched.began - self._settle,
            failing=tuple(one.thing.id for one in fetched.readings if one.look and "move_failed" in one.look.status),
            outcomes=outcomes,
            held=judged.held,
            spent=tuple(self._services.budget.count_spent()),
        )

    async def _list_lost(self, page: Page) -> list[Broken]:
        """Return what of a page nobody has judged, nor closed when it was read before."""
        lost = [(one.digest(page.source), one) for one in page.broken if not one.judged]
        digests = {digest for digest, _ in lost}
        settled = await self._ledger.find_settled_records(self.account, digests) if lost else ()
        return [one for digest, one in lost if digest not in settled]

    def _observe(self, fetched: Fetched, news: NewSights, judged: Judged) -> None:
        """Count what a page held."""
        read, broken = len(fetched.readings) + len(fetched.broken), len(fetched.broken) + len(judged.broken)
        self.totals.update({"read": read, "new": len(news.sights), "decisions": judged.decisions})
        self._services.observer.on_page(self.source.name, read, broken, len(news.sights))
        for mishap in judged.mishaps:
            self._services.observer.on_rule_failure(mishap.rule)


async def keep_nothing() -> None:
    """Keep nothing in mind, where nobody watches the fields."""


def place(fetched: Fetched, slice_: Slice) -> Fetched:
    """Give each record whose moment cannot be read that of the slice it came with."""
    placed = (one if one.end else replace(one, start=slice_.start, end=slice_.end) for one in fetched.broken)
    return replace(fetched, broken=tuple(placed))


def _list_unheard(page: Page) -> list[Broken]:
    """Return the new mail of a page whose verdict no rule can name, although some rule names dispositions."""
    table, new = page.rule_table, {sight.reading.raw for sight in page.news.sights}
    named = any(rule.trigger == "Message" and rule.dispositions is not None for rule in table.rules)
    return [one for one in page.broken if one.judged and one.raw in new] if named or not table.fingerprint else []


def _leave_out(news: NewSights, judged: Judged) -> NewSights:
    """Leave out what nobody could judge, so that it is new again when it can be read."""
    lost = {one.raw for one in judged.broken}
    return replace(news, sights=tuple(one for one in news.sights if one.reading.raw not in lost)) if lost else news
