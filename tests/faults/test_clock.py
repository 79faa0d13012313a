"""Clocks that are wrong or jump: intervals go by the API's time and the monotonic clock, and nothing else."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.daemon.bench import Bench, hasten, until
from worker import daemon
from worker.api import ApiClock
from worker.daemon import App
from worker.sandbox import ACCOUNT
from worker.settings import Settings
from worker.telemetry import Metrics, Outlets, open_log

pytestmark = pytest.mark.slow
HOUR = 3600.0


class Wall:
    """A wall clock that somebody sets."""

    def __init__(self, wrong: float = 0.0) -> None:
        """Begin so many seconds ahead."""
        self.wrong = wrong

    def __call__(self) -> float:
        """Tell the time."""
        return time.time() + self.wrong


@asynccontextmanager
async def worker(bench: Bench, wall: Wall) -> AsyncIterator[App]:
    """Run a worker that has such a clock on its wall."""
    settings, clock = Settings.load(bench.environment), ApiClock(wall=wall, sleep=hasten, apart=0.0)
    outlets = Outlets(open_log(bench.log), bench.records, Metrics())
    async with daemon.open_app(settings, outlets, clock=clock) as app, daemon.run_loops(app):
        yield app


async def moved(bench: Bench, app: App, count: int) -> None:
    """Let some mail arrive, and wait until it was moved and proved."""
    before = len(bench.world.effects)
    bench.world.arrive(count, "outbreak")
    await until(lambda: len(bench.world.effects) == before + count)
    await until(lambda: bench.records.getvalue().count(b'"to":"done"') == len(bench.world.effects))
    covered = await app.services.ledger.coverage(ACCOUNT, "messages")
    assert covered.closed[-1][1] <= time.time()


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
async def test_a_wall_clock_that_is_set_by_an_hour_changes_nothing(tmp_path: Path, jump: float) -> None:
    bench, wall = Bench(tmp_path), Wall()
    async with bench.api(), worker(bench, wall) as app:
        await moved(bench, app, 3)
        wall.wrong = jump
        await moved(bench, app, 3)
        await until(lambda: app.check_readiness().ready)
        assert [await intake.find_gaps() for intake in app.workers[0].intakes] == [()] * len(app.workers[0].intakes)
    assert bench.world.repeats() == []


@pytest.mark.parametrize("wrong", [HOUR, -HOUR])
async def test_a_restart_with_a_wrong_clock_goes_on_where_the_last_one_stopped(tmp_path: Path, wrong: float) -> None:
    bench = Bench(tmp_path)
    async with bench.api():
        async with worker(bench, Wall()) as app:
            await moved(bench, app, 3)
        bench.world.arrive(2, "outbreak")
        async with worker(bench, Wall(wrong)) as app:
            await until(lambda: len(bench.world.effects) == 5)
            await moved(bench, app, 3)
            assert [await intake.find_gaps() for intake in app.workers[0].intakes] == [()] * len(app.workers[0].intakes)
            assert sum(count for _, count in app.workers[0].connection.budget.count_spent()) < 100
    assert bench.world.repeats() == []
