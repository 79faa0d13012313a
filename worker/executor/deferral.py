"""Deferral: what is put off in a round, and when the first of it is to be taken up again."""

from math import inf

from worker.api import Clock


class Deferral:
    """Remembers the earliest time until which something was put off since ``begin``."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.resume = inf

    def begin(self) -> None:
        """Begin a round with nothing put off."""
        self.resume = inf

    def put_off(self, until: float) -> bool:
        """Tell whether a time is still to come, and remember to be back then."""
        if until <= self._clock.now():
            return False
        self.resume = min(self.resume, until)
        return True
