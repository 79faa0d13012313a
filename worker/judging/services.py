"""What the two loops of an account are built on: its API, ledger and clock, and how long things last."""

import asyncio
from collections.abc import Awaitable, Callable

from msgspec import Struct, field

from worker.api import Budget, Client, Clock
from worker.ledger.ledger import Ledger
from worker.observations import Looks
from worker.telemetry import Observer


class Rereads:
    """Spaces out the requests that read records again: all those of an account take a small part of its budget."""

    def __init__(self) -> None:
        """Begin with none."""
        self._free_at = 0.0

    def wait(self, now: float) -> float:
        """Return the seconds until the next may be sent, given the monotonic time."""
        return max(0.0, self._free_at - now)

    def note(self, now: float, pause: float) -> None:
        """Note that some are sent now, after which there is a pause of so many seconds."""
        self._free_at = max(self._free_at, now) + pause


class AccountServices(Struct, frozen=True, kw_only=True):
    """What the intake and the executor of one account share."""

    account: str
    client: Client
    budget: Budget
    ledger: Ledger
    clock: Clock
    contact: Callable[[], Awaitable[object]]
    """Makes a request, any: before the first answer, the time of the API is unknown."""
    observer: Observer
    """Is called where things happen."""
    looks: Looks = field(default_factory=Looks)
    """What messages looked like when they were last read, by either loop."""
    rereads: Rereads = field(default_factory=Rereads)
    """When records may be read again."""
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when entries become ready, so that the executor does not wait for its next turn."""


class Timing(Struct, frozen=True, kw_only=True):
    """How long things last, in seconds."""

    settle: float
    """After which the API shows what was done: only a later look may conclude that it was not."""
    timeout: float = 20.0
    """The deadline of a request."""
    gather_notices: float = 60.0
    """For which notices of one channel and rule wait for each other."""
