"""Long waits, in time that jumps: who is told to wait keeps the place, what is not answered stays an open gap."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import pytest

from tests.api.desk import EPOCH, Inside, clock, loop_time, quickly
from tests.faults.rig import Trapped
from tests.ledger.memory import in_memory
from tests.simulation import Rules
from tests.support import open_mail
from worker.api import Budget, Client
from worker.daemon.loops import build_loops
from worker.errors import Temporary
from worker.intake import coverage
from worker.intake.reader import Intake
from worker.intake.slices import Pace
from worker.intake.sources import Messages
from worker.judging.facts import Facts
from worker.judging.services import AccountServices, Timing
from worker.language.rules import ENFORCE
from worker.ledger.db.runner import SyncRunner
from worker.ledger.entries import Standing
from worker.ledger.ledger import Ledger
from worker.ledger.values import Coverage
from worker.sandbox import ACCOUNT, Fault, IncomingRequest, MailFlow, OutgoingResponse
from worker.telemetry import Metrics

pytestmark = pytest.mark.slow  # it reads thousands of messages, for hours

PACE = Pace(
    soonest=1.0, latest=10.0, lookback=1800.0, overlap=0.0, overlap_every=60.0, sweep=0.0, sweep_every=60.0
)  # fmt: skip


class Reader(NamedTuple):
    """An account, and one source of it that is read into a ledger."""

    world: Trapped
    ledger: Ledger
    source: Intake

    async def turns(self, step: Callable[[], Awaitable[float]], count: int) -> None:
        """Take turns as the daemon does."""
        for _ in range(count):
            try:
                pause = await step()
            except Temporary as error:
                pause = max(10.0, error.after)
            await asyncio.sleep(pause)

    async def covered(self) -> Coverage:
        """Return what is read, and what is being read."""
        return await self.ledger.coverage(ACCOUNT, "messages")

    def searches(self, status: str) -> int:
        """Count the searches that were answered so."""
        return self.world.requests["GET investigate"][status]


def reader(*, life: int = 1, runner: SyncRunner | None = None, world: Trapped | None = None) -> Reader:
    """Make a reader of half an hour of mail; another life of it goes on with the same ledger and account."""
    world = world or Trapped(now=lambda: EPOCH + loop_time(), mail_flow=MailFlow(messages=4000, history=1500.0))
    ledger = Ledger(runner or in_memory(), owner=f"life {life}")
    time = clock()
    budget = Budget(time)
    client = Client(Inside(world), budget, time, ACCOUNT)
    facts = Facts(client, time, open_mail)
    (intake,), *_ = build_loops(
        AccountServices(
            account=ACCOUNT,
            client=client,
            budget=budget,
            ledger=ledger,
            clock=time,
            contact=facts.policies,
            observer=Metrics(),
        ),
        Timing(settle=60.0),
        sources=[(Messages(client, lambda: True), PACE)],
        facts=facts,
        rules=Rules(),
        standing=lambda: Standing(ceiling=ENFORCE, rules={}),
        notify=None,
    )
    return Reader(world, ledger, intake)


async def everything(one: Reader) -> bool:
    """Tell whether all mail was read and nothing is open."""
    covered, now = await one.covered(), one.world.clock()
    return not covered.open and not coverage.find_gaps(covered.closed, covered.since, now - 60)


def pages_of(world: Trapped, do: Callable[[int], object]) -> list[IncomingRequest]:
    """Collect the searches that were answered with a page, and do something after each."""
    pages: list[IncomingRequest] = []

    def trap(request: IncomingRequest, told: OutgoingResponse) -> None:
        if request.path.endswith("/investigate") and told.status == 200:
            pages.append(request)
            do(len(pages))

    world.trap = trap
    return pages


def test_others_who_have_spent_the_budget_are_waited_for_and_the_walk_goes_on_where_it_was() -> None:
    async def day() -> None:
        one = reader()
        pages = pages_of(one.world, lambda count: one.world.spend_elsewhere(1200) if count == 3 else None)
        await one.turns(one.source.read_head, 1)
        begun = loop_time()
        await one.turns(one.source.read_behind, 2)
        assert 300 <= loop_time() - begun < 330
        await one.turns(one.source.read_head, 1)
        assert await everything(one)
        assert (one.searches("429"), len(pages)) == (1, len({page.query for page in pages}))

    quickly(day)


def test_a_restart_during_that_wait_goes_on_from_the_page_that_was_entered() -> None:
    async def day() -> None:
        runner, one = in_memory(), reader()
        one = reader(runner=runner, world=one.world)
        pages = pages_of(one.world, lambda count: one.world.spend_elsewhere(1200) if count == 3 else None)
        await one.turns(one.source.read_head, 1)
        walk = asyncio.create_task(one.turns(one.source.read_behind, 2))
        await asyncio.wait((walk,), timeout=100)
        walk.cancel()
        two = reader(life=2, runner=runner, world=one.world)
        await two.turns(two.source.read_behind, 2)
        await two.turns(two.source.read_head, 1)
        assert await everything(two)
        assert len(pages) == len({page.query for page in pages})

    quickly(day)


def test_a_search_that_is_never_answered_is_halved_stays_an_open_gap_and_is_read_when_it_is() -> None:
    async def day() -> None:
        one = reader()
        await one.turns(one.source.read_head, 1)
        one.world.faults.script([Fault("accepted", "GET", "investigate", count=10**6, seconds=10**6)])
        await one.turns(one.source.read_behind, 8)
        covered, now = await one.covered(), one.world.clock()
        later = [slice_ for slice_ in covered.open if slice_.next_at > now]
        assert later
        assert all(slice_.end - slice_.start <= 60 and "60 s" in slice_.why for slice_ in later)
        assert coverage.find_gaps(covered.closed, covered.since, now - 900)
        one.world.faults.written.clear()
        await one.turns(one.source.read_behind, 400)
        await one.turns(one.source.read_head, 1)
        assert await everything(one)

    quickly(day)


def test_a_head_that_is_never_answered_loses_nothing_either() -> None:
    async def day() -> None:
        one = reader()
        one.world.faults.script([Fault("accepted", "GET", "investigate", count=10**6, seconds=10**6)])
        await one.turns(one.source.read_head, 5)
        assert not (await one.covered()).closed
        one.world.faults.written.clear()
        await one.turns(one.source.read_head, 2)
        await one.turns(one.source.read_behind, 60)
        assert await everything(one)

    quickly(day)
