"""What the loops ask of the ledger again and again costs no more in a ledger of a million entries."""

import pytest

from tests.ledger.desk import ME, T0, Desk, standing
from tests.ledger.plans import explain, listened
from worker.ledger.entries import Answered, Claim, Look, Outcome

MANY = 9
"""Entries that one batch is about: of more than two, the database may take another way than of one."""


async def work(desk: Desk, wishes: list[str]) -> None:
    """Do what the loops do: take up orders, claim, answer, settle, and look at what stands still."""
    await desk.ledger.order(ME, "approve", "rule:r", "ada", "", T0, covers=wishes)
    await desk.ledger.take_orders(ME, T0)
    await desk.ledger.find_standstill(ME, T0, ["r"])
    claimed = await desk.ledger.claim(ME, [Claim(id_, Look(at=T0)) for id_ in wishes], standing(), T0, T0 + 20)
    await desk.ledger.answer(ME, [Answered(id=entry.id, state="sent", at=T0) for entry in claimed], T0)
    await desk.ledger.settle(ME, [Outcome(id=entry.id, state="done", proof="seen") for entry in claimed], T0)


@pytest.mark.parametrize("state", ["ready", "waiting"])
async def test_no_loop_reads_every_entry_of_an_account(state: str) -> None:
    desk = Desk()
    await desk.enter(*(desk.draft(message=f"m{number}", state=state) for number in range(MANY)))
    wishes = [entry.id for entry in await desk.ledger.entries(ME)]
    with listened(desk) as heard:
        await work(desk, wishes)
    assert {entry.state for entry in await desk.ledger.entries(ME)} == {"done"}
    with desk.runner.engine.begin() as conn:
        asked = [(said, given) for said, given in heard if said.startswith("SELECT")]
        steps = [step for said, given in asked for step in explain(conn, said, given)]
    assert [step for step in steps if " entries " in step and step.endswith("(account=?)")] == []
