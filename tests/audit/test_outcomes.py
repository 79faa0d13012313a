"""Outcomes: each action that ends is counted once for each of its rules, by what is on record."""

from collections import Counter

import msgspec

from tests.desk import RULE, Desk
from worker.audit.outcomes import Outcomes
from worker.language.actions import Move
from worker.sandbox import ACCOUNT
from worker.telemetry import Metrics

JUNK = Move(destination="JunkEmail")


class Heard(Metrics):
    """Keeps what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = Counter[tuple[str, str, str, str]]()

    def on_outcome(self, account: str, rule: str, kind: str, outcome: str) -> None:
        """Count it."""
        self.ended[account, rule, kind, outcome] += 1


def count(*lines: bytes) -> Counter[tuple[str, str, str, str]]:
    """Return what these records come to."""
    heard = Heard()
    for line in lines:
        Outcomes(heard).take(line)
    return heard.ended


async def test_what_was_done_counts_once_and_what_is_under_way_does_not() -> None:
    desk = Desk()
    await desk.enter(JUNK, desk.old(2))
    assert count(*await desk.ledger.records(ACCOUNT)) == {}
    desk.clock.advance(1)
    await desk.executor.step()
    for _ in range(5):
        desk.clock.advance(10)
        await desk.executor.step()
    assert count(*await desk.ledger.records(ACCOUNT)) == {(ACCOUNT, RULE.name, "Move", "done"): 2}


async def test_what_is_only_observed_has_ended_when_it_is_entered() -> None:
    desk = Desk()
    await desk.enter(JUNK, desk.old(3), state="observed")
    assert count(*await desk.ledger.records(ACCOUNT)) == {(ACCOUNT, RULE.name, "Move", "observed"): 3}


async def test_what_a_person_refuses_is_refused() -> None:
    desk = Desk()
    await desk.enter(JUNK, desk.old(1), state="waiting")
    (waits,) = await desk.entries()
    await desk.ledger.order(ACCOUNT, "refuse", waits.id, "ada", "", desk.clock.now())
    await desk.ledger.take_orders(ACCOUNT, desk.clock.now())
    assert count(*await desk.ledger.records(ACCOUNT)) == {(ACCOUNT, RULE.name, "Move", "refused"): 1}


def test_rules_that_agree_are_each_credited() -> None:
    line = {"account": "a", "to": "done", "action": {"type": "Move"}, "rules": [["one", "f"], ["other", "g"]]}
    assert count(msgspec.json.encode(line)) == {("a", "one", "Move", "done"): 1, ("a", "other", "Move", "done"): 1}


def test_records_of_other_shapes_count_nothing() -> None:
    taken = {"account": "a", "verb": "bundle taken", "rules": [["one", "f", "enforce"]]}
    assert count(msgspec.json.encode(taken), b'{"account":"a","verb":"started"}') == {}
