"""Silence: for how long requests have been open without one answer; pauses between them do not count."""

from collections.abc import Callable


class Silence:
    """Adds up the time in which at least one request was open since the last answer."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._open, self._since = 0, 0.0
        self._before = 0.0

    def begin(self) -> None:
        """Note that a request is sent."""
        if not self._open:
            self._since = self._monotonic()
        self._open += 1

    def end(self, *, answered: bool) -> None:
        """Note that a request has ended, by an answer or without one."""
        self._before, self._since = 0.0 if answered else self.seconds, self._monotonic()
        self._open -= 1

    @property
    def seconds(self) -> float:
        """Return for how long nothing has been answered while requests were open."""
        return self._before + (self._monotonic() - self._since if self._open else 0.0)
