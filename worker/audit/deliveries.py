"""Deliveries: texts for channels that may fail; one that does is left alone for longer and longer."""

from collections.abc import Awaitable
from typing import NamedTuple, Protocol

from worker.api import Clock
from worker.telemetry import Log
from worker.wording import explain_refusal

PAUSE, LONGEST_PAUSE = 5.0, 900.0
"""Seconds until a channel that did not take a text is tried again; four times as long after each failure."""


class NoticeChannels(Protocol):
    """Where texts can go."""

    @property
    def names(self) -> frozenset[str]:
        """The channels that have an address."""

    def notify(self, channel: str, text: str) -> Awaitable[None]:
        """Deliver a text; raises an error when the channel did not take it."""


class Pause(NamedTuple):
    """Until when, in monotonic time, a channel is left alone, after how many failures in a row, and why it failed."""

    until: float
    failures: int
    problem: str


class Deliveries:
    """Delivers texts to channels; what a channel does not take is left to the caller, who tries again."""

    def __init__(self, channels: NoticeChannels, clock: Clock, log: Log) -> None:
        """Begin with every channel taken for working."""
        self._channels, self._clock, self._log = channels, clock, log
        self._pauses: dict[str, Pause] = {}

    @property
    def names(self) -> frozenset[str]:
        """The channels that have an address."""
        return self._channels.names

    @property
    def failing(self) -> dict[str, str]:
        """The channels that did not take the last text, and why."""
        return {channel: pause.problem for channel, pause in self._pauses.items()}

    def is_paused(self, channel: str) -> bool:
        """Tell whether a channel is left alone for now, because it did not take the last text."""
        pause = self._pauses.get(channel)
        return pause is not None and self._clock.monotonic() < pause.until

    async def deliver(self, channel: str, text: str) -> bool:
        """Tell whether a channel has taken a text; one that failed a moment ago is not asked."""
        if self.is_paused(channel):
            return False
        try:
            await self._channels.notify(channel, text)
        except Exception as error:  # noqa: BLE001 (a channel is other people's code)
            self._note_failure(channel, error)
            return False
        if self._pauses.pop(channel, None):
            self._log.info("a channel takes announcements again", channel=channel)
        return True

    def _note_failure(self, channel: str, error: Exception) -> None:
        """Leave a channel alone for longer than the last time; log when it begins to fail, not at each try."""
        failures = self._pauses[channel].failures + 1 if channel in self._pauses else 1
        pause = min(PAUSE * 4 ** min(failures - 1, 9), LONGEST_PAUSE)
        problem = explain_refusal(channel, error)
        self._pauses[channel] = Pause(self._clock.monotonic() + pause, failures, problem)
        if failures == 1:
            self._log.warning("a channel did not take an announcement; tries again", channel=channel, problem=problem)
