"""The API client's room: time as the API tells it, carried forward by the monotonic clock."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol


class Clock(Protocol):
    """Time, handed in. All of it in seconds."""

    def monotonic(self) -> float:
        """Return a time that only grows; for measuring and waiting."""
        ...

    def now(self) -> float:
        """Return the API's time, since the epoch."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let so much monotonic time pass."""
        ...

    def sync(self, date: str, *, sent: float, received: float) -> None:
        """Take note of an answer's Date header and of the monotonic times around it."""
        ...


JUMP = 60.0
"""Seconds by which one answer alone does not move the time: a wrong Date would end blocks and let questions lapse."""


class ApiClock:
    """The API's time. The wall clock counts only until the first answer, and its jumps never."""

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.monotonic = monotonic
        self._sleep = sleep
        self._ahead = self._doubted = wall() - monotonic()
        self._told = False

    def now(self) -> float:
        """Return the API's time in seconds since the epoch."""
        return self.monotonic() + self._ahead

    async def sleep(self, seconds: float) -> None:
        """Let so much monotonic time pass."""
        await self._sleep(seconds)

    def sync(self, date: str, *, sent: float, received: float) -> None:
        """Move only as far as this Date proves us wrong: whole seconds and slow answers do not shake the time."""
        try:
            stamp = seconds(parsedate_to_datetime(date))
        except (ValueError, OverflowError):
            return
        least, most = stamp - received, stamp + 1 - sent
        if not self._told:  # an early guess must not lie in the future: intervals end at now()
            self._ahead = self._doubted = self._ahead if least <= self._ahead <= most else least
            self._told = True
            return
        said, doubted = min(max(self._ahead, least), most), self._doubted
        self._doubted = said
        if abs(said - self._ahead) <= JUMP or abs(said - doubted) <= JUMP:
            self._ahead = said


def seconds(moment: datetime) -> float:
    """Return a moment as seconds since the epoch; one that names no zone is UTC."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def format_time(moment: float) -> str:
    """Write seconds since the epoch as RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
