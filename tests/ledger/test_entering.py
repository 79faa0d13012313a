"""Wishes meet: equal ones join, different ones wait, done ones are moot, newer sights retire older wishes."""

from datetime import timedelta

import pytest

from tests.cells import each
from tests.ledger.desk import JUNK, ME, T0, TRASH, Desk, info, reading, standing
from worker.language.actions import AllowSender, BlockSender, Move, Notify, Release, TrustDomain, Unblock
from worker.language.rules import APPROVE, OBSERVE, Limit
from worker.ledger.entries import Draft, Question, State
from worker.ledger.values import Page, Sight

SOC = Notify(channel="soc")
BLOCK = BlockSender(pattern="evil@example.net")


async def test_an_observed_wish_is_final_and_stands_in_nobodys_way() -> None:
    desk = Desk()
    seen = await desk.wish(state="observed", mode=OBSERVE)
    assert (seen.state, seen.settled_at) == ("observed", 0.0)
    assert (await desk.wish()).state == "ready"


async def test_an_equal_wish_joins_the_open_entry() -> None:
    desk = Desk()
    first = await desk.wish()
    await desk.claim(first)
    await desk.enter(desk.draft(rules=("other",), fingerprints=("g",), because="so do I", cause="report/1"))
    joined = await desk.now_of(first)
    assert (joined.rules, joined.fingerprints, joined.state) == (("r", "other"), ("f", "g"), "claimed")
    assert len(await desk.ledger.entries(ME)) == 1
    assert await desk.verbs() == ["entered", "claimed", "joined"]


async def test_a_stronger_equal_wish_makes_a_waiting_entry_ready() -> None:
    desk = Desk()
    asks = await desk.wish(state="waiting", mode=APPROVE, why_waiting="asks")
    assert (asks.state, asks.said, asks.waits_since) == ("waiting", "asks", T0)
    await desk.enter(desk.draft(rules=("s",)))
    ready = await desk.now_of(asks)
    assert (ready.state, ready.rules, ready.mode.name) == ("ready", ("r", "s"), "ENFORCE")


async def test_what_was_tried_already_is_not_made_ready_by_an_equal_wish() -> None:
    desk = Desk()
    partly = await desk.wish(Release())
    await desk.claim(partly)
    await desk.answer(partly)
    await desk.settle(partly, "unsure")
    await desk.settle(partly, "waiting", "delivered to 2 of 3")
    await desk.enter(desk.draft(Release(), rules=("s",), cause="b/1"))
    assert await desk.state(partly) == "waiting"
    other = await desk.wish(JUNK, cause="c/1")
    await desk.enter(desk.draft(Release(), cause="d/1"))
    await desk.carry_out(other)
    assert [entry.state for entry in await desk.ledger.entries(ME)] == ["done", "waiting"]


async def test_a_weaker_equal_wish_leaves_a_ready_entry_ready() -> None:
    desk = Desk()
    ready = await desk.wish()
    await desk.enter(desk.draft(rules=("s",), state="waiting", mode=APPROVE))
    assert await desk.state(ready) == "ready"


async def test_a_different_wish_waits_behind_the_open_one_and_then_has_its_turn() -> None:
    desk = Desk()
    first = await desk.wish(JUNK)
    second = await desk.wish(TRASH, cause="report/1")
    third = await desk.wish(TRASH, cause="report/2")
    assert (second.state, second.behind) == ("held", first.id)
    assert third.id == second.id
    await desk.carry_out(first)
    assert await desk.state(second) == "ready"


@pytest.mark.parametrize("how", ["limit", "touched", "unsure"])
async def test_what_is_held_has_its_turn_when_a_person_is_asked_about_what_it_waits_behind(how: str) -> None:
    desk = Desk()
    first, second = await desk.wish(JUNK), await desk.wish(TRASH, cause="b/1")
    if how == "limit":
        await desk.claim(first, under=standing(info(limit=Limit(0))))
    elif how == "touched":
        await desk.ledger.postpone(ME, [Question(id=first.id, said="touched")], T0)
    else:
        await desk.claim(first)
        await desk.answer(first, "unsure")
        await desk.settle(first, "waiting")
    assert [await desk.state(entry) for entry in (first, second)] == ["waiting", "ready"]


async def test_what_waited_is_moot_when_it_is_what_was_done() -> None:
    desk = Desk()
    first, second, third = (
        await desk.wish(JUNK),
        await desk.wish(TRASH, cause="b/1"),
        await desk.wish(JUNK, cause="c/1"),
    )
    assert third.id == second.id
    assert (await desk.now_of(first)).state == "ready"
    await desk.carry_out(first)
    await desk.carry_out(await desk.now_of(second))
    assert (await desk.wish(TRASH, cause="d/1")).said == f"was done already, see {second.id}"
    assert (await desk.wish(JUNK, cause="e/1")).state == "ready"


