"""The API's time, kept between answers by the monotonic clock."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol

SECOND = 2.0
"""The API tells its time to the second only, so what we take for its time may be corrected by this much, in seconds."""


class Clock(Protocol):
    """The time, in seconds."""

    def monotonic(self) -> float:
        """Return a time that never goes back, for measuring and waiting."""
        ...

    def now(self) -> float:
        """Return the API's time in seconds since the epoch."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for so many seconds of monotonic time."""
        ...

    def sync(self, date: str, *, sent: float, received: float) -> None:
        """Adjust to the Date header of an answer, which was made between two monotonic times."""
        ...


JUMP = 60.0
"""A larger jump in seconds needs a second answer to confirm it: one wrong Date would end blocks too early."""


class ApiClock:
    """The API's time. The wall clock is used only until the first answer, and its jumps are ignored."""

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.monotonic = monotonic
        self._sleep = sleep
        self._ahead = self._doubted = wall() - monotonic()
        self._synced = False

    def now(self) -> float:
        """Return the API's time in seconds since the epoch."""
        return self.monotonic() + self._ahead

    async def sleep(self, seconds: float) -> None:
        """Wait for so many seconds of monotonic time."""
        await self._sleep(seconds)

    def sync(self, date: str, *, sent: float, received: float) -> None:
        """Adjust no more than this Date requires, so that whole seconds and slow answers do not move the time."""
        stamp = read_date(date)
        if stamp is None:
            return
        least, most = stamp - received, stamp + 1 - sent
        if not self._synced:  # the first guess must not be in the future, because intervals end at now()
            self._ahead = self._doubted = self._ahead if least <= self._ahead <= most else least
            self._synced = True
            return
        said, doubted = min(max(self._ahead, least), most), self._doubted
        self._doubted = said
        if abs(said - self._ahead) <= JUMP or abs(said - doubted) <= JUMP:
            self._ahead = said


def read_date(text: str) -> float | None:
    """Return an HTTP date as seconds since the epoch, None when the text is none."""
    try:
        return seconds(parsedate_to_datetime(text))
    except (ValueError, OverflowError):
        return None


def seconds(moment: datetime) -> float:
    """Return a time as seconds since the epoch; without a zone it is UTC."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def format_time(moment: float) -> str:
    """Format seconds since the epoch as RFC 3339 in UTC, with milliseconds."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
