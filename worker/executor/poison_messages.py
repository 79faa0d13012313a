"""Poison messages: those about which no answer makes sense, told from an API that answers nobody. No network."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from worker.api import Clock
from worker.errors import NotFound, Rejected, ServerFault, Unauthorised

T = TypeVar("T")
SENSELESS = (ServerFault, Rejected, Unauthorised)
"""What is raised about a message of which no answer makes sense, or any is refused."""
AGAIN, FORGOTTEN = 300.0, 86400.0
"""Seconds until a message is asked about again whose fault is its own, and until a fault counts for nothing."""
Question = tuple[str, str]
"""What is asked, and about which message."""


class Suspicion(NamedTuple):
    """How many good answers there had been when a question first had none, when that was, and when it was last put."""

    answered: int
    first_at: float
    asked_at: float


class PoisonMessages:
    """Asks about messages one by one. A fault is the message's own once anything else was answered after it."""

    def __init__(self, clock: Clock) -> None:
        """Begin suspecting nobody."""
        self._clock = clock
        self._faults: dict[Question, Suspicion] = {}
        self._answered = 0

    def is_suspected(self, message: str) -> bool:
        """Tell whether a last answer about a message made no sense."""
        return any(about == message for _, about in self._faults)

    def lasts(self, message: str) -> float:
        """Return for how many seconds no answer about a message has made sense; 0 while that may be the API's fault."""
        mine = [fault for question, fault in self._faults.items() if question[1] == message and self._is_own(question)]
        return max((self._clock.monotonic() - fault.first_at for fault in mine), default=0.0)

    def note_answer(self) -> None:
        """Note that the API does answer: what made no sense before was not its fault."""
        self._answered += 1

    async def ask(self, question: Question, asking: Callable[[], Awaitable[T]]) -> T | None:
        """Return the answer; None when there is none that makes sense, or any is refused, for this message alone.

        Raises what asking raises while it may be so for all.
        """
        if self._is_own(question) and self._clock.monotonic() < self._faults[question].asked_at + AGAIN:
            return None
        try:
            answer = await asking()
        except NotFound:
            self._clear(question)
            raise
        except SENSELESS:
            self._suspect(question)
            if self._is_own(question):
                return None
            raise
        self._clear(question)
        return answer

    def _is_own(self, question: Question) -> bool:
        return question in self._faults and self._faults[question].answered < self._answered

    def _clear(self, question: Question) -> None:
        self._faults.pop(question, None)
        self.note_answer()

    def _suspect(self, question: Question) -> None:
        """Note a fault, and put its message last."""
        now = self._clock.monotonic()
        known = self._faults.pop(question, Suspicion(self._answered, now, now))
        self._faults = {one: fault for one, fault in self._faults.items() if fault.asked_at > now - FORGOTTEN}
        self._faults[question] = known._replace(asked_at=now)
