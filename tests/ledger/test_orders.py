"""What people order: rows that the daemon takes up, answers and records."""

import msgspec
import pytest

from tests.ledger.desk import JUNK, ME, T0, TRASH, Desk
from worker.language.actions import BlockSender, Move, Notify
from worker.ledger.entries import Entry

SOC = Notify(channel="soc")


async def order(desk: Desk, verb: str, subject: str) -> str:
    await desk.ledger.order(ME, verb, subject, "ann", "because", desk.now)
    taken = await desk.ledger.take_orders(ME, desk.now)
    assert len(taken) == 1
    return taken[0].answer


async def test_an_approved_decision_is_ready_in_the_name_of_who_approved_it() -> None:
    desk = Desk()
    await desk.enter(desk.draft(state="waiting"), desk.draft(SOC, state="waiting"))
    notice, move = await desk.ledger.entries(ME)
    assert await order(desk, "approve", move.item) == "1 approved"
    assert ((await desk.now_of(move)).state, (await desk.now_of(move)).approved_by) == ("ready", "ann")
    assert await desk.state(notice) == "held"
    assert await desk.ledger.take_orders(ME, T0) == ()
    last = (await desk.ledger.records(ME))[-1]
    assert b'"verb":"ordered"' in last
    assert b'"who":"ann"' in last


@pytest.mark.parametrize("subject", ["entry", "item", "rule:r"])
async def test_people_may_name_an_entry_an_item_or_a_rule(subject: str) -> None:
    desk = Desk()
    entry = await desk.wish(state="waiting")
    other = await desk.wish(message="m2", state="waiting", rules=("r_", "xr"), fingerprints=("f", "f"), item="x")
    named = {"entry": entry.id, "item": entry.item}.get(subject, subject)
    assert await order(desk, "refuse", named) == "1 refused"
    assert [await desk.state(one) for one in (entry, other)] == ["refused", "waiting"]


async def test_an_order_that_names_nothing_says_so() -> None:
    desk = Desk()
    assert await order(desk, "approve", "x") == "nothing waits under 'x'; worker waiting lists what does"
    assert "cannot be braked" in await order(desk, "brake", "everything")
    assert await order(desk, "unbrake", "rule:r") == "there was no such brake"


async def test_what_a_person_cancelled_is_recorded_as_the_api_answered_and_changes_nothing_here() -> None:
    desk = Desk()
    entry = await desk.wish(state="waiting")
    await desk.ledger.order(ME, "cancel", entry.item, "ann", "", T0, answer="the API answered 409: no\x1b")
    (taken,) = await desk.ledger.take_orders(ME, T0)
    assert taken.answer == r"the API answered 409: no\u001B"
    assert b'"answer":"the API answered 409' in (await desk.ledger.records(ME))[-1]
    assert (await desk.state(entry), (await desk.verbs())[-1]) == ("waiting", "ordered")


async def test_a_wish_that_joined_is_approved_under_its_own_item_too() -> None:
    desk = Desk()
    first = await desk.wish(state="waiting", item="one")
    await desk.enter(desk.draft(state="waiting", item="two", cause="b/1"))
    assert await order(desk, "approve", "two") == "1 approved"
    assert await desk.state(first) == "ready"


async def dispute(desk: Desk) -> list[Entry]:
    sides = [
        desk.side(JUNK, "m1/1", "one", rules=("one",)),
        desk.side(SOC, "m1/1", "one", rules=("one",)),
        desk.side(TRASH, "m1/1", "two", rules=("two",)),
        desk.side(BlockSender(pattern="x"), "m1/1", "two", rules=("two",)),
        desk.side(BlockSender(pattern="y"), "m1/1", "six", rules=("six",)),
        desk.side(TRASH, "m2/1", "two", rules=("two",), message="m2"),
    ]
    await desk.enter(*sides)
    entries = {(entry.lane, entry.target, entry.rules): entry for entry in await desk.ledger.entries(ME)}
    return [entries[side.lane, side.target, side.rules] for side in sides]


async def test_approving_one_side_of_a_dispute_refuses_the_other_decision_whole() -> None:
    desk = Desk()
    sides = await dispute(desk)
    assert await order(desk, "approve", "dispute/m1/1#one") == "1 approved"
    states = [await desk.state(entry) for entry in sides]
    assert states == ["ready", "held", "refused", "refused", "waiting", "waiting"]


@pytest.mark.parametrize("joins", [JUNK, TRASH])
async def test_the_other_side_is_refused_whichever_joined_an_earlier_entry(joins: Move) -> None:
    desk = Desk()
    await desk.wish(joins, state="waiting", item="report", cause="report/7/1")
    for side, action in (("one", JUNK), ("two", TRASH)):
        await desk.enter(desk.side(action, "m1/1", side))
    assert await order(desk, "approve", "dispute/m1/1#one") == "1 approved"
    states = {entry.action: entry.state for entry in await desk.ledger.entries(ME)}
    # What the report asks for as well stands on the report's word.
    assert states == {JUNK: "ready", TRASH: "refused" if joins == JUNK else "waiting"}


