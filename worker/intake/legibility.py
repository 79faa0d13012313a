"""Legibility: how much of what a source brought in the last hour could not be read; each record counts once.

So does mail whose verdict nobody knows, since rules that name verdicts cannot hear it.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from typing import NamedTuple

from worker.api import Clock
from worker.ledger.values import Broken

HOUR = 3600.0
MANY, SHARE, IN_A_ROW = 10, 0.01, 3
"""Not ready: at least so many records and more than this share of an hour, or so many last ones in a row."""
REMEMBERED = 10_000
SAYS = {False: "could not be read", True: "{have} a verdict that this version does not know"}
"""What is said of records, by whether rules get them all the same."""


class _Page(NamedTuple):
    at: float
    sound: int


class _Lost(NamedTuple):
    at: float
    why: str
    is_judged: bool
    """It could be read, and only its verdict is unknown."""
    times: int
    """How often it came at most on one page: records that say nothing may be equal, and are as many."""


class Legibility:
    """What one source brought lately."""

    def __init__(self, clock: Clock, source: str) -> None:
        self._clock, self._source = clock, source
        self._sound: deque[_Page] = deque()
        self._broken: OrderedDict[str, _Lost] = OrderedDict()
        self._run = 0

    def note(self, sound: int, broken: Sequence[Broken], trailing: int) -> None:
        """Note a page: how many records are new and sound, which are broken, and how many of these came last."""
        now, known = self._clock.monotonic(), self._count()
        times = Counter(one.digest(self._source) for one in broken)
        for one in broken:
            digest = one.digest(self._source)
            lost = self._broken.setdefault(digest, _Lost(now, one.why, one.judged, times[digest]))
            self._broken[digest] = lost._replace(times=max(lost.times, times[digest]))
        new = self._count() - known
        if sound:
            self._sound.append(_Page(now, sound))
        self._run = min(trailing, new) if sound else self._run + new
        self._forget(now)

    @property
    def digests(self) -> tuple[str, ...]:
        """The records that count as unreadable until somebody has judged or closed them."""
        return tuple(self._broken)

    def forgive(self, digest: str) -> None:
        """Count a record no longer: it was judged after all, or a person has closed it."""
        if lost := self._broken.pop(digest, None):
            self._run = max(0, self._run - lost.times)

    def explain(self) -> str:
        """Say how much could not be read, or has an unknown verdict, when that is too much; else nothing."""
        self._forget(self._clock.monotonic())
        broken, sound = self._count(), sum(page.sound for page in self._sound)
        many = broken >= MANY and broken > SHARE * (broken + sound)
        if not many and self._run < IN_A_ROW:
            return ""
        told = filter(None, (self._tell(broken + sound, is_judged=is_judged) for is_judged in SAYS))
        return " and ".join(told)

    def _tell(self, total: int, *, is_judged: bool) -> str:
        """Say how many records are lost in one way, and why the last is; empty when none is."""
        lost = [one for one in self._broken.values() if one.is_judged == is_judged]
        number = sum(one.times for one in lost)
        says = SAYS[is_judged].format(have="has" if number == 1 else "have")
        return f"{number} of {total} records of the last hour {says}, the last: {lost[-1].why}" if lost else ""

    @property
    def unreadable(self) -> int:
        """How many records of the last hour could not be read."""
        self._forget(self._clock.monotonic())
        return self._count()

    def _count(self) -> int:
        return sum(lost.times for lost in self._broken.values())

    def _forget(self, now: float) -> None:
        while self._sound and self._sound[0].at < now - HOUR:
            self._sound.popleft()
        while self._broken and (next(iter(self._broken.values())).at < now - HOUR or len(self._broken) > REMEMBERED):
            self._broken.popitem(last=False)
        self._run = self._run if self._broken else 0
