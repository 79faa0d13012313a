"""Poison: single messages about which no answer makes sense, told apart from an API that answers nobody. No network."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from worker.api import Clock
from worker.errors import NotFound, Rejected, ServerFault, Unauthorised

T = TypeVar("T")
SENSELESS = (ServerFault, Rejected, Unauthorised)
"""What is raised about a message of which no answer makes sense, or any is refused."""
FAULTS = 3
"""Messages in a row without an answer that makes sense, after which it is taken for the API's fault."""
AGAIN, FORGOTTEN = 300.0, 86400.0
"""Seconds until a message is asked about again whose fault is its own, and until a fault counts for nothing."""


class Fault(NamedTuple):
    """How many good answers there had been when a message first had none, and when it was last asked about."""

    answered: int
    asked_at: float


class Poison:
    """Asks about messages one by one. A fault is the message's own once another one was answered after it."""

    def __init__(self, clock: Clock) -> None:
        """Begin suspecting nobody."""
        self._clock = clock
        self._faults: dict[str, Fault] = {}
        self._answered = 0
        self._in_a_row = 0

    def suspected(self, message: str) -> bool:
        """Tell whether the last answer about a message made no sense."""
        return message in self._faults

    async def ask(self, message: str, asking: Callable[[], Awaitable[T]]) -> T | None:
        """Return the answer; None when there is none that makes sense, or any is refused, for this message alone.

        Raises what asking raises when that is so for several in a row.
        """
        if self._is_its_own(message) and self._clock.monotonic() < self._faults[message].asked_at + AGAIN:
            return None
        try:
            answer = await asking()
        except NotFound:
            self._clear(message)
            raise
        except SENSELESS:
            self._suspect(message)
            if self._is_its_own(message) or self._in_a_row % FAULTS:
                return None
            raise
        self._clear(message)
        return answer

    def _is_its_own(self, message: str) -> bool:
        return message in self._faults and self._faults[message].answered < self._answered

    def _clear(self, message: str) -> None:
        """Note an answer."""
        self._in_a_row, self._answered = 0, self._answered + 1
        self._faults.pop(message, None)

    def _suspect(self, message: str) -> None:
        """Note a fault; one that is known for the message's own says nothing about the API."""
        now = self._clock.monotonic()
        self._in_a_row += not self._is_its_own(message)
        known = self._faults.pop(message, Fault(self._answered, now))
        self._faults = {one: fault for one, fault in self._faults.items() if fault.asked_at > now - FORGOTTEN}
        self._faults[message] = known._replace(asked_at=now)
