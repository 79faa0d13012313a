"""Held events: judged in a loop of their own, so that no page waits for their facts."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from worker.intake.mails import name_renewed
from worker.intake.reader import keep_nothing
from worker.intake.rereading import Rereading
from worker.judging.judge import Judge, Judged, add_up
from worker.judging.services import AccountServices
from worker.ledger.values import Held, Page

HELD_PAUSE = 1.0
"""Seconds between two checks for held events that are due."""
GATHER = 0.25
"""Seconds for which events that have been judged wait for others, so that they are entered together."""
IN_HAND = 200
"""Most events that are judged at the same time: whatever one of them waits for, the others go on."""


class HeldEvents:
    """Judges the held events of one account, each as its facts come: one that cannot be had delays no other event."""

    def __init__(self, services: AccountServices, judge: Judge, rereading: Rereading) -> None:
        """Share the judge of the sources, which remembers the facts of the account."""
        self._rereading = rereading
        self.account = services.account
        self.totals: Counter[str] = Counter()
        """Counts since the start: decisions."""
        self._judge = judge
        self._spent = services.budget.count_spent
        self._ledger = services.ledger
        self._clock = services.clock
        self._wake = services.wake
        self._observer = services.observer
        self._in_hand: dict[asyncio.Task[Judged], Held] = {}
        self.keep_fields: Callable[[], Awaitable[None]] = keep_nothing
        """Lets it be remembered that fields of facts are missing, before what was judged without them is entered."""

    async def step(self) -> float:
        """Begin to judge what is due, and enter what has been judged; return the seconds until the next check."""
        for item in await self._find_due() if len(self._in_hand) < IN_HAND else ():
            self._in_hand[asyncio.create_task(self._judge.judge_held(item))] = item
        if not self._in_hand:
            return HELD_PAUSE
        ended, _ = await asyncio.wait(self._in_hand, timeout=GATHER)
        done = [task for task in self._in_hand if task in ended]
        try:
            if done:
                await self.keep_fields()
                await self._enter([self._in_hand[task] for task in done], [task.result() for task in done])
        finally:  # what could not be entered is still due
            for task in done:
                del self._in_hand[task]
        return 0.0

    def drop(self) -> None:
        """Judge nothing any more; what was not entered is still held."""
        for task in self._in_hand:
            task.cancel()

    async def _enter(self, items: Sequence[Held], results: Sequence[Judged]) -> None:
        """Enter together what has been judged of some events."""
        tables = {one.rule_table.fingerprint: one.rule_table for one in results}
        for fingerprint, rule_table in tables.items():
            pairs = [pair for pair in zip(items, results, strict=True) if pair[1].rule_table.fingerprint == fingerprint]
            await self._enter_page([item for item, _ in pairs], add_up([one for _, one in pairs], rule_table))

    async def _enter_page(self, items: Sequence[Held], judged: Judged) -> None:
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
                judgements=name_renewed(judged.judgements, items),
                rule_table=judged.rule_table,
                judged=tuple(item.sight.key for item in items if item.sight.key not in still),
                spent=tuple(self._spent()),
            )
        )
        self.totals["decisions"] += judged.decisions
        if judged.drafts:
            self._wake.set()
        for mishap in judged.mishaps:
            self._observer.on_rule_failure(mishap.rule)

    async def _find_due(self) -> tuple[Held, ...]:
        """Return further events that are due, read again if they wait for a field and the budget has room."""
        if self._rereading.may_read and (wanted := await self._ledger.find_wanted(self.account)):
            read = await self._rereading.read(wanted)
            await self._ledger.hasten_held(self.account, self._clock.now(), read)
        due = await self._list_due()
        again = [item for item in due if self._rereading.is_due(item)]
        if not again or not self._rereading.may_read:
            return due
        await self._rereading.read(again)
        return await self._list_due()

    async def _list_due(self) -> tuple[Held, ...]:
        in_hand = tuple(item.sight.key for item in self._in_hand.values())
        return await self._ledger.due_held(self.account, self._clock.now(), in_hand)
