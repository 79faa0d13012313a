"""An account of the sandbox and a ledger in memory, which outlive every process that works on them."""

import asyncio
from typing import Any

from tests.support import TOKEN, Meddle, TestClock, client_of, untouched
from worker.looks import Looks
from worker.sandbox import ACCOUNT, Switches, World
from worker.store.entry import Entry
from worker.store.ledger import Ledger
from worker.store.runner import SyncRunner

QUOTA = 100_000
"""Requests in five minutes: more than any test makes."""


class Account:
    """One account, its client, and a clock moved by hand; ``switches`` are those of the sandbox."""

    def __init__(self, *, lag: float, token: str = TOKEN, meddle: Meddle = untouched, **switches: Any) -> None:  # noqa: ANN401
        self.clock = TestClock()
        self.world = World(now=self.clock.now, lag=lag, quota=(QUOTA, 300.0), switches=Switches(**switches))
        self.client, self.budget = client_of(self.world, self.clock, token=token, quota=QUOTA, meddle=meddle)
        self.runner, self.starts = SyncRunner.in_memory(), 0

    def begin(self) -> None:
        """Be another process, which knows only what the ledger knows."""
        self.starts += 1
        self.looks, self.wake = Looks(), asyncio.Event()
        self.ledger = Ledger(self.runner, f"process {self.starts}")

    async def entries(self) -> tuple[Entry, ...]:
        """Everything in the ledger, oldest first."""
        return (await self.ledger.entries(ACCOUNT, limit=10_000))[::-1]
