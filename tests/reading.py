"""What tests of reading stand on: an account of the sandbox, rules in this process, and time moved by hand."""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec.json import Decoder

from tests.account import Account
from worker import Message, Move
from worker.intake.held import HeldEvents
from worker.intake.reader import Intake, Pace, Progress
from worker.intake.sources import AllowPolicies, BlockedSenders, Messages, Reports, Source, Submissions
from worker.judging.facts import Facts
from worker.judging.judge import Judge
from worker.language.actions import AnyAction
from worker.language.rules import ENFORCE, Mode, Proposal
from worker.rulehost.evaluation import Event, Failure, Said
from worker.sandbox import ACCOUNT

DAY = 86_400.0
PACE = Pace(
    soonest=1.0,
    latest=8.0,
    lookback=3600.0,
    settle=120.0,
    overlap=900.0,
    overlap_every=60.0,
    sweep=3 * DAY,
    sweep_every=60.0,
)
Answer = Callable[[Event], Said]
_message = Decoder(Message).decode


def says(event: Event, *actions: AnyAction, mode: Mode = ENFORCE, rule: str = "r", priority: int = 0) -> Said:
    """Return one rule's sentence about an event."""
    proposal = Proposal(rule=rule, actions=actions, mode=mode, priority=priority, fingerprint="f")
    return Said(key=event.key, proposals=(proposal,))


def malicious_is_moved(event: Event) -> Said:
    """The rule most tests need: delivered malicious mail is moved."""
    if event.kind != "Message":
        return Said(key=event.key)
    message = _message(event.raw)
    wanted = message.final_disposition == "MALICIOUS" and not message.is_quarantined
    return says(event, Move("DeletedItems", because="malicious")) if wanted else Said(key=event.key)


class Rules:
    """Rules in this process: one function that answers for all of them."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.heard: list[Event] = []

    async def propose(self, events: Sequence[Event]) -> list[Said]:
        """Answer each event."""
        self.heard += events
        return [self.answer(event) for event in events]


class Room(Account):
    """One account and what reads it."""

    def __init__(
        self,
        answer: Answer = malicious_is_moved,
        *,
        lag: float = 0.0,
        ceiling: Mode = ENFORCE,
        **options: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(lag=lag, **{"reports": 0.0} | options)
        self.rules, self.ceiling = Rules(answer), ceiling
        self.told: list[Progress] = []
        self.restart()

    def restart(self) -> None:
        """Let another process take over, which knows only what the ledger knows."""
        self.begin()
        self.facts = Facts(self.client, self.clock)
        self.judge = Judge(rules=self.rules, facts=self.facts, clock=self.clock, ceiling=self.ceiling, stale=DAY)
        self.messages = self._intake(Messages(self.client, lambda: False))
        self.reports = self._intake(Reports(self.client))
        self.submissions = self._intake(Submissions(self.client))
        self.blocked = self._intake(BlockedSenders(self.client))
        self.allowed = self._intake(AllowPolicies(self.client))
        self.held = HeldEvents(
            account=ACCOUNT, judge=self.judge, ledger=self.ledger, clock=self.clock, spent=list, wake=self.wake
        )

    def _intake(self, source: Source) -> Intake:
        return Intake(
            account=ACCOUNT,
            source=source,
            judge=self.judge,
            ledger=self.ledger,
            looks=self.looks,
            clock=self.clock,
            pace=PACE,
            first=self.facts.policies,
            spent=self.budget.count_spent,
            told=self.told.append,
            wake=self.wake,
        )

    async def read(self, seconds: float = 0.0) -> None:
        """Read the head and everything behind it, for some seconds."""
        end = self.clock.now() + seconds
        while True:
            pause = await self.messages.head()
            while not (behind := await self.messages.behind()):
                pass
            if self.clock.now() + min(pause, behind) > end:
                self.clock.time = end
                return
            self.clock.advance(min(pause, behind))

    async def targets(self) -> list[str]:
        """The targets of everything in the ledger."""
        return sorted(entry.target for entry in await self.entries())


def fails(event: Event, *, rule: str = "bad") -> Said:
    """Return what is said of an event on which a rule failed."""
    return Said(key=event.key, failed=(Failure(rule=rule, fingerprint="f", problem="ValueError: no"),))
