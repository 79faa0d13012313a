"""What waits when its mail is judged again, as a field was missing: it stands while its rule may ask for it again."""

import msgspec
from msgspec.structs import replace

from tests.cells import each
from tests.reading import DAY, Room, says
from worker import Move, Notify
from worker.language.actions import AnyAction
from worker.language.rules import APPROVE, ENFORCE, Ask, Mode
from worker.ledger.values import Absence
from worker.rulehost.evaluation import Event, Said
from worker.sandbox import ACCOUNT

PLAIN, ASKS = "plain", "asks"


class Case:
    """A room with a rule that asks for a fact, or one that does not, and mail that it wants something of."""

    def __init__(self, rule: str, mode: Mode, *actions: AnyAction) -> None:
        self.rule, self.mode, self.actions = rule, mode, actions
        self.room = Room(self.answer)
        self.room.world.add_message(disposition="SPAM")

    def answer(self, event: Event) -> Said:
        """Want it, after the fact has come where one is needed."""
        if self.rule == ASKS and not event.facts:
            names = ("Move", "Notify")
            return Said(key=event.key, asks=(Ask(rule=ASKS, actions=names, mode=self.mode, facts=("Detection",)),))
        return says(event, *self.actions, mode=self.mode, rule=self.rule) if self.actions else Said(key=event.key)

    async def judge(self) -> None:
        """Judge the mail, with what is held of it."""
        await self.room.read()
        while await self.room.held.step() == 0.0:
            pass

    async def judge_again(self) -> list[str]:
        """Bring a field back that was missing, and judge again; return what is on record of that."""
        now = self.room.clock.now()
        absence = Absence(kind="Message", field="subject", start=now - 60, end=now + 1)
        before = len(await self.room.ledger.records(ACCOUNT))
        self.room.clock.advance(10)
        await self.room.ledger.end_absences(ACCOUNT, "messages", DAY, [absence], self.room.clock.now())
        await self.judge()
        lines = await self.room.ledger.records(ACCOUNT)
        return [msgspec.json.decode(line)["verb"] for line in lines[before:]]


@each("rule", [PLAIN, ASKS])
@each("mode", [APPROVE, ENFORCE])
@each("actions", [(Move("JunkEmail"),), (Notify("soc"),), (Move("JunkEmail"), Notify("soc"))])
async def test_what_a_rule_wants_again_stands_whether_or_not_it_waits_for_facts(
    rule: str, mode: Mode, actions: tuple[AnyAction, ...]
) -> None:
    case = Case(rule, mode, *actions)
    await case.judge()
    before = await case.room.entries()
    told = await case.judge_again()
    assert (len(before), told.count("joined"), {"entered", "retired"} & {*told}) == (len(actions), len(actions), set())
    after = await case.room.entries()
    assert [(one.id, one.state) for one in after] == [(one.id, one.state) for one in before]


@each("rule", [PLAIN, ASKS])
async def test_what_a_rule_does_not_want_again_falls_once_it_has_answered(rule: str) -> None:
    case = Case(rule, APPROVE, Move("JunkEmail"), Notify("soc"))
    await case.judge()
    case.actions = (Move("DeletedItems"),)
    assert "retired" in await case.judge_again()
    states = {getattr(one.action, "destination", "notice"): one.state for one in await case.room.entries()}
    assert (states["JunkEmail"], states["DeletedItems"]) == ("moot", "waiting")
    case.actions = ()
    await case.judge_again()
    assert {one.state for one in await case.room.entries() if one.lane == "placement"} == {"moot"}


async def test_what_waits_for_a_rule_that_asked_stands_until_that_has_answered() -> None:
    case = Case(PLAIN, APPROVE, Move("JunkEmail"))
    await case.judge()
    answer, ask = case.answer, Ask(rule="other", actions=("Move",), mode=ENFORCE, facts=("Detection",))
    case.room.rules.answer = lambda event: replace(answer(event), asks=() if event.facts else (ask,))
    told = await case.judge_again()
    assert ("retired" in told, [one.state for one in await case.room.entries()]) == (False, ["waiting"])
