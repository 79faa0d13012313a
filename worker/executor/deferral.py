"""Deferral: what is put off in a round, and when the first of it is to be taken up again."""

from math import inf

from worker.api import Clock

DUE_AGAIN = 5.0
"""Seconds after which what is due, but could not be taken up, is tried again."""


class Deferral:
    """Remembers the earliest time until which something was put off since ``begin``."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.resume = inf

    def begin(self) -> None:
        """Begin a round with nothing put off."""
        self.resume = inf

    def is_due(self, at: float | None) -> bool:
        """Tell whether the first thing is due, and remember to be back when it is, or soon if it is now."""
        if at is None or self.put_off(at):
            return False
        return self.put_off(self._clock.now() + DUE_AGAIN)

    def put_off(self, until: float) -> bool:
        """Tell whether a time is still to come, and remember to be back then."""
        if until <= self._clock.now():
            return False
        self.resume = min(self.resume, until)
        return True
