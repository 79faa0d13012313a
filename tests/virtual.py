"""Time that passes only when nobody has anything to do: an event loop whose waiting costs nothing."""

import asyncio
import selectors
from collections.abc import Callable
from contextvars import Context
from typing import TypeVarTuple

Args = TypeVarTuple("Args")


class Dead(BaseException):
    """The process was killed: nothing it still tries reaches the outside."""


class Leap(selectors.SelectSelector):
    """Waits by moving the loop's time forward; nothing real is ever waited for."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Pass the time until the next timer."""
        if timeout is None:
            raise RuntimeError("everybody waits for something that nobody will do")
        self.loop.moment += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time that can be killed at any step of any task."""

    def __init__(self, moment: float, *, dies_at_step: int = 0) -> None:
        """Begin at ``moment``; die at that step, 0 for never."""
        leap = Leap()
        leap.loop = self
        super().__init__(leap)
        self.moment = moment
        self.dead = False
        self.steps = 0
        self._dies_at = dies_at_step

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self.moment

    def call_soon(
        self,
        callback: Callable[[*Args], object],
        *args: *Args,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """Count a step; a task steps only through here, so the count names every await point there is."""
        self.steps += 1
        if self.steps == self._dies_at:
            self.die()
        return super().call_soon(callback, *args, context=context)

    def die(self) -> None:
        """Be killed: stop at once, and refuse everything that still wants to go out."""
        self.dead = True
        self.stop()

    def alive(self) -> None:
        """Raise Dead after the end."""
        if self.dead:
            raise Dead
