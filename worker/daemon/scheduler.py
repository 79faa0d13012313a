"""Scheduling: APScheduler wakes each loop for its next turn; a monotonic limit catches the wake-ups it misses."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from apscheduler.schedulers.asyncio import AsyncIOScheduler

LATE = 1.0
"""Seconds beyond twice the pause after which a wake-up is overdue."""


class Scheduler:
    """One ``date`` job per loop, scheduled anew when its turn has ended. Closing it leaves nothing scheduled."""

    def __init__(self, stopping: asyncio.Event, on_oversleep: Callable[[str], None], jobs: Any = None) -> None:  # noqa: ANN401 (the library has no types)
        """``stopping`` ends every rest; ``on_oversleep`` is called with the name of a loop whose job did not run."""
        self._jobs = jobs or AsyncIOScheduler(timezone=UTC)
        self._stopping = stopping
        self._on_oversleep = on_oversleep

    async def __aenter__(self) -> Self:
        """Start the jobs."""
        self._jobs.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Drop every job."""
        self._jobs.shutdown(wait=False)

    async def rest(self, name: str, seconds: float) -> None:
        """Return when the pause is over, or when the worker is to stop."""
        woken = asyncio.Event()

        async def wake() -> None:  # a coroutine: the scheduler runs plain functions in a thread
            woken.set()

        self._jobs.add_job(
            wake,
            "date",
            run_date=datetime.now(UTC) + timedelta(seconds=seconds),
            id=name,
            replace_existing=True,
            misfire_grace_time=None,
            coalesce=True,
        )
        # Jobs follow the wall clock: when that is set back, they run late. The second limit is monotonic.
        if not await wait_for_first(woken, self._stopping, within=2 * seconds + LATE):
            self._on_oversleep(name)


async def wait_for_first(*events: asyncio.Event, within: float) -> bool:
    """Wait for the first of several events; return False when none came ``within`` so many seconds."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        done, _ = await asyncio.wait(waiting, timeout=within, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
    return bool(done)
