"""Waking: APScheduler wakes each loop for its next turn; the monotonic clock sees that none is slept through."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from apscheduler.schedulers.asyncio import AsyncIOScheduler

LATE = 1.0
"""Seconds beyond twice the pause after which a wake-up is overdue."""


class Wakes:
    """One ``date`` job per loop, armed anew when its turn has ended. Leaves nothing scheduled when it is closed."""

    def __init__(self, stopping: asyncio.Event, overslept: Callable[[str], None], scheduler: Any = None) -> None:  # noqa: ANN401 (the library has no types)
        """``stopping`` ends every rest; ``overslept`` is told the name of a loop that had to be woken otherwise."""
        self._scheduler = scheduler or AsyncIOScheduler(timezone=UTC)
        self._stopping = stopping
        self._overslept = overslept

    async def __aenter__(self) -> Self:
        """Begin to wake."""
        self._scheduler.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Wake nobody any more."""
        self._scheduler.shutdown(wait=False)

    async def rest(self, name: str, seconds: float) -> None:
        """Return when the pause is over, or the worker is to stop.

        The scheduler goes by the wall clock and sleeps on when that is set back; hence the second, monotonic limit.
        """
        woken = asyncio.Event()

        async def wake() -> None:  # a coroutine: the scheduler runs plain functions in a thread
            woken.set()

        self._scheduler.add_job(
            wake,
            "date",
            run_date=datetime.now(UTC) + timedelta(seconds=seconds),
            id=name,
            replace_existing=True,
            misfire_grace_time=None,
            coalesce=True,
        )
        if not await first(woken, self._stopping, within=2 * seconds + LATE):
            self._overslept(name)


async def first(*events: asyncio.Event, within: float | None = None) -> bool:
    """Wait for whichever event comes first; False when none came within so many seconds."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        done, _ = await asyncio.wait(waiting, timeout=within, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
    return bool(done)
