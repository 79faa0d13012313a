"""Hooks: whom the executor asks and tells outside of itself."""

from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct

from worker.executor.handlers import Notifier
from worker.language.policies import Policies
from worker.ledger.values import Reading, Standing


class Hooks(Struct, frozen=True, kw_only=True):
    """Callables of whoever puts an account's loops together."""

    standing: Callable[[], Standing]
    """Returns what must hold when an entry is claimed: the ceiling, and the rules as they are now."""
    is_reading: Callable[[], bool]
    """Tells whether a source is in the middle of being read: more may become ready in a moment."""
    policies: Callable[[], Awaitable[Policies]]
    """Returns the account's own lists."""
    on_contradiction: Callable[[Sequence[Reading]], Awaitable[None]]
    """Takes readings that contradict what was judged: they are news."""
    notify: Notifier | None = None
    """Delivers a notice to a channel, where there are channels."""