async def test_a_line_of_wishes_is_taken_one_by_one() -> None:
    desk = Desk()
    inbox = Move(destination="Inbox")
    first = await desk.wish(JUNK)
    second, third = await desk.wish(TRASH, cause="b/1"), await desk.wish(inbox, cause="c/1")
    await desk.carry_out(first)
    assert [await desk.state(entry) for entry in (second, third)] == ["ready", "held"]
    assert (await desk.now_of(third)).behind == second.id
    await desk.ledger.retire(ME, [(second.id, "gone")], T0)
    assert await desk.state(third) == "ready"


async def test_a_stronger_wish_does_not_pass_what_is_on_its_way() -> None:
    desk = Desk()
    asks = await desk.wish(TRASH, state="waiting", mode=APPROVE, cause="a/1")
    first = await desk.wish(JUNK, cause="b/1")
    second = await desk.wish(TRASH, cause="c/1")
    assert (second.state, second.behind) == ("held", first.id)
    assert await desk.state(asks) == "waiting"


async def test_a_person_is_not_asked_for_what_was_done_already() -> None:
    desk = Desk()
    await desk.carry_out(await desk.wish())
    again = await desk.wish(state="waiting", mode=APPROVE, cause="b/1")
    assert (again.state, again.said) == ("moot", "was done already")


async def test_an_outranked_wish_is_moot_at_once() -> None:
    desk = Desk()
    assert (await desk.wish(state="moot", because="outranked by keep")).state == "moot"


async def see_again(desk: Desk, *drafts: Draft) -> None:
    news = await desk.ledger.news(ME, [reading(state="NONE|-")], desk.now, 120)
    await desk.ledger.enter(Page(account=ME, now=desk.now, source="messages", news=news, drafts=drafts))


async def test_a_new_sight_retires_what_the_older_one_asked_for() -> None:
    desk = Desk()
    await desk.read(reading())
    ready = await desk.wish()
    asks = await desk.wish(BLOCK, state="waiting")
    behind = await desk.wish(TRASH)
    await see_again(desk, desk.draft(JUNK, cause=Sight(reading(), 2).key))
    retired = [await desk.now_of(entry) for entry in (ready, asks, behind)]
    assert {entry.state for entry in retired} == {"moot"}
    assert retired[0].said == f"verdict changed, see {Sight(reading(), 2).key}"
    assert (await desk.ledger.entries(ME))[0].state == "ready"


async def test_what_is_on_its_way_runs_to_its_end() -> None:
    desk = Desk()
    await desk.read(reading())
    first = await desk.wish()
    await desk.claim(first)
    await see_again(desk)
    assert await desk.state(first) == "claimed"


async def test_what_others_asked_for_as_well_stands_on_their_word() -> None:
    desk = Desk()
    await desk.read(reading())
    block = await desk.wish(BLOCK, state="waiting")
    await desk.enter(desk.draft(BLOCK, "m2", state="waiting", rules=("other",), fingerprints=("g",)))
    assert (await desk.now_of(block)).rules == ("r", "other")
    await see_again(desk)
    left = await desk.now_of(block)
    assert (left.state, left.rules, left.cause) == ("waiting", ("other",), Sight(reading("m2"), 1).key)
    assert (await desk.verbs())[-1] == "withdrawn"


async def test_notices_leave_when_the_rest_of_their_decision_has_settled() -> None:
    desk = Desk()
    await desk.enter(desk.draft(JUNK), desk.draft(SOC), desk.draft(BLOCK))
    notice, block, move = await desk.ledger.entries(ME)
    assert (notice.lane, notice.state) == ("notice", "held")
    await desk.carry_out(move)
    assert await desk.state(notice) == "held"
    await desk.carry_out(block)
    assert await desk.state(notice) == "ready"


async def test_a_notice_waits_for_what_its_rule_said_together_with_another_rule() -> None:
    desk = Desk()
    await desk.enter(
        desk.draft(JUNK, rules=("r", "s"), fingerprints=("f", "f")), desk.draft(SOC, rules=("s",), item="other#s")
    )
    notice, move = await desk.ledger.entries(ME)
    assert (notice.state, notice.item) == ("held", move.item)
    await desk.carry_out(move)
    assert await desk.state(notice) == "ready"


