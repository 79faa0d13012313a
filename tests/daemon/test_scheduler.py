"""Scheduling: a loop rests as long as it said, unless the worker stops, and never longer than twice that."""

import asyncio
from typing import Any

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from worker.daemon.scheduler import LATE, Scheduler


class Asleep(AsyncIOScheduler):  # type: ignore[misc]
    """A scheduler that sleeps on, as one does after the wall clock was set back."""

    def start(self, *_: Any, **__: Any) -> None:  # noqa: ANN401 (the library's signature)
        """Start, and run no job."""
        super().start(paused=True)


async def rest(scheduler: Scheduler, *pauses: float) -> float:
    """Rest a few times and return the seconds that took."""
    clock = asyncio.get_running_loop().time
    begun = clock()
    async with scheduler:
        for pause in pauses:
            await scheduler.rest("messages", pause)
    return clock() - begun


@pytest.mark.slow
async def test_a_rest_lasts_as_long_as_was_said() -> None:
    overslept: list[str] = []
    took = await rest(Scheduler(asyncio.Event(), overslept.append), 0.05, 0.0, 0.05)
    assert 0.09 <= took < 1
    assert overslept == []


async def test_stopping_ends_every_rest() -> None:
    stopping = asyncio.Event()
    stopping.set()
    assert await rest(Scheduler(stopping, lambda _: None), 3600.0) < 1


@pytest.mark.slow
async def test_a_wake_up_that_does_not_come_is_made_up_for_by_the_monotonic_clock() -> None:
    overslept: list[str] = []
    took = await rest(Scheduler(asyncio.Event(), overslept.append, Asleep()), 0.01)
    assert LATE <= took < LATE + 1
    assert overslept == ["messages"]
