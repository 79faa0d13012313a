"""Hooks: what the executor asks of the rest of the worker, and whom it tells."""

from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct

from worker.executor.handlers import Notifier
from worker.language.policies import Policies, Registry
from worker.ledger.entries import Standing
from worker.ledger.values import Reading


class Hooks(Struct, frozen=True, kw_only=True):
    """Callables that are handed to the executor of an account."""

    standing: Callable[[], Standing]
    """Returns what must hold when an entry is claimed: the ceiling, and the rules as they are now."""
    is_reading: Callable[[], bool]
    """Returns whether a source is being read right now: more entries may become ready in a moment."""
    policies: Callable[[], Awaitable[Policies]]
    """Returns the account's own lists."""
    registry: Callable[[], Awaitable[Registry]]
    """Returns the impersonation registry."""
    on_contradiction: Callable[[Sequence[Reading]], Awaitable[None]]
    """Is called with readings that contradict what was judged, to have them judged anew."""
    notify: Notifier | None = None
    """Delivers a notice to a channel, where there are channels."""
