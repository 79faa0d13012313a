"""Building the loops of one account."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from worker.executor.executor import Executor
from worker.executor.handlers import Notifier
from worker.executor.hooks import Hooks
from worker.intake.held import HeldEvents
from worker.intake.reader import Intake
from worker.intake.rereading import Rereading
from worker.intake.slices import Pace
from worker.intake.sources import Source
from worker.judging.facts import Facts
from worker.judging.hearing import Rules
from worker.judging.judge import Judge
from worker.judging.services import AccountServices, Timing
from worker.ledger.entries import Standing


class AccountLoops(NamedTuple):
    """What reads an account, what judges its held events, and what acts in it."""

    intakes: tuple[Intake, ...]
    held: HeldEvents
    executor: Executor


def build_loops(
    services: AccountServices,
    timing: Timing,
    *,
    sources: Iterable[tuple[Source, Pace]],
    facts: Facts,
    rules: Rules,
    standing: Callable[[], Standing],
    notify: Notifier | None,
) -> AccountLoops:
    """Build an account's loops. Readings of the executor that contradict a judged sight go to the first source."""
    ceiling, stale = standing().ceiling, standing().stale
    judge = Judge(rules=rules, facts=facts, clock=services.clock, ceiling=ceiling, stale=stale)
    intakes = tuple(Intake(services, timing, source=source, judge=judge, pace=pace) for source, pace in sources)
    hooks = Hooks(
        standing=standing,
        is_reading=lambda: any(intake.walking for intake in intakes),
        policies=facts.policies,
        registry=facts.registry,
        on_contradiction=intakes[0].enter_readings,
        notify=notify,
    )
    return AccountLoops(
        intakes, HeldEvents(services, judge, Rereading(services, intakes)), Executor(services, timing, hooks)
    )
