"""What the loops ask of the ledger again and again costs no more in a ledger of a million entries."""

import re

import pytest

from tests.ledger.desk import ME, T0, Desk, standing
from tests.ledger.plans import explain, listened
from worker.ledger.entries import Answered, Claim, Look, Outcome
from worker.ledger.values import Broken, Page

DAY = 86_400.0
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


async def reread(desk: Desk) -> None:
    """Do what the loops do with records that nobody can read."""
    now = T0 + DAY
    for record in await desk.ledger.list_unreadable(ME, now, MANY):
        await desk.ledger.put_off_unreadable(ME, record, now)
        await desk.ledger.end_unreadable(ME, record, now)
    await desk.ledger.find_settled_records(ME, map(str, range(MANY)))
    await desk.ledger.coverage(ME, "messages")
    await desk.ledger.find_standstill(ME, now)


async def test_no_loop_reads_every_record_that_nobody_can_read() -> None:
    desk = Desk()
    lost = tuple(Broken(b"{", "cut", id=f"m{number}" if number else "", start=T0, end=T0) for number in range(2))
    moment = Broken(b"", "cut", start=T0, end=T0 + 1)
    await desk.ledger.enter(Page(account=ME, now=T0, source="messages", broken=(*lost, moment)))
    with listened(desk) as heard:
        await reread(desk)
    assert await desk.ledger.count_unreadable(ME) == 0
    with desk.runner.engine.begin() as conn:
        steps = {said: list(explain(conn, said, given)) for said, given in heard if "broken" in said}
    assert [step for each in steps.values() for step in each if step.endswith("(account=?)")] == []
    written = [step for said, each in steps.items() if said.startswith("UPDATE") for step in each]
    assert [step for step in written if not re.search(r"\((account=\? AND digest|.* AND id)=\?\)", step)] == []


async def test_who_decided_is_found_without_reading_the_chain() -> None:
    desk = Desk()
    await desk.enter(desk.draft(state="waiting"))
    with listened(desk) as heard:
        await desk.ledger.find_decided(ME, "nothing")
    with desk.runner.engine.begin() as conn:
        steps = [step for said, given in heard if "FROM" in said for step in explain(conn, said, given)]
    reads = [step for step in steps if re.search(r"(SCAN|SEARCH) (records|entries|reasons)", step)]
    assert reads
    assert [step for step in reads if "SCAN" in step or step.endswith("(account=?)")] == []
