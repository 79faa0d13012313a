"""What stands still in the ledger, and what keeps it back."""

import pytest

from tests.desk import RULE, Desk
from worker.language.actions import Move
from worker.sandbox import ACCOUNT

JUNK = Move(destination="JunkEmail")


@pytest.mark.parametrize(
    ("subject", "told"),
    [
        ("", "the brake on everything"),
        ("lane:placement", "the brake on lane placement"),
        (f"rule:{RULE.name}", f"the brake on rule {RULE.name}"),
        ("lane:block", ""),
        ("rule:another", ""),
    ],
)
async def test_a_brake_that_keeps_back_what_is_ready_is_named_with_how_much(subject: str, told: str) -> None:
    desk = Desk()
    await desk.enter(JUNK, desk.old(3))
    await desk.ledger.order(ACCOUNT, "brake", subject, "ada", "", desk.clock.now())
    await desk.ledger.take_orders(ACCOUNT, desk.clock.now())
    found = await desk.ledger.find_standstill(ACCOUNT, desk.clock.now())
    assert found.kept_back == ({told: 3} if told else {})


async def test_a_rule_that_only_observes_until_it_is_fixed_keeps_back_its_own() -> None:
    desk = Desk()
    await desk.enter(JUNK, desk.old(2))
    found = await desk.ledger.find_standstill(ACCOUNT, desk.clock.now(), [RULE.name])
    assert found.kept_back == {f"rule {RULE.name}, which only observes until it is fixed": 2}
    assert (await desk.ledger.find_standstill(ACCOUNT, desk.clock.now(), ["another"])).kept_back == {}


async def test_nothing_stands_still_in_an_empty_ledger() -> None:
    desk = Desk()
    found = await desk.ledger.find_standstill(ACCOUNT, desk.clock.now())
    assert (found.held, found.since, found.kept_back) == (0, 0.0, {})
