"""Held events: judged in a loop of their own, so that no page waits for their facts."""

from collections import Counter

from worker.intake.mails import name_renewed
from worker.intake.rereading import Rereading
from worker.judging.judge import Judge
from worker.judging.services import AccountServices
from worker.ledger.values import Held, Page

HELD_PAUSE = 1.0
"""Seconds between two checks for held events that are due."""


class HeldEvents:
    """Judges the held events of one account once their facts can be fetched."""

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

    async def step(self) -> float:
        """Judge the held events that are due; return the seconds until the next check."""
        due = await self._find_due()
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
                judgements=name_renewed(judged.judgements, due),
                rule_table=judged.rule_table,
                judged=tuple(item.sight.key for item in due if item.sight.key not in still),
                spent=tuple(self._spent()),
            )
        )
        self.totals["decisions"] += judged.decisions
        if judged.drafts:
            self._wake.set()
        for mishap in judged.mishaps:
            self._observer.on_rule_failure(mishap.rule)
        return 0.0

    async def _find_due(self) -> tuple[Held, ...]:
        """Return the held events that are due, read again if they wait for a field and the budget has room."""
        if self._rereading.may_read and (wanted := await self._ledger.find_wanted(self.account)):
            read = await self._rereading.read(wanted)
            await self._ledger.hasten_held(self.account, self._clock.now(), read)
        due = await self._ledger.due_held(self.account, self._clock.now())
        again = [item for item in due if self._rereading.is_due(item)]
        if not again or not self._rereading.may_read:
            return due
        await self._rereading.read(again)
        return await self._ledger.due_held(self.account, self._clock.now())
