"""What people and metrics ask of the ledger."""

from datetime import timedelta

from tests.ledger.desk import ME, T0, TRASH, Desk
from worker.language.actions import BlockSender, Unblock
from worker.ledger.values import Page, Slice


async def test_entries_are_found_by_state_rule_and_age() -> None:
    desk = Desk()
    old = await desk.wish(rules=("a_b",))
    desk.now += 60
    young = await desk.wish(message="m2", state="waiting", rules=("axb",))
    assert [entry.id for entry in await desk.ledger.entries(ME)] == [young.id, old.id]
    assert [entry.id for entry in await desk.ledger.entries(ME, states=("ready",))] == [old.id]
    assert [entry.id for entry in await desk.ledger.entries(ME, rule="a_b")] == [old.id]
    assert [entry.id for entry in await desk.ledger.entries(ME, since=T0 + 1, limit=5)] == [young.id]
    assert await desk.ledger.entries("other") == ()


async def test_entries_are_counted_by_kind_and_state() -> None:
    desk = Desk()
    await desk.enter(desk.draft(), desk.draft(TRASH, "m2"), desk.draft(message="m3", state="observed"))
    assert await desk.ledger.counts(ME) == {"Move": {"ready": 2, "observed": 1}}


async def test_the_end_of_a_block_counts_as_later_until_its_time_has_come() -> None:
    desk = Desk()
    await desk.carry_out(await desk.wish(BlockSender("a@b.example", for_=timedelta(hours=1))))
    await desk.wish(Unblock("c@d.example"))
    counted = [await desk.ledger.counts(ME, now) for now in (T0, T0 + 3599, T0 + 3600)]
    assert [one["Unblock"] for one in counted] == [{"later": 1, "moot": 1}] * 2 + [{"ready": 1, "moot": 1}]
    assert (await desk.ledger.counts(ME))["Unblock"] == {"ready": 1, "moot": 1}


async def test_the_ledger_knows_its_accounts_and_its_size() -> None:
    desk = Desk()
    await desk.wish()
    slice_ = Slice(source="messages", kind="head", start=0, end=1)
    await desk.ledger.enter(Page(account="other", now=T0, source="messages", slice=slice_))
    assert await desk.ledger.accounts() == (ME, "other")
    assert (await desk.ledger.sizes())["entries"] >= 4096


async def test_a_sink_finds_its_place_again() -> None:
    ledger = Desk().ledger
    assert await ledger.cursor(ME, "stdout") == 0
    await ledger.keep_cursor(ME, "stdout", 7)
    assert await ledger.cursor(ME, "stdout") == 7
    assert await ledger.cursor("other", "stdout") == 0
