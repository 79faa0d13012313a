"""The API client's room: one budget of requests per credential, and whose turn it is."""

import asyncio
import re
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from enum import IntEnum
from math import floor, inf
from typing import NamedTuple

from worker.api.clock import Clock
from worker.errors import Paced

SLACK = 1.0
"""Seconds by which our windows are longer than the API's: requests do not all travel equally fast."""
PER_SECOND = 100
"""Starts in any one second; the API allows 200 per address, which may be shared."""
PROBE = 5.0
"""Seconds to wait for the answer of the single request that finds out whether the gate is open again."""
LONGEST_RESET = 3600.0
"""Seconds to the end of a quota's window that are believed; a header that says more is wrong."""
SERVER_FAULT = 500
WITHIN = 0.999
"""Where in its second a predecessor's start counts as begun: at the end, yet not in the next one at every restart."""
UNDATED = 2.0**40
"""The second of a start whose API time nobody knew: later than any other, so that it is held longest."""
LEFT = re.compile(r"\br=(\d{1,9})\s*;\s*t=(\d{1,9})")
QUOTA = re.compile(r"\bq=(\d{1,9})")


class Urgency(IntEnum):
    """Whose turn comes first."""

    ACT = 0
    PROVE = 1
    HEAD = 2
    FACTS = 3
    GAPS = 4
    SWEEP = 5
    REPLAY = 6


BACKGROUND = (Urgency.GAPS, Urgency.SWEEP, Urgency.REPLAY)
BACKGROUND_SHARE = 0.75
"""What catching up may take of our share: otherwise a long gap spends what an act needs a minute later."""
SWEEP_SHARE = 0.1


class SlidingWindow:
    """At most ``limit`` starts in any ``seconds``."""

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit, self.seconds = limit, seconds
        self.starts: deque[float] = deque()

    def opens(self, now: float) -> float:
        """Return when one more start fits: ``now`` or later."""
        while self.starts and self.starts[0] + self.seconds <= now:
            self.starts.popleft()
        return now if len(self.starts) < self.limit else self.starts[-self.limit] + self.seconds

    def give_back(self, at: float) -> None:
        """Forget a start that did not happen."""
        with suppress(ValueError):
            self.starts.remove(at)


class Turn(NamedTuple):
    """Permission for one request: its number, and when it counts as begun."""

    number: int
    at: float


class Waiter(NamedTuple):
    """Somebody who waits for a turn, and until when that makes sense."""

    turn: "asyncio.Future[Turn]"
    until: float


class Others:
    """What the API says is left for us, since others spend of the same quota."""

    def __init__(self, quota: int, share: float) -> None:
        self._quota, self._share = quota, share
        self._left: int | None = None
        self._until = -inf
        self._probing = False
        self._first = 0

    def opens(self, now: float) -> float:
        """Return when one more start fits: ``now`` or later."""
        if self._left is None:
            return now
        if now >= self._until:
            self._expire()
        return self._until if self._left == 0 else now

    def _expire(self) -> None:
        """Forget what was told; if it held us back, go on with a single request until that is answered."""
        if self._left == 0:
            self._left, self._probing = 1, True
        elif not self._probing:
            self._left = None

    def spend(self, now: float) -> None:
        """Count a start."""
        if self._left is not None:
            self._left = max(0, self._left - 1)
        if self._probing:
            self._until = now + PROBE

    def give_back(self) -> None:
        """Take a start back."""
        if self._left is not None:
            self._left += 1

    def update(self, status: int, headers: Mapping[str, str], *, now: float, turn: int, turns: int) -> None:
        """Read what is left after the request of this turn; those begun later are not in the API's figure yet."""
        found = [(int(left), int(seconds)) for left, seconds in LEFT.findall(headers.get("ratelimit", ""))]
        if turn < self._first or (not found and status >= SERVER_FAULT):
            return
        self._first, self._left, self._probing = turn, None, False
        if found:
            left, seconds = min(found)
            quota = max(map(int, QUOTA.findall(headers.get("ratelimit-policy", ""))), default=self._quota)
            reserve = quota - floor(quota * self._share)
            self._left, self._until = max(0, left - reserve - (turns - turn)), now + min(seconds, LONGEST_RESET)

    def shut(self, until: float, turns: int) -> None:
        """Let nothing go before ``until``; answers to requests begun before now say nothing about afterwards."""
        self._left, self._until, self._probing, self._first = 0, until, False, turns + 1


