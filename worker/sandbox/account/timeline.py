"""A value as it was at every moment, so that reads can lag behind writes."""

from __future__ import annotations

from typing import Generic, TypeVar

from worker.sandbox.wire import Json

T = TypeVar("T")


class Timeline(Generic[T]):
    """One value over time. Slots only: there may be a million of them."""

    __slots__ = ("past", "since", "value")

    def __init__(self, since: float, value: T) -> None:
        """Begin at ``since`` (epoch seconds); before that there is no value."""
        self.since = since
        self.value = value
        self.past: tuple[tuple[float, T], ...] = ()  # all empty tuples are one object, and most values never change

    def become(self, at: float, value: T) -> None:
        """Change to ``value`` at a moment, never earlier than the change before."""
        self.past = (*self.past, (self.since, self.value))
        self.since, self.value = max(at, self.since), value

    def read(self, horizon: float) -> T | None:
        """Return the value as it was at ``horizon``; None before it began."""
        if self.since <= horizon:
            return self.value
        return next((value for since, value in reversed(self.past) if since <= horizon), None)


RecordTimeline = Timeline[Json | None]
"""A report, a submission or an entry of a list over time; None once it was deleted."""
