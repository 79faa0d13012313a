"""What came of asking each rule goes on record with the sight, as the judge had it; silence leaves nothing."""

from collections.abc import Callable
from typing import Any

from tests.cells import each
from tests.reading import Room, fails, says
from worker import APPROVE, ENFORCE, OBSERVE, Keep, Move, Notify
from worker.language.actions import AnyAction
from worker.language.rules import Ask, Mode, Proposal
from worker.ledger.lives import Life, MailSearch
from worker.ledger.values import RuleAnswer
from worker.rulehost.evaluation import Event, Said
from worker.sandbox import ACCOUNT, Fault

JUNK, TRASH = Move("JunkEmail"), Move("DeletedItems")
Answer = Callable[[Event], Said]


async def live(room: Room) -> Life:
    """Return the life of the only mail there is."""
    (mail,) = await room.ledger.find_mails(ACCOUNT, MailSearch())
    return await room.ledger.read_life(mail)


def answers(**more: Any) -> RuleAnswer:  # noqa: ANN401 (whatever an answer has)
    return RuleAnswer(**{"rule": "r", "result": "wanted", **more})


OUTRANKED = answers(result="outranked", by=("s",))


def two(first: AnyAction, second: AnyAction, *, above: int = 0) -> Answer:
    """Return two rules that want something, the second perhaps with a higher priority."""
    return lambda event: Said(
        key=event.key,
        proposals=(
            Proposal(rule="r", actions=(first,), mode=ENFORCE, priority=0, fingerprint="f"),
            Proposal(rule="s", actions=(second,), mode=ENFORCE, priority=above, fingerprint="g"),
        ),
    )


def asks(event: Event) -> Said:
    """Return a rule that needs a fact and then keeps quiet, beside one that wants to move the mail."""
    asking = (
        () if "Detection" in event.facts else (Ask(rule="s", actions=("Release",), mode=ENFORCE, facts=("Detection",)),)
    )
    return Said(key=event.key, proposals=says(event, JUNK).proposals, asks=asking)


@each(
    ("answer", "ceiling", "expected"),
    [
        (lambda e: Said(key=e.key), ENFORCE, []),
        (lambda e: says(e, JUNK), ENFORCE, [answers()]),
        (lambda e: says(e, Keep()), ENFORCE, [answers(result="kept")]),
        (lambda e: says(e, JUNK), OBSERVE, [answers(lowered="ceiling")]),
        (lambda e: says(e, JUNK, mode=OBSERVE), APPROVE, [answers()]),
        (lambda e: says(e, Notify("soc")), APPROVE, [answers()]),
        (two(JUNK, TRASH), ENFORCE, [answers(result="disputed"), answers(rule="s", result="disputed")]),
        (two(JUNK, TRASH, above=1), ENFORCE, [OUTRANKED, answers(rule="s")]),
        (two(JUNK, Keep(), above=1), ENFORCE, [OUTRANKED, answers(rule="s", result="kept")]),
        (fails, ENFORCE, [answers(rule="bad", result="failed")]),
        (asks, ENFORCE, [answers(result="held", by=("s",)), answers(rule="s", result="held", needs=("Detection",))]),
    ],
)  # fmt: skip
async def test_each_answer_is_on_record(answer: Answer, ceiling: Mode, expected: list[RuleAnswer]) -> None:
    room = Room(answer, ceiling=ceiling)
    room.world.add_message()
    await room.read()
    (sight,) = (await live(room)).sights
    assert sorted(sight.answers, key=lambda one: one.rule) == expected


async def test_an_event_that_can_no_longer_be_read_for_a_day_is_on_record_as_such() -> None:
    room = Room(asks)
    room.world.add_message()
    await room.read()
    room.rules.answer = lambda event: Said(key=event.key, unreadable="no")
    for _ in range(26):
        await room.held.step()
        room.clock.advance(3601)
    assert (await live(room)).sights[0].answers == (answers(rule="", result="unreadable"),)


async def test_an_answer_that_came_later_takes_the_place_of_what_it_waited_for() -> None:
    room = Room(asks)
    room.world.add_message()
    await room.read()
    room.world.faults.script([Fault("html", "GET", "investigate/", count=5)])
    await room.held.step()
    assert {answer.result for answer in (await live(room)).sights[0].answers} == {"held"}
    room.clock.advance(61)
    await room.held.step()
    assert (await live(room)).sights[0].answers == (answers(),)
