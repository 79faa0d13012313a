"""What both loops of one account stand on, and how long things last: handed to whoever reads and whoever acts."""

import asyncio
from collections.abc import Awaitable, Callable

from msgspec import Struct, field

from worker.api import Budget, Client, Clock
from worker.ledger.ledger import Ledger
from worker.observations import Looks
from worker.telemetry import Observer


class AccountServices(Struct, frozen=True, kw_only=True):
    """The API, the ledger and the time of one account, and what its two loops tell each other."""

    account: str
    client: Client
    budget: Budget
    ledger: Ledger
    clock: Clock
    contact: Callable[[], Awaitable[object]]
    """Asks the API anything at all: until it has answered once, nobody knows what time it is there."""
    observer: Observer
    """Hears what the loops do."""
    looks: Looks = field(default_factory=Looks)
    """What messages looked like when they were last read."""
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when entries become ready: the executor need not wait for its next turn."""


class Timing(Struct, frozen=True, kw_only=True):
    """How long things last, in seconds."""

    settle: float
    """After which the API shows what was done."""
    timeout: float = 20.0
    """The deadline of a request."""
    gather_notices: float = 60.0
    """For which notices of one channel and rule wait for each other."""
