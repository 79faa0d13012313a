"""What tests of reading stand on: an account of the sandbox, rules in this process, and time moved by hand."""

from collections.abc import Callable, Sequence
from typing import Any

from tests.account import Account
from tests.desk import RULE
from tests.support import open_mail
from worker import Message, Move
from worker.daemon.loops import build_loops
from worker.intake.slices import Pace
from worker.intake.sources import AllowPolicies, BlockedSenders, Messages, Reports, Submissions
from worker.judging.facts import Facts
from worker.judging.services import Timing
from worker.language.actions import AnyAction
from worker.language.reading import read
from worker.language.rules import ENFORCE, Mode, Proposal
from worker.ledger.entries import Standing
from worker.rulehost.evaluation import Event, Failure, Said, is_heard
from worker.rulehost.host import BundleInfo

DAY = 86_400.0
SETTLE = 120.0
PACE = Pace(
    soonest=1.0,
    latest=30.0,
    lookback=3600.0,
    overlap=900.0,
    overlap_every=60.0,
    sweep=3 * DAY,
    sweep_every=60.0,
)
Answer = Callable[[Event], Said]


def says(event: Event, *actions: AnyAction, mode: Mode = ENFORCE, rule: str = "r", priority: int = 0) -> Said:
    """Return what one rule says about an event."""
    proposal = Proposal(rule=rule, actions=actions, mode=mode, priority=priority, fingerprint="f")
    return Said(key=event.key, proposals=(proposal,))


def malicious_is_moved(event: Event) -> Said:
    """The rule most tests need: delivered malicious mail is moved."""
    if event.kind != "Message":
        return Said(key=event.key)
    message = read(Message, event.raw)
    wanted = message.final_disposition == "MALICIOUS" and not message.is_quarantined
    return says(event, Move("DeletedItems", because="malicious")) if wanted else Said(key=event.key)


class Rules:
    """Rules in this process: one function that answers for all of them."""

    def __init__(self, answer: Answer) -> None:
        self.answer, self.bundle = answer, BundleInfo()
        self.heard: list[Event] = []

    def is_heard(self, kind: str, disposition: str) -> bool:
        """Judge every event, unless there are rules that say what they hear."""
        rules = self.bundle.rules
        return not rules or is_heard(rules, kind, disposition)

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
        self.restart()

    def restart(self) -> None:
        """Let another process take over, which knows only what the ledger knows."""
        self.begin()
        self.facts = facts = Facts(self.client, self.clock, open_mail)
        others = (Reports, Submissions, BlockedSenders, AllowPolicies)
        sources = (Messages(self.client, lambda: False), *(other(self.client) for other in others))
        intakes, self.held, self.executor = build_loops(
            self.services(facts.policies), Timing(settle=SETTLE), sources=[(source, PACE) for source in sources],
            facts=facts, rules=self.rules, standing=self.standing, notify=None,
        )  # fmt: skip
        self.messages, self.reports, self.submissions, self.blocked, self.allowed = intakes

    def standing(self) -> Standing:
        """What rules there are, for who acts."""
        return Standing(ceiling=self.ceiling, rules={RULE.name: RULE}, stale=DAY)

    async def read(self, seconds: float = 0.0) -> None:
        """Read the head and everything behind it, for some seconds."""
        end = self.clock.now() + seconds
        while True:
            pause = await self.messages.read_head()
            while not (behind := await self.messages.read_behind()):
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
