"""The API's time, kept between answers by the monotonic clock."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple, Protocol

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

    def past(self) -> float:
        """Return the time that is past by the wall clock, too: what ends by time ends by this."""
        ...

    def latest(self) -> float:
        """Return the later of the API's time and the wall clock: from it the time of what is made for a time runs."""
        ...

    @property
    def is_known(self) -> bool:
        """Whether an answer has told the time, and it is believed."""
        ...

    def remember(self, newest: float) -> None:
        """Note up to when anything has been read: it is later than that."""
        ...

    @property
    def off(self) -> float:
        """Seconds by which the wall clock is ahead of the API's time; 0 before that is known."""
        ...

    @property
    def doubted(self) -> float:
        """Seconds by which the last answer was ahead of the time that goes on, because it is not believed; else 0.

        While no time is known, the wall clock's goes on.
        """
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for so many seconds of monotonic time."""
        ...

    def sync(self, date: str, *, sent: float, received: float) -> None:
        """Adjust to the Date header of an answer, which was made between two monotonic times."""
        ...


JUMP = 60.0
"""A larger jump in seconds is not believed at once: a proxy with a wrong clock must end nothing and hide nothing."""
NEAR = 600.0
"""Seconds that the first Date may differ from the wall clock and be believed at once."""
APART = 30.0
"""Seconds between two first answers that are believed although the wall clock says otherwise, since they agree."""
ANSWERS, MINUTES = 10, 300.0
"""How many answers must agree, and over how many seconds, to move the time against the wall clock."""


class ApiClock:
    """The API's time, with the wall clock as its witness."""

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        apart: float = APART,
    ) -> None:
        """``apart`` is for how many seconds a first Date must hold against a wall clock that says otherwise."""
        self.monotonic, self._wall, self._sleep, self._apart = monotonic, wall, sleep, apart
        self._ahead = self._wall_ahead = self._read_wall()
        self._rival: Rival | None = None
        self._newest = 0.0
        self.is_known = False
        """Whether an answer has told the time, and it is believed."""

    def now(self) -> float:
        """Return the API's time in seconds since the epoch; before it is known, the best guess."""
        return self.monotonic() + self._ahead

    def past(self) -> float:
        """Return the time that is past by the wall clock, too: what ends by time ends by this."""
        return self.monotonic() + min(self._ahead, self._read_wall())

    def latest(self) -> float:
        """Return the later of the API's time and the wall clock: from it the time of what is made for a time runs."""
        return self.monotonic() + max(self._ahead, self._read_wall())

    def remember(self, newest: float) -> None:
        """Note up to when anything has been read: a first Date before that is not believed against the wall clock."""
        self._newest = newest

    @property
    def off(self) -> float:
        """Seconds by which the wall clock is ahead of the API's time; 0 before that is known."""
        return self._read_wall() - self._ahead if self.is_known else 0.0

    @property
    def doubted(self) -> float:
        """Seconds by which the last answer was ahead of the time that goes on, because it is not believed; else 0."""
        if self._rival is None:
            return 0.0
        return self._rival.ahead - (self._ahead if self.is_known else self._read_wall())

    async def sleep(self, seconds: float) -> None:
        """Wait for so many seconds of monotonic time."""
        await self._sleep(seconds)

    def sync(self, date: str, *, sent: float, received: float) -> None:
        """Adjust no more than this Date requires, so that whole seconds and slow answers do not move the time."""
        stamp = read_date(date)
        if stamp is None:
            return
        least, most = stamp - received, stamp + 1 - sent
        if not self.is_known:
            self._meet(least, most, received)
        else:
            self._follow(min(max(self._ahead, least), most), received)
        self._wall_ahead = self._read_wall()

    def _meet(self, least: float, most: float, received: float) -> None:
        """Take a first time if the wall clock says about the same, or else if it has held for long enough.

        It must not be in the future, because intervals end at now().
        """
        wall = self._read_wall()
        near = abs(least - wall) <= NEAR
        agrees = self._rival is not None and abs(least - self._rival.ahead) <= JUMP
        guess = self._ahead if agrees else wall
        self._ahead = min(max(guess, least), most) if agrees or least <= wall <= most else least
        self._note_rival(least, received)
        is_later = least + received + JUMP >= self._newest
        self.is_known = near or (is_later and self._has_held(self._apart, answers=2))
        self._rival = None if self.is_known else self._rival

    def _follow(self, said: float, received: float) -> None:
        """Take a time that is close, or has moved as the wall clock has (the machine slept), or on which many agree."""
        moved, wall_moved = said - self._ahead, self._read_wall() - self._wall_ahead
        if abs(moved) > JUMP and abs(moved - wall_moved) > JUMP:
            self._note_rival(said, received)
            if not self._has_held(MINUTES, answers=ANSWERS):
                return
        self._ahead, self._rival = said, None

    def _note_rival(self, ahead: float, received: float) -> None:
        """Count an answer that says otherwise; one that contradicts those before it begins anew."""
        rival = self._rival
        if rival is None or abs(ahead - rival.ahead) > JUMP:
            rival = Rival(ahead, received, received, 0)
        self._rival = rival._replace(last=received, answers=rival.answers + 1)

    def _has_held(self, seconds: float, answers: int) -> bool:
        rival = self._rival
        return rival is not None and rival.answers >= answers and rival.last - rival.since >= seconds

    def _read_wall(self) -> float:
        return self._wall() - self.monotonic()


class Rival(NamedTuple):
    """Another time that answers agree on: how far it is ahead of the monotonic clock, since when, how often."""

    ahead: float
    since: float
    last: float
    answers: int


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