async def test_a_refused_decision_lets_its_notice_tell() -> None:
    desk = Desk()
    sides = await dispute(desk)
    await order(desk, "refuse", "dispute/m1/1#one")
    assert [await desk.state(entry) for entry in sides[:3]] == ["refused", "ready", "waiting"]


async def test_what_is_approved_while_something_else_is_on_its_way_has_its_turn_after_that() -> None:
    desk = Desk()
    asks = await desk.wish(TRASH, state="waiting", cause="a/1")
    first = await desk.wish(JUNK, cause="b/1")
    assert "once another action on the same target" in await order(desk, "approve", asks.id)
    assert ((await desk.now_of(asks)).state, (await desk.now_of(asks)).behind) == ("waiting", first.id)
    assert (await desk.verbs())[-2:] == ["approved", "ordered"]
    await desk.carry_out(first)
    assert ((await desk.now_of(asks)).state, (await desk.now_of(asks)).approved_by) == ("ready", "ann")


async def test_of_two_equal_sides_approved_at_once_only_one_goes_at_a_time() -> None:
    desk = Desk()
    one = await desk.wish(JUNK, state="waiting", cause="a/1")
    two = await desk.wish(TRASH, state="waiting", cause="b/1")
    await order(desk, "approve", "rule:r")
    assert sorted([await desk.state(one), await desk.state(two)]) == ["ready", "waiting"]


async def test_what_is_approved_behind_another_entry_does_not_lapse() -> None:
    desk = Desk()
    asks = await desk.wish(TRASH, state="waiting", cause="a/1")
    first = await desk.wish(JUNK, cause="b/1")
    await order(desk, "approve", asks.id)
    assert await desk.ledger.lapse(ME, T0 + 9000, 3600) == 0
    await desk.carry_out(first)
    assert await desk.state(asks) == "ready"


async def test_what_nobody_decides_in_time_lapses() -> None:
    desk = Desk()
    entry = await desk.wish(state="waiting")
    assert await desk.ledger.lapse(ME, T0 + 3600, 3600) == 0
    assert await desk.ledger.lapse(ME, T0 + 3601, 3600) == 1
    assert await desk.state(entry) == "lapsed"


async def test_the_brakes_say_who_and_why() -> None:
    desk = Desk()
    assert await order(desk, "brake", "rule:r") == "the brake is on"
    brake = (await desk.ledger.brakes(ME))[0]
    assert (brake.rule, brake.lane, brake.who, brake.because, brake.at) == ("r", "", "ann", "because", T0)
    assert await order(desk, "unbrake", "rule:r") == "the brake is off"
    assert await desk.ledger.brakes(ME) == ()


async def test_an_order_that_nobody_knows_lets_nothing_go() -> None:
    desk = Desk()
    entry = await desk.wish(state="waiting")
    assert await order(desk, "undo", entry.id) == "'undo' is not an order that this version knows: nothing was done"
    assert await desk.state(entry) == "waiting"


async def claims_of(desk: Desk) -> list[str]:
    """Return what the records of claims say."""
    records = [msgspec.json.decode(line) for line in await desk.ledger.records(ME)]
    return [record.get("said", "") for record in records if record["verb"] == "claimed"]


async def test_a_claim_does_not_repeat_why_the_entry_had_waited() -> None:
    desk = Desk()
    move = await desk.wish(state="waiting", why_waiting="WORKER_CEILING is approve")
    await order(desk, "approve", move.id)
    await desk.claim(move)
    await desk.answer(move, "ready", "the API answered 429")
    await desk.claim(move)
    assert (await claims_of(desk), (await desk.now_of(move)).said) == (["", ""], "WORKER_CEILING is approve")


async def test_a_claim_of_what_was_approved_says_why_it_is_tried_again() -> None:
    desk = Desk()
    move = await desk.wish(state="waiting", why_waiting="WORKER_CEILING is approve")
    await order(desk, "approve", move.id)
    await desk.claim(move)
    await desk.answer(move, "unsure")
    await desk.settle(move, "ready", "no move is shown")
    await desk.claim(move)
    assert await claims_of(desk) == ["", "no move is shown"]


async def test_every_notice_that_is_approved_leaves_though_others_of_its_channel_have_left() -> None:
    desk = Desk()
    for number in range(3):
        await desk.enter(desk.draft(SOC, cause=f"{number}/1", item=f"i{number}", state="waiting"))
    for entry in await desk.ledger.entries(ME):
        assert await order(desk, "approve", entry.id) == "1 approved"
        await desk.carry_out(entry)
    assert [entry.state for entry in await desk.ledger.entries(ME)] == ["done"] * 3


async def test_nothing_is_approved_where_nothing_may_be_carried_out_and_a_refusal_still_counts() -> None:
    desk = Desk()
    for message, verb in (("m1", "approve"), ("m2", "refuse")):
        entry = await desk.wish(JUNK, message, state="waiting")
        await desk.ledger.order(ME, verb, entry.id, "ada", "", desk.now)
    taken = await desk.ledger.take_orders(ME, desk.now, may_approve=False)
    assert [order.answer.partition(":")[0] for order in taken] == ["WORKER_CEILING is observe", "1 refused"]
    assert {entry.target: entry.state for entry in await desk.ledger.entries(ME)} == {"m1": "waiting", "m2": "refused"}
