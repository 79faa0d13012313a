"""The request budget of a credential, and who may send the next request."""

import asyncio
import re
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from enum import IntEnum
from math import floor, inf
from typing import NamedTuple

from worker.api.clock import Clock
from worker.api.retry_after import read_retry_after
from worker.errors import Paced

SLACK = 1.0
"""Seconds by which windows are longer than the API's, because requests take different times to arrive."""
PER_SECOND = 100
"""Requests in any second; the API allows 200 per IP address, which others may share."""
PROBE = 5.0
"""Seconds to wait for the answer of the single request that tests whether the quota is available again."""
LONGEST_RESET = 900.0
"""Seconds that are waited at once for the quota to reset, whatever a header names: then a single request tests it."""
SERVER_FAULT = 500
WITHIN = 0.999
"""When in its second a predecessor's request counts: at the end, but never so late that restarts shift it."""
UNDATED = 2.0**40
"""The second of a request whose API time was unknown: later than any other, so that it counts longest."""
LEFT = re.compile(r"\br=(-?\d{1,30})\s*;\s*t=(-?\d{1,30})")
QUOTA = re.compile(r"\bq=(\d{1,30})")
LARGEST_QUOTA = 1_000_000
"""A header that names a larger quota is wrong: the part of it that is left to others would be all there is."""


class Urgency(IntEnum):
    """Which requests go first, most urgent first."""

    ACT = 0
    PROVE = 1
    HEAD = 2
    FACTS = 3
    GAPS = 4
    SWEEP = 5
    REPLAY = 6


BACKGROUND = (Urgency.GAPS, Urgency.SWEEP, Urgency.REPLAY)
BACKGROUND_SHARE = 0.75
"""The part of the budget for catching up, so that a long gap does not spend what an action needs later."""
SWEEP_SHARE = 0.1


class SlidingWindow:
    """Allows ``limit`` requests in any ``seconds``."""

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit, self.seconds = limit, seconds
        self.starts: deque[float] = deque()

    def opens(self, now: float) -> float:
        """Return when one more request fits: ``now`` or later."""
        while self.starts and self.starts[0] + self.seconds <= now:
            self.starts.popleft()
        return now if len(self.starts) < self.limit else self.starts[-self.limit] + self.seconds

    def give_back(self, at: float) -> None:
        """Remove a request that was not sent."""
        with suppress(ValueError):
            self.starts.remove(at)


class Turn(NamedTuple):
    """Permission for one request: its number, and when it counts as sent."""

    number: int
    at: float


class Waiter(NamedTuple):
    """A caller that waits for a turn, and until when it waits."""

    turn: "asyncio.Future[Turn]"
    until: float


class Others:
    """What the API says is left of the quota, which others spend too."""

    def __init__(self, quota: int, share: float) -> None:
        self._quota, self._share = quota, share
        self._left: int | None = None
        self._until = -inf
        self._probing = False
        self._first = 0

    def opens(self, now: float) -> float:
        """Return when one more request fits: ``now`` or later."""
        if self._left is None:
            return now
        if now >= self._until:
            self._expire()
        return self._until if self._left == 0 else now

    def _expire(self) -> None:
        """Forget what the API said; if nothing was left, test with a single request first."""
        if self._left == 0:
            self._left, self._probing = 1, True
        elif not self._probing:
            self._left = None

    def spend(self, now: float) -> None:
        """Count a request."""
        if self._left is not None:
            self._left = max(0, self._left - 1)
        if self._probing:
            self._until = now + PROBE

    def give_back(self) -> None:
        """Take a request back that was not sent."""
        if self._left is not None:
            self._left += 1

    def update(self, status: int, headers: Mapping[str, str], *, now: float, turn: int, turns: int) -> None:
        """Read what was left after the request of this turn; later requests are not in the API's figure yet."""
        found = [(int(left), int(seconds)) for left, seconds in LEFT.findall(headers.get("ratelimit", ""))]
        if turn < self._first or (not found and status >= SERVER_FAULT):
            return
        self._first, self._left, self._probing = turn, None, False
        if found:
            left, seconds = min(found)
            quota = self._read_quota(headers.get("ratelimit-policy", ""))
            reserve = quota - floor(quota * self._share)
            self._left, self._until = max(0, left - reserve - (turns - turn)), now + min(seconds, LONGEST_RESET)

    def _read_quota(self, policy: str) -> int:
        """Return the largest quota that a policy names and that can be one."""
        named = map(int, QUOTA.findall(policy))
        return max((quota for quota in named if 0 < quota <= LARGEST_QUOTA), default=self._quota)

    def shut(self, until: float, turns: int) -> None:
        """Allow nothing before ``until``; answers to requests that were sent before now are ignored."""
        self._left, self._until, self._probing, self._first = 0, until, False, turns + 1