async def test_a_notice_leaves_although_its_decision_joined_an_entry_of_the_same_thing() -> None:
    desk = Desk()
    first = await desk.wish(item="one#r")
    await desk.enter(desk.draft(item="two#r"), desk.draft(SOC, item="two#r"))
    await desk.enter(desk.draft(item="six#r"), desk.draft(SOC, item="six#r"))
    notices = await desk.ledger.entries(ME, states=("held",))
    assert [notice.item for notice in notices] == ["six#r", "two#r"]
    await desk.carry_out(first)
    assert [await desk.state(notice) for notice in notices] == ["ready", "ready"]


async def test_a_notice_alone_is_ready_and_two_may_go_to_one_channel() -> None:
    desk = Desk()
    await desk.enter(desk.draft(SOC), desk.draft(SOC, "m2"))
    assert [entry.state for entry in await desk.ledger.entries(ME)] == ["ready", "ready"]


async def test_a_notice_leaves_when_its_decision_is_retired_or_withdrawn() -> None:
    desk = Desk()
    await desk.read(reading())
    await desk.enter(desk.draft(BLOCK, "m2", state="waiting"))
    await desk.enter(desk.draft(BLOCK, state="waiting"), desk.draft(SOC, state="waiting"))
    notice = (await desk.ledger.entries(ME))[0]
    assert notice.state == "held"
    await see_again(desk)
    assert await desk.state(notice) == "ready"


@pytest.mark.parametrize("state", ["waiting", "ready"])
async def test_a_new_sight_retires_a_notice_that_stands_alone(state: State) -> None:
    desk = Desk()
    await desk.read(reading())
    notice = await desk.wish(SOC, state=state)
    await see_again(desk)
    retired = await desk.now_of(notice)
    assert (retired.state, retired.said) == ("moot", f"verdict changed, see {Sight(reading(), 2).key}")


async def test_a_notice_that_waits_alone_holds_no_other_of_its_decision_back() -> None:
    desk = Desk()
    await desk.enter(desk.draft(SOC, state="waiting"))
    await desk.enter(desk.draft(JUNK), desk.draft(SOC))
    told, move, asks = await desk.ledger.entries(ME)
    await desk.carry_out(move)
    assert [await desk.state(notice) for notice in (told, asks)] == ["ready", "waiting"]


async def test_what_strangers_wrote_is_bounded_and_cannot_steer_a_terminal() -> None:
    desk = Desk()
    entry = await desk.wish(subject="\x1b[2J\u202e" + "x" * 5000, sender="a\u009b@b", because="\x07")
    assert len(entry.subject) == 200
    assert (entry.subject + entry.sender + entry.because).isprintable()
    assert (await desk.ledger.records(ME))[0].isascii() or b"\xe2\x80\xa6" in (await desk.ledger.records(ME))[0]


async def block(desk: Desk, action: BlockSender = BLOCK) -> None:
    """Let a block of ours stand."""
    await desk.carry_out(await desk.wish(action, cause="before/1"))


@each(
    ("held", "proved", "state"),
    [
        (BLOCK, "example.net", "ready"),
        (BLOCK, "", "waiting"),
        (BLOCK, "other.example", "waiting"),
        (BlockSender("example.net", "DOMAIN"), "", "waiting"),
        (BlockSender("192.0.2.7", "IP"), "", "ready"),
    ],
)
async def test_what_our_block_alone_has_judged_is_moved_if_it_proves_to_be_from_there(
    held: BlockSender, proved: str, state: State
) -> None:
    desk = Desk()
    await block(desk, held)
    moved = await desk.wish(met=held.pattern, authenticated=proved)
    assert (moved.state, moved.why) == (state, "met_our_block" if state == "waiting" else "")
    assert (await desk.wish(message="m2", met="somebody@elsewhere.example", authenticated="")).state == "ready"


async def test_mail_that_met_our_block_makes_and_lengthens_no_list_entry() -> None:
    desk = Desk()
    await block(desk, BlockSender(BLOCK.pattern, for_=timedelta(days=1)))
    (end,) = [entry for entry in await desk.ledger.entries(ME) if entry.item_kind == "end"]
    for action in (
        BlockSender(BLOCK.pattern, for_=timedelta(days=30)),
        AllowSender("a@b.example"),
        TrustDomain("b.example"),
    ):
        entry = await desk.wish(action, met=BLOCK.pattern)
        assert (entry.state, entry.said) == (
            "moot",
            "its mail is judged by our block of EMAIL:evil@example.net: it changes no list",
        )
    assert (await desk.now_of(end)).ready_at == end.ready_at


async def test_a_block_that_has_ended_doubts_nothing() -> None:
    desk = Desk()
    await block(desk)
    await desk.carry_out(await desk.wish(Unblock(BLOCK.pattern), cause="end/1"))
    assert (await desk.wish(met=BLOCK.pattern, authenticated="")).state == "ready"
