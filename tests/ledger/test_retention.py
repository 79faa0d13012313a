"""What is kept for how long."""

from datetime import timedelta

from tests.ledger.desk import ME, T0, Desk, reading
from worker.audit.verify import verify
from worker.language.actions import BlockSender
from worker.language.rules import OBSERVE
from worker.ledger.values import Broken, NewSights, Page, Reading, RuleTable, Sight, Thing

DAY = 86400.0


async def test_old_sights_go_and_young_ones_stay() -> None:
    desk = Desk()
    await desk.read(reading("old", time=T0 - DAY), reading("young", time=T0))
    await desk.ledger.prune(ME, T0, {"Message": T0 - 1}, 0.0)
    assert await desk.read(reading("old", time=T0 - DAY), reading("young", time=T0)) == ["old/1"]


async def test_each_kind_of_thing_has_its_own_time() -> None:
    desk = Desk()
    report = Reading(thing=Thing("Report", T0 - DAY, "7"), state="read", raw=b"{}")
    both = (reading(time=T0 - DAY), report)
    await desk.read(*both)
    await desk.ledger.prune(ME, T0, {"Message": T0 - 1, "Report": T0 - 2 * DAY}, 0.0)
    assert await desk.read(*both) == ["m1/1"]


async def judge(desk: Desk, fingerprint: str, time: float, account: str = ME) -> None:
    """Enter a message that some rules have judged."""
    news, table = NewSights((Sight(reading(f"{fingerprint}-{time}", time=time), 1),)), RuleTable(fingerprint)
    await desk.ledger.enter(Page(account=account, now=T0, source="messages", news=news, rule_table=table))


async def test_rules_are_kept_as_long_as_a_sight_that_they_judged() -> None:
    desk = Desk()
    for fingerprint, time, account in (("a", T0 - 2, ME), ("b", T0, ME), ("c", T0 - 2, "other"), ("d", T0 - 2, ME)):
        await judge(desk, fingerprint, time, account)
    await desk.ledger.prune(ME, T0, {"Message": T0 - 1}, 0.0)
    await judge(desk, "e", T0)
    await judge(desk, "b", T0 + 1)
    kept = desk.runner.transact(lambda conn: conn.exec_driver_sql("SELECT fingerprint FROM rule_tables").all())
    assert sorted(row[0] for row in kept) == ["b", "c", "e"]


async def test_a_block_is_kept_until_its_end_has_come() -> None:
    desk = Desk()
    block = await desk.wish(BlockSender(pattern="evil@example.net", for_=timedelta(days=30)))
    await desk.carry_out(block)
    await desk.ledger.prune(ME, T0 + 20 * DAY, {}, T0 + 13 * DAY)
    assert await desk.state(block) == "done"
    desk.now = T0 + 30 * DAY
    (end,) = await desk.ledger.due(ME, desk.now)
    await desk.carry_out(end)
    await desk.ledger.prune(ME, desk.now, {}, desk.now - 7 * DAY)
    assert [entry.id for entry in await desk.ledger.entries(ME)] == [end.id]


async def test_what_was_final_from_the_first_is_kept_as_long_as_the_rest() -> None:
    desk = Desk()
    await desk.enter(desk.draft(state="observed", mode=OBSERVE), desk.draft(message="m2", state="moot"))
    await desk.ledger.prune(ME, T0 + DAY, {}, T0)
    assert len(await desk.ledger.entries(ME)) == 2
    await desk.ledger.prune(ME, T0 + DAY, {}, T0 + 1)
    assert await desk.ledger.entries(ME) == ()


async def test_what_settled_long_ago_goes_and_what_is_open_stays() -> None:
    desk = Desk()
    done, still = await desk.wish(), await desk.wish(message="m2")
    await desk.carry_out(done)
    await desk.ledger.enter(Page(account=ME, now=T0, source="messages", broken=(Broken(b"{", "cut"),)))
    await desk.ledger.prune(ME, T0 + DAY, {"Message": T0}, T0 + DAY)
    assert [entry.id for entry in await desk.ledger.entries(ME)] == [still.id]
    assert await desk.ledger.list_broken(ME) == ()


async def test_the_chain_still_verifies_after_pruning_it_twice() -> None:
    desk = Desk()
    for day in range(6):
        desk.now = T0 + day * DAY
        await desk.wish(message=f"m{day}")
        if day % 2:
            await desk.ledger.prune(ME, desk.now, {}, desk.now - DAY / 2)
    await desk.wish(message="last")
    lines = await desk.ledger.records(ME)
    assert verify(lines).problem == ""
    assert verify(lines).first > 1
    assert "no checkpoint says" in verify(lines[1:]).problem


async def test_the_last_record_is_never_pruned() -> None:
    desk = Desk()
    await desk.ledger.prune(ME, T0, {}, T0)
    assert await desk.ledger.records(ME) == []
    await desk.wish()
    await desk.wish(message="m2")
    await desk.ledger.prune(ME, T0 + DAY, {}, T0 + DAY)
    assert await desk.verbs() == ["entered", "pruned"]
    assert verify(await desk.ledger.records(ME)).problem == ""
