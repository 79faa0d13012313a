"""Events that were held for a fact: what is judged beside the sources counts like what is read."""

from tests.reading import Room, fails, says
from worker import BlockSender, Move
from worker.language.rules import ENFORCE, Ask
from worker.rulehost.evaluation import Event, Said
from worker.sandbox import ACCOUNT


def fails_with_a_detection(event: Event) -> Said:
    """Ask for the detection, and fail on it."""
    return fails(event) if event.facts else Said(key=event.key, asks=(Ask(rule="bad", facts=("Detection",)),))


async def test_a_rule_that_fails_on_a_held_event_is_counted() -> None:
    room = Room(fails_with_a_detection)
    room.world.add_message()
    await room.read()
    assert b'worker_rule_failures_total{rule="bad"}' not in room.metrics.render()
    await room.held.step()
    assert b'worker_rule_failures_total{rule="bad"} 1.0' in room.metrics.render()


async def test_what_is_decided_about_held_events_is_counted() -> None:
    def moves_with_a_detection(event: Event) -> Said:
        wanted = says(event, Move("DeletedItems"), BlockSender("eve@bad.example"))
        return wanted if event.facts else Said(key=event.key, asks=(Ask(rule="r", facts=("Detection",)),))

    room = Room(moves_with_a_detection)
    for _ in range(3):
        room.world.add_message()
    await room.read()
    assert (room.messages.totals["decisions"], room.held.totals["decisions"]) == (0, 0)
    await room.held.step()
    assert room.held.totals["decisions"] == 3


async def test_a_held_event_that_cannot_be_read_for_once_stays_held_with_what_rules_wanted() -> None:
    lost: list[str] = []

    def wants_in_spite_of_another(event: Event) -> Said:
        if lost:
            return Said(key=event.key, unreadable=lost[0])
        wanted = says(event, Move("DeletedItems")).proposals
        other = Ask(rule="other", actions=("Move",), mode=ENFORCE, facts=("Detection",))
        return Said(key=event.key, proposals=wanted, asks=() if event.facts else (other,))

    room = Room(wants_in_spite_of_another)
    mail = room.world.add_message(disposition="SPAM")
    await room.read()
    lost.append("the rule process cannot read it")
    await room.held.step()
    (item,) = await room.ledger.list_held(ACCOUNT)
    assert (item.why, await room.targets(), await room.ledger.count_unreadable(ACCOUNT)) == (lost[0], [], 0)
    lost.clear()
    room.clock.advance(61)
    await room.held.step()
    assert (await room.targets(), await room.ledger.list_held(ACCOUNT)) == ([mail.id], ())