class Budget:
    """Gives turns to the requests of one credential: at most ``share`` of ``quota`` in any ``window`` seconds."""

    def __init__(
        self,
        clock: Clock,
        quota: int = 1200,
        window: float = 300.0,
        share: float = 0.8,
        spent: Sequence[tuple[float, int]] = (),
    ) -> None:
        """``spent`` is what a predecessor stored with ``count_spent``; it counts until it leaves the window."""
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
        self._shut = self._refused = self._put_off = -inf
        self._timer: asyncio.Task[None] | None = None
        self._rings = inf
        self._begun = clock.monotonic()
        self._given = self._take_over(spent)

    def _take_over(self, spent: Sequence[tuple[float, int]]) -> list[float]:
        """Count everything that a predecessor spent, except one request, whose answer gives the API's time.

        If one within this window already used that exception, or got no answer, wait for a whole window instead.
        """
        given = [second + WITHIN for second, count in sorted(spent) for _ in range(count)]
        used = UNDATED in dict(spent) or len(given) == self._all.limit + 1
        most = self._all.limit - (not used)
        self._held = min(len(given), most)
        self._all.starts.extend([self._begun] * self._held)
        return given[-(self._all.limit + 1) :]  # with the exception, so that a successor knows that it was used

    def space_out(self, part: float) -> float:
        """Return the seconds between two requests of a caller that takes at most this part of the share."""
        return self._all.seconds / (self._all.limit * part)

    async def turn(self, urgency: Urgency, patience: float = inf) -> int:
        """Wait until a request may be sent, which must then happen at once; return the turn's number for ``update``.

        Raises Paced as soon as it is clear that there will be no turn within ``patience`` seconds.
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
        """Give back the turn, or the place in the queue, of a cancelled caller."""
        if waiter.turn.cancelled():
            with suppress(ValueError):  # it may have had its turn meanwhile
                self._queues[urgency].remove(waiter)
        elif not waiter.turn.exception():
            self._others.give_back()
            for window in self._windows[urgency]:
                window.give_back(waiter.turn.result().at)
        self._give_turns()

    def _give_turns(self) -> None:
        """Give every turn that is possible now, and set a timer for the next one."""
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
        """Raise Paced in callers that do not wait for so long."""
        for waiter in [one for one in queue if one.until < at and not one.turn.cancelled()]:
            queue.remove(waiter)
            why = "the request budget is spent for now; this is tried again later"
            waiter.turn.set_exception(Paced(why, after=at - now))

    def _opens(self, urgency: Urgency, now: float) -> float:
        """Return when one more request of this urgency fits in all windows."""
        return max(self._others.opens(now), *(window.opens(now) for window in self._windows[urgency]))

    def _start(self, urgency: Urgency, waiter: Waiter, now: float) -> None:
        for window in self._windows[urgency]:
            window.starts.append(now)
        self._others.spend(now)
        self._turns += 1
        waiter.turn.set_result(Turn(self._turns, now))

    def _wake(self, at: float, now: float) -> None:
        """Keep one timer, for the earliest possible turn."""
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
        """Read what is left from an answer; its ``headers`` are in lower case, its Date has been given to the clock."""
        now = self._clock.monotonic()
        if "date" in headers:
            self._apply_date()
        if status == 429:  # noqa: PLR2004 (Too Many Requests)
            self._refused = now
            self._shut = max(self._shut, now + self._choose_wait(headers))
            self._others.shut(self._shut, self._turns)
        else:
            after = read_retry_after(headers, self._clock.now()) if status >= SERVER_FAULT else None
            self._put_off = max(self._put_off, now + (after or 0.0))
            number = self._turns if turn is None else turn
            self._others.update(status, headers, now=now, turn=number, turns=self._turns)
        self._give_turns()

    def _choose_wait(self, headers: Mapping[str, str]) -> float:
        """Return the seconds that a 429 asks to wait; a whole window when it does not say."""
        after = read_retry_after(headers, self._clock.now())
        return self._window if after is None else max(1.0, after)

    def _apply_date(self) -> None:
        """Count what a predecessor spent at its own times, once the API's time is known."""
        if not self._given:
            return
        now = self._clock.monotonic()
        ahead = self._clock.now() - now
        self._all.opens(now)
        self._all.starts = deque(sorted([*(min(at - ahead, now) for at in self._given), *self._own_starts(now)]))
        self._given = []

    def _own_starts(self, now: float) -> list[float]:
        """Return the requests without the placeholders for a predecessor's, which are the oldest ones."""
        here = now < self._begun + self._all.seconds
        return list(self._all.starts)[self._held if here and self._given else 0 :]

    def count_spent(self) -> list[tuple[float, int]]:
        """Count the requests in the window by second of API time, to be stored for a successor."""
        now = self._clock.monotonic()
        self._all.opens(now)
        ahead = self._clock.now() - now
        ours = [UNDATED if self._given else start + ahead for start in self._own_starts(now)]
        return sorted(Counter(float(floor(at)) for at in (*self._given, *ours)).items())

    def estimate_wait(self, urgency: Urgency) -> float:
        """Estimate how many seconds a request of this urgency would wait if no other did."""
        now = self._clock.monotonic()
        return self._opens(urgency, now) - now

    @property
    def since_refusal(self) -> float:
        """Seconds since the API last refused a request because a quota was spent (429)."""
        return self._clock.monotonic() - self._refused

    @property
    def asked_to_wait(self) -> float:
        """Seconds for which the API has asked with a 429 that nothing is sent; 0 when it has not."""
        return max(0.0, self._shut - self._clock.monotonic())

    @property
    def put_off(self) -> float:
        """Seconds for which the API has asked with a fault that the request is not sent again; 0 when it has not."""
        return max(0.0, self._put_off - self._clock.monotonic())

    @property
    def left(self) -> int:
        """How many requests fit in the window now."""
        self._all.opens(self._clock.monotonic())
        return self._all.limit - len(self._all.starts)
