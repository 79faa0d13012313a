"""The circuit: what all mailboxes refuse is put off; what some refuse stops nobody else."""

import random
from collections import Counter

import pytest
from msgspec.structs import replace

from tests.desk import Desk
from tests.executor.test_handlers import entry
from tests.support import TestClock
from worker.executor.circuit_breaker import OPENS_AT, PROBE_EVERY, REMEMBERED, CircuitBreaker
from worker.language.actions import Move
from worker.ledger.entries import Entry
from worker.sandbox.account.mail import Mail

JUNK = Move(destination="JunkEmail")
ODD = tuple(f"odd{number}@corp.example" for number in range(60))


def mail(desk: Desk, *to: str) -> Mail:
    """Return a message that was delivered to some mailboxes."""
    return desk.world.add_message(client_recipients=list(to))


@pytest.mark.slow
async def test_mail_to_odd_mailboxes_stops_no_other_mail() -> None:
    desk = Desk(out_of_reach=ODD)
    for mailbox in ODD:
        await desk.enter(JUNK, [mail(desk, mailbox)])
        await desk.run(2)
    phish = mail(desk, "ada@corp.example")
    await desk.enter(JUNK, [phish])
    await desk.run(5)
    assert phish.now.folder == "JunkEmail"
    assert desk.executor.problems == {}
    await desk.run(7200)
    assert Counter(await desk.states()) == {"failed": len(ODD), "done": 1}


@pytest.mark.slow
async def test_while_all_mailboxes_refuse_entries_are_kept_and_one_a_minute_is_tried() -> None:
    desk = Desk(integration="off")
    mails = [mail(desk, f"user{number}@corp.example") for number in range(200)]
    for one in mails:
        await desk.enter(JUNK, [one])
        await desk.executor.step()
    await desk.run(300)
    before = desk.world.requests["POST investigate/move"].copy()
    await desk.run(600)
    made = sum(desk.world.requests["POST investigate/move"].values()) - sum(before.values())
    assert 9 <= made <= 11
    assert "mailboxes in a row refused" in desk.executor.problems["move"]
    assert Counter(await desk.states())["failed"] < OPENS_AT
    desk.world.options = replace(desk.world.options, integration="on")
    await desk.run(300)
    assert Counter(await desk.states())["done"] > len(mails) - OPENS_AT


@pytest.mark.parametrize("seed", range(20))
def test_an_open_circuit_tries_one_a_minute_and_closes_with_the_first_success(seed: int) -> None:
    rng, clock = random.Random(seed), TestClock()
    circuit, entries = (
        CircuitBreaker(clock),
        [entry(JUNK, number=number, recipients=draw(rng)) for number in range(300)],
    )
    circuit.note_refusal(entries, "no integration")
    tried = list[Entry]()
    for _ in range(600):
        tried += circuit.choose(rng.sample(entries, 5))
        clock.advance(1)
    assert 9 <= len(tried) <= 600 / PROBE_EVERY + 1
    circuit.note_success([])
    assert circuit.choose(entries) == entries


def test_every_entry_has_its_turn_as_a_probe() -> None:
    clock = TestClock()
    circuit, entries = CircuitBreaker(clock), [entry(JUNK, number=number) for number in range(10)]
    circuit.open("20 requests in a row were refused", "no integration")
    probes = []
    for _ in entries:
        probes += circuit.choose(entries)
        clock.advance(PROBE_EVERY)
    assert {probe.id for probe in probes} == {one.id for one in entries}


def test_a_mailbox_that_has_not_refused_is_tried_at_once() -> None:
    circuit = CircuitBreaker(TestClock())
    refused = [entry(JUNK, number=number, recipients=(name,)) for number, name in enumerate(ODD)]
    circuit.note_refusal(refused, "not enabled")
    fresh = entry(JUNK, number=99, recipients=("ada@corp.example",))
    assert circuit.choose(refused) == []
    assert circuit.choose([*refused, fresh]) == [fresh]
    assert circuit.choose([*refused, fresh]) == []


def test_mailboxes_that_refused_before_a_success_count_for_nothing_for_a_day() -> None:
    clock = TestClock()
    circuit = CircuitBreaker(clock)
    refused = [entry(JUNK, number=number, recipients=(name,)) for number, name in enumerate(ODD)]
    for _ in range(3):
        circuit.note_refusal(refused[: OPENS_AT - 1], "not enabled")
        circuit.note_success([])
        circuit.note_refusal(refused[: OPENS_AT - 1], "not enabled")
        assert not circuit.is_open
    clock.advance(REMEMBERED + 1)
    circuit.note_success([])
    circuit.note_refusal(refused[:OPENS_AT], "not enabled")
    assert circuit.is_open


def draw(rng: random.Random) -> tuple[str, ...]:
    """Draw up to three of a hundred mailboxes."""
    return tuple(f"user{rng.randrange(100)}@corp.example" for _ in range(rng.randint(1, 3)))
