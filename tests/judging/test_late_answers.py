"""A fact that cannot be had costs the rules that ask for it, and no other."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from tests.reading import DAY, Room, says
from worker import APPROVE, BlockSender, Move, Release
from worker.language.actions import AnyAction
from worker.language.rules import ENFORCE, Ask
from worker.rulehost.evaluation import Event, Said
from worker.sandbox import ACCOUNT, Fault

JUNK, BLOCK = Move("JunkEmail"), BlockSender("eve@evil.example")


def two_rules(sure: AnyAction, asking: AnyAction, *, priority: int = 0) -> Callable[[Event], Said]:
    """Return one rule that always acts, and one that acts when it has a Detection."""
    ask = Ask(rule="asks", actions=(type(asking).__name__,), mode=ENFORCE, priority=priority, facts=("Detection",))

    def answer(event: Event) -> Said:
        first = says(event, sure, rule="sure").proposals
        if event.facts:
            return Said(
                key=event.key, proposals=(*first, *says(event, asking, rule="asks", priority=priority).proposals)
            )
        return Said(key=event.key, proposals=first, asks=(ask,))

    return answer


def without_facts(room: Room) -> None:
    """Let the API answer no question about a single message."""
    room.world.faults.script([Fault("html", "GET", "investigate/", count=10_000)])


async def wanted(room: Room) -> list[tuple[str, str]]:
    """Return the type and state of every entry."""
    return sorted((type(entry.action).__name__, entry.state) for entry in await room.entries())


async def test_a_fact_that_cannot_be_had_does_not_silence_the_rules_that_did_not_ask() -> None:
    room = Room(two_rules(JUNK, BLOCK))
    without_facts(room)
    room.world.add_message()
    await room.read()
    assert await wanted(room) == [("Move", "ready")]
    await room.held.step()
    (held,) = await room.ledger.due_held(ACCOUNT, room.clock.now() + 61)
    assert [ask.rule for ask in held.pending.asks] == ["asks"]
    assert held.why.startswith("could not fetch Detection: ")


async def test_who_asked_is_heard_when_the_fact_is_there_and_nobody_else_twice() -> None:
    room = Room(two_rules(JUNK, BLOCK))
    room.world.add_message(sender="eve@evil.example", validation={"dmarc": "pass"})
    await room.read()
    await room.held.step()
    assert await wanted(room) == [("BlockSender", "ready"), ("Move", "ready")]
    assert await room.ledger.due_held(ACCOUNT, room.clock.now() + DAY) == ()


@pytest.mark.slow
@pytest.mark.parametrize(("verdict", "seconds", "state"), [("MALICIOUS", 301, "ready"), ("SPAM", 301, "")])
async def test_what_may_be_outranked_waits_but_of_malicious_mail_at_most_five_minutes(
    verdict: str, seconds: int, state: str
) -> None:
    room = Room(two_rules(JUNK, Release(), priority=5))
    without_facts(room)
    room.world.add_message(disposition=verdict)
    await room.read()
    assert await wanted(room) == []
    for _ in range(seconds):
        await room.held.step()
        room.clock.advance(1)
    assert await wanted(room) == ([("Move", state)] if state else [])


@pytest.mark.slow
async def test_what_comes_too_late_to_outrank_waits_for_a_person() -> None:
    room = Room(two_rules(JUNK, Release(), priority=5))
    room.world.faults.script([Fault("html", "GET", "investigate/", count=15)])
    room.world.add_message()
    await room.read()
    for _ in range(3600):
        room.clock.advance(1)
        await room.held.step()
    assert await wanted(room) == [("Move", "ready"), ("Release", "waiting")]
    (late,) = [entry for entry in await room.entries() if entry.state == "waiting"]
    assert (late.mode, late.item_kind) == (APPROVE, "dispute")
    assert late.said == "what rule sure wants was entered before this rule could answer"


async def test_at_its_end_an_event_that_was_not_heard_is_put_before_a_person() -> None:
    room = Room(two_rules(JUNK, BLOCK))
    without_facts(room)
    mail = room.world.add_message()
    await room.read()
    for _ in range(30):
        await room.held.step()
        room.clock.advance(3600)
    assert await wanted(room) == [("Keep", "waiting"), ("Move", "ready")]
    (question,) = [entry for entry in await room.entries() if entry.state == "waiting"]
    assert (question.target, question.rules, question.subject) == (mail.id, ("asks",), mail.read_fixed().subject or "")
    assert question.said.startswith("could not fetch Detection: ")


@pytest.mark.parametrize(("verb", "state"), [("approve", "moot"), ("refuse", "refused")])
async def test_a_person_who_has_looked_says_so_and_nothing_is_left(verb: str, state: str) -> None:
    room = Room(two_rules(JUNK, BLOCK))
    without_facts(room)
    room.world.add_message()
    await room.read()
    for _ in range(30):
        await room.held.step()
        room.clock.advance(3600)
    (question,) = [entry for entry in await room.entries() if entry.state == "waiting"]
    await room.ledger.order(ACCOUNT, verb, question.id, "ada", "", room.clock.now())
    await room.ledger.take_orders(ACCOUNT, room.clock.now())
    assert ("Keep", state) in await wanted(room)


@pytest.mark.parametrize("mended", [False, True])
async def test_a_rule_that_stops_its_process_is_heard_when_it_is_mended_or_a_person_is_asked(mended: bool) -> None:  # noqa: FBT001
    ask = Ask(rule="hangs", actions=("Move",), stopped="it stopped the rule process on 3 other events")
    room = Room(lambda event: replace(says(event, BLOCK, rule="sure"), asks=(ask,)))
    room.world.add_message(sender="eve@evil.example", validation={"dmarc": "pass"})
    await room.read()
    await room.held.step()
    (held,) = await room.ledger.list_held(ACCOUNT, 9)
    assert held.why == "rule hangs has to be mended: it stopped the rule process on 3 other events"
    if mended:
        room.rules.answer = lambda event: says(event, JUNK, rule="hangs")
        await room.ledger.hasten_held(ACCOUNT, room.clock.now())
    else:
        room.clock.advance(DAY + 1)
    await room.held.step()
    assert await wanted(room) == [("BlockSender", "ready"), ("Move", "ready") if mended else ("Keep", "waiting")]
    assert await room.ledger.list_held(ACCOUNT, 9) == ()