class Budget:
    """Turns for one credential: never more than ``share`` of ``quota`` starts in any ``window`` seconds."""

    def __init__(
        self,
        clock: Clock,
        quota: int = 1200,
        window: float = 300.0,
        share: float = 0.8,
        spent: Sequence[tuple[float, int]] = (),
    ) -> None:
        """Count ``spent``, what a predecessor had stored, until it has left the window."""
        self._clock = clock
        self._window = window
        allowance = max(1, min(floor(quota * share), quota - 1))
        self._all = SlidingWindow(allowance, window + SLACK)
        second = SlidingWindow(PER_SECOND, 1.0)
        background = SlidingWindow(max(1, floor(allowance * BACKGROUND_SHARE)), window + SLACK)
        sweep = SlidingWindow(max(1, floor(allowance * SWEEP_SHARE)), window + SLACK)
        self._windows = {urgency: [self._all, second] for urgency in Urgency}
        for urgency in BACKGROUND:
            self._windows[urgency].append(background)
        self._windows[Urgency.SWEEP].append(sweep)
        self._others = Others(quota, share)
        self._queues: dict[Urgency, deque[Waiter]] = {urgency: deque() for urgency in Urgency}
        self._turns = 0
        self._shut = -inf
        self._timer: asyncio.Task[None] | None = None
        self._rings = inf
        self._begun = clock.monotonic()
        self._given = self._take_over(spent)

    def _take_over(self, spent: Sequence[tuple[float, int]]) -> list[float]:
        """Hold everything a predecessor spent against us, but for one request: its answer tells what time it is.

        Where the life before took that liberty too, and heard nothing, a window is waited out instead.
        """
        given = [second + WITHIN for second, count in sorted(spent) for _ in range(count)]
        most = self._all.limit - (UNDATED not in dict(spent))
        self._held = min(len(given), most)
        self._all.starts.extend([self._begun] * self._held)
        return given[-self._all.limit :]

    async def turn(self, urgency: Urgency, patience: float = inf) -> int:
        """Wait until a request may leave, which must be at once; return the turn's number for ``update``.

        Raises Paced as soon as it is clear that there will be none within ``patience`` seconds.
        """
        waiter = Waiter(asyncio.get_running_loop().create_future(), self._clock.monotonic() + patience)
        self._queues[urgency].append(waiter)
        self._give_turns()
        try:
            return (await waiter.turn).number
        except asyncio.CancelledError:
            self._withdraw(urgency, waiter)
            raise

    def _withdraw(self, urgency: Urgency, waiter: Waiter) -> None:
        """Give back the turn, or the place, of somebody who went away."""
        if waiter.turn.cancelled():
            with suppress(ValueError):  # its turn may have come since
                self._queues[urgency].remove(waiter)
        elif not waiter.turn.exception():
            self._others.give_back()
            for window in self._windows[urgency]:
                window.give_back(waiter.turn.result().at)
        self._give_turns()

    def _give_turns(self) -> None:
        """Let everybody go whose turn it is, and wake again when the next one's has come."""
        now = self._clock.monotonic()
        next_at = inf
        for urgency, queue in self._queues.items():
            while queue:
                at = self._opens(urgency, now)
                if at > now:
                    self._refuse(queue, at, now)
                    next_at = min(next_at, at) if queue else next_at
                    break
                waiter = queue.popleft()
                if not waiter.turn.cancelled():
                    self._start(urgency, waiter, now)
        self._wake(next_at, now)

    def _refuse(self, queue: deque[Waiter], at: float, now: float) -> None:
        """Send away who would not wait for so long."""
        for waiter in [one for one in queue if one.until < at and not one.turn.cancelled()]:
            queue.remove(waiter)
            why = "the request budget is spent for now; this is tried again when it is not"
            waiter.turn.set_exception(Paced(why, after=at - now))

    def _opens(self, urgency: Urgency, now: float) -> float:
        """Return when one more request of this urgency fits everywhere."""
        return max(self._others.opens(now), *(window.opens(now) for window in self._windows[urgency]))

    def _start(self, urgency: Urgency, waiter: Waiter, now: float) -> None:
        for window in self._windows[urgency]:
            window.starts.append(now)
        self._others.spend(now)
        self._turns += 1
        waiter.turn.set_result(Turn(self._turns, now))

    def _wake(self, at: float, now: float) -> None:
        """Keep one timer, at the earliest moment when anybody may go."""
        if at == self._rings:
            return
        if self._timer:
            self._timer.cancel()
        self._rings = at
        self._timer = asyncio.create_task(self._ring(at - now)) if at < inf else None

    async def _ring(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._timer, self._rings = None, inf
        self._give_turns()

    def update(self, status: int, headers: Mapping[str, str], turn: int | None = None) -> None:
        """Read how much is left: ``headers`` in lower case, after the clock has heard the same answer's Date."""
        now = self._clock.monotonic()
        if "date" in headers:
            self._date()
        if status == 429:  # noqa: PLR2004 (Too Many Requests)
            self._shut = max(self._shut, now + _retry_after(headers, self._window))
            self._others.shut(self._shut, self._turns)
        else:
            number = self._turns if turn is None else turn
            self._others.update(status, headers, now=now, turn=number, turns=self._turns)
        self._give_turns()

    def _date(self) -> None:
        """Now that the API's time is known, count what a predecessor spent only as long as it lasts."""
        if not self._given:
            return
        now = self._clock.monotonic()
        ahead = self._clock.now() - now
        self._all.opens(now)
        self._all.starts = deque(sorted([*(min(at - ahead, now) for at in self._given), *self._ours(now)]))
        self._given = []

    def _ours(self, now: float) -> list[float]:
        """Return the starts without the stand-ins for a predecessor's, which are the oldest and all of one moment."""
        here = now < self._begun + self._all.seconds
        return list(self._all.starts)[self._held if here and self._given else 0 :]

    def count_spent(self) -> list[tuple[float, int]]:
        """Return the starts inside the window per second of API time; to be stored, and given to the successor."""
        now = self._clock.monotonic()
        self._all.opens(now)
        ahead = self._clock.now() - now
        ours = [UNDATED if self._given else start + ahead for start in self._ours(now)]
        return sorted(Counter(float(floor(at)) for at in (*self._given, *ours)).items())

    def wait(self, urgency: Urgency) -> float:
        """Estimate in seconds how long a request of this urgency would wait if it were alone."""
        now = self._clock.monotonic()
        return self._opens(urgency, now) - now

    @property
    def left(self) -> int:
        """How many requests fit our share of the window now."""
        self._all.opens(self._clock.monotonic())
        return self._all.limit - len(self._all.starts)

    @property
    def closed_until(self) -> float:
        """The API time until which a 429 stops everything; 0 when nothing does."""
        now = self._clock.monotonic()
        return self._clock.now() + self._shut - now if self._shut > now else 0.0


def _retry_after(headers: Mapping[str, str], window: float) -> float:
    """Read a 429's wait in seconds; when it names none, everything is blocked for a window."""
    told = headers.get("retry-after", "")
    return max(1.0, float(told)) if re.fullmatch(r"\d{1,9}", told) else window
