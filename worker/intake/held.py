"""Events that were held for a fact, judged beside the sources, so that no page waits for them."""

import asyncio
from collections.abc import Callable

from worker.api import Clock
from worker.judging.judge import Judge
from worker.ledger.ledger import Ledger
from worker.ledger.values import Page

HELD_PAUSE = 1.0
"""Seconds between two looks for held events that are due."""


class HeldEvents:
    """Judges events that were held for a fact, beside the sources, so that no page waits for them."""

    def __init__(
        self,
        *,
        account: str,
        judge: Judge,
        ledger: Ledger,
        clock: Clock,
        spent: Callable[[], list[tuple[float, int]]],
        wake: asyncio.Event,
    ) -> None:
        """Keep what is handed in; ``wake`` is set when entries were made ready."""
        self.account = account
        self._judge = judge
        self._spent = spent
        self._ledger = ledger
        self._clock = clock
        self._wake = wake

    async def step(self) -> float:
        """Judge the held events that are due; return the seconds until the next look for some."""
        due = await self._ledger.due_held(self.account, self._clock.now())
        if not due:
            return HELD_PAUSE
        judged = await self._judge.judge_held(due)
        still = {item.sight.key for item in judged.held}
        await self._ledger.enter(
            Page(
                account=self.account,
                now=self._clock.now(),
                source="held",
                drafts=judged.drafts,
                mishaps=judged.mishaps,
                broken=judged.broken,
                held=judged.held,
                judged=tuple(item.sight.key for item in due if item.sight.key not in still),
                spent=tuple(self._spent()),
            )
        )
        if judged.drafts:
            self._wake.set()
        return 0.0
