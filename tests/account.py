"""An account of the sandbox and a ledger in memory, which outlive every process that works on them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tests.ledger.memory import in_memory
from tests.support import TOKEN, Meddle, TestClock, client_of, untouched
from worker.api import Request, Response
from worker.judging.services import AccountServices
from worker.ledger.entries import Entry
from worker.ledger.ledger import Ledger
from worker.observations import Looks
from worker.sandbox import ACCOUNT, SandboxOptions, World
from worker.telemetry import Metrics

QUOTA = 100_000
"""Requests in five minutes: more than any test makes."""


class Account:
    """One account, its client, and a clock moved by hand; ``options`` are those of the sandbox.

    ``meddle`` may be set at any time, and makes something else of the sandbox's answers.
    """

    def __init__(
        self,
        *,
        lag: float,
        token: str = TOKEN,
        clock: TestClock | None = None,
        **options: Any,  # noqa: ANN401
    ) -> None:
        self.meddle: Meddle = untouched
        self.clock = clock or TestClock()
        self.world = World(now=self.clock.now, quota=(QUOTA, 300.0), options=SandboxOptions(lag=lag, **options))
        self.client, self.budget = client_of(self.world, self.clock, token=token, quota=QUOTA, meddle=self._meddled)
        self.runner, self.starts = in_memory(), 0

    def _meddled(self, request: Request, answer: Response) -> Response:
        return self.meddle(request, answer)

    def begin(self) -> None:
        """Be another process, which knows only what the ledger knows."""
        self.starts += 1
        self.looks, self.wake, self.metrics = Looks(), asyncio.Event(), Metrics()
        self.ledger = Ledger(self.runner, f"process {self.starts}")

    def services(self, contact: Callable[[], Awaitable[object]]) -> AccountServices:
        """What the loops of this process stand on."""
        return AccountServices(
            account=ACCOUNT, client=self.client, budget=self.budget, ledger=self.ledger, clock=self.clock,
            contact=contact, observer=self.metrics, looks=self.looks, wake=self.wake,
        )  # fmt: skip

    async def entries(self) -> tuple[Entry, ...]:
        """Everything in the ledger, oldest first."""
        return (await self.ledger.entries(ACCOUNT, limit=10_000))[::-1]
