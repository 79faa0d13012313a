"""Answers, outcomes, what a dead process left behind, and what follows from them."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from msgspec.structs import replace

from tests.cells import each
from tests.ledger.desk import JUNK, ME, T0, Desk, info, reading, standing
from worker.errors import LeaseLost, StoreError
from worker.language.actions import (
    Adding,
    AllowSender,
    BlockSender,
    Disallow,
    Reclassify,
    Release,
    TrustDomain,
    Unblock,
)
from worker.ledger.entries import Answered, Entry, Outcome, Question, State
from worker.ledger.ledger import Ledger
from worker.ledger.records import NewRecord
from worker.ledger.values import Page

HOUR = timedelta(hours=1)
ADDRESS = "evil@example.net"
BLOCK = BlockSender(pattern=ADDRESS, for_=HOUR)
FOR_AN_HOUR: list[Adding] = [
    BLOCK,
    AllowSender(ADDRESS, kind="trusted", for_=HOUR),
    TrustDomain("example.net", for_=HOUR),
]


async def test_an_answer_and_a_proof_lead_to_done() -> None:
    desk = Desk()
    entry = await desk.wish()
    await desk.claim(entry)
    answered = Answered(id=entry.id, state="sent", remote="17", at=T0 + 1, next_at=T0 + 3)
    await desk.ledger.answer(ME, [answered], T0 + 1, spent=((T0, 1),))
    assert [one.id for one in await desk.ledger.open(ME, T0 + 3)] == [entry.id]
    assert await desk.ledger.open(ME, T0 + 2) == ()
    assert len(await desk.ledger.open(ME, T0, due=False)) == 1
    assert await desk.ledger.next_due(ME, T0) == T0 + 3
    await desk.ledger.settle(ME, [Outcome(id=entry.id, state="sent", next_at=T0 + 10)], T0 + 3)
    assert await desk.ledger.next_due(ME, T0) == T0 + 10
    await desk.ledger.settle(ME, [Outcome(id=entry.id, state="done", proof="log", said="in Junk")], T0 + 10)
    done = await desk.now_of(entry)
    assert (done.state, done.proof, done.remote, done.said, done.settled_at) == (
        "done",
        "log",
        "17",
        "in Junk",
        T0 + 10,
    )
    assert await desk.ledger.read_spent(ME) == ((T0, 1),)
    assert await desk.verbs() == ["entered", "claimed", "answered", "settled"]


async def test_what_provably_was_not_carried_out_is_ready_again_and_no_attempt() -> None:
    desk = Desk()
    entry = await desk.wish()
    for _ in range(7):
        assert await desk.claim(entry) == [entry.id]
        await desk.answer(entry, "ready", "429", next_at=T0 + 30)
    ready = await desk.now_of(entry)
    assert (ready.state, ready.attempts, ready.owner, ready.next_at) == ("ready", 0, "", T0 + 30)


async def test_a_step_that_the_table_does_not_have_is_refused_and_changes_nothing() -> None:
    desk = Desk()
    entry = await desk.wish()
    with pytest.raises(StoreError, match="is ready and cannot become failed"):
        await desk.settle(entry, "failed")
    assert await desk.state(entry) == "ready"
    assert await desk.verbs() == ["entered"]


@pytest.mark.parametrize("late", ["sent", "unsure", "failed"])
async def test_what_a_look_says_of_an_entry_that_has_ended_meanwhile_counts_for_nothing(late: State) -> None:
    desk = Desk()
    entry = await desk.wish(Release())
    await desk.carry_out(entry)
    await desk.settle(entry, late, "not shown yet")
    assert await desk.state(entry) == "done"
    assert await desk.verbs() == ["entered", "claimed", "answered", "settled"]


async def try_often(desk: Desk, entry: Entry) -> Entry:
    while (await desk.now_of(entry)).state == "ready":
        assert await desk.claim(entry) == [entry.id]
        await desk.answer(entry, "unsure")
        await desk.settle(entry, "ready", "not shown")
    return await desk.now_of(entry)


async def test_what_was_tried_often_enough_fails_or_is_left_to_a_person() -> None:
    desk = Desk()
    move = await try_often(desk, await desk.wish())
    assert (move.state, move.attempts, move.said) == ("failed", 5, "tried 5 times; not shown")
    release = await try_often(desk, await desk.wish(Release(), "m2"))
    assert (release.state, release.attempts) == ("waiting", 5)
    judge = await try_often(desk, await desk.wish(Reclassify(expected_disposition="SPAM"), "m3"))
    assert (judge.state, judge.attempts) == ("waiting", 3)


async def test_what_a_dead_process_had_claimed_is_unsure() -> None:
    desk = Desk()
    claimed, sent, ready = await desk.wish(), await desk.wish(message="m2"), await desk.wish(message="m3")
    await desk.claim(claimed, sent)
    await desk.answer(sent)
    assert await desk.ledger.abandon(ME, T0, T0 + 99) == 0
    desk.successor()
    assert await desk.ledger.abandon(ME, T0 + 5, T0 + 15) == 1
    assert [await desk.state(entry) for entry in (claimed, sent, ready)] == ["unsure", "sent", "ready"]
    assert (await desk.now_of(claimed)).reached_by == T0 + 20


async def test_the_answer_of_a_process_that_was_taken_for_dead_is_not_written() -> None:
    desk = Desk()
    entry = await desk.wish()
    await desk.claim(entry)
    desk.successor()
    with pytest.raises(LeaseLost, match="taken over"):
        await desk.answer(entry)


async def test_an_unsure_answer_may_have_reached_the_api_until_then() -> None:
    desk = Desk()
    entry = await desk.wish()
    await desk.claim(entry)
    await desk.ledger.answer(ME, [Answered(id=entry.id, state="unsure", at=T0 + 50)], T0 + 40)
    assert (await desk.now_of(entry)).reached_by == T0 + 50


async def block(desk: Desk, action: Adding = BLOCK) -> Entry:
    entry = await desk.wish(action, cause="a/1")
    await desk.claim(entry)
    await desk.ledger.answer(ME, [Answered(id=entry.id, state="sent", remote="17")], desk.now)
    await desk.settle(entry)
    return entry


@each("wrong", (-7200.0, 0.0, 7200.0))
async def test_what_is_made_for_a_time_ends_by_the_later_of_two_clocks(wrong: float) -> None:
    desk = Desk()
    desk.ledger = Ledger(desk.runner, "first", latest=lambda: desk.now + wrong)
    await desk.carry_out(await desk.wish(BLOCK))
    (end,) = await desk.ledger.entries(ME, states=["ready"])
    assert (end.known_at, end.ready_at, end.next_at) == (T0 + 3600, T0 + 3600 + max(wrong, 0), end.ready_at)
    desk.now += 60
    await desk.wish(BLOCK, "m2")
    assert (await desk.now_of(end)).known_at == T0 + 3660
    assert (await desk.now_of(end)).ready_at == T0 + 3660 + max(wrong, 0)


@pytest.mark.parametrize("action", FOR_AN_HOUR)
async def test_what_is_listed_for_a_time_gets_its_end(action: Adding) -> None:
    desk = Desk()
    entry = await block(desk, action)
    end = (await desk.ledger.entries(ME))[0]
    assert (end.action, end.cause, end.remote) == (action.inverse(), f"end/{entry.id}", "17")
    assert (end.lane, end.target) == (entry.lane, entry.target)
    assert await desk.ledger.due(ME, T0 + 3599) == ()
    assert [one.id for one in await desk.ledger.due(ME, T0 + 3600)] == [end.id]
    assert await desk.ledger.next_due(ME, T0) == T0 + 3600
    assert await desk.ledger.due(ME, T0 + 40 * 86_400, past=T0 + 3599) == ()
    assert await desk.ledger.due_kinds(ME, T0 + 40 * 86_400, past=T0 + 3599) == frozenset()
    assert await desk.ledger.due_kinds(ME, T0 + 3600) == {type(end.action).__name__}


@each("action", FOR_AN_HOUR)
@each(("hours", "moved"), [(2, 3600), (1, 60), (0.5, 0)])
async def test_a_later_equal_entry_moves_the_end_out_never_in(action: Adding, hours: float, moved: float) -> None:
    desk = Desk()
    await block(desk, action)
    end = (await desk.ledger.entries(ME))[0]
    desk.now = T0 + 60 if hours == 1 else T0
    longer = replace(action, pattern=action.pattern.upper(), for_=timedelta(hours=hours))
    later = await desk.wish(longer, cause="b/1")
    assert (later.state, "is listed already" in later.said) == ("moot", True)
    assert (await desk.now_of(end)).ready_at == T0 + 3600 + moved
    assert (await desk.now_of(end)).next_at == T0 + 3600 + moved


@pytest.mark.parametrize("action", FOR_AN_HOUR)
async def test_a_later_entry_without_end_takes_the_end_away(action: Adding) -> None:
    desk = Desk()
    await block(desk, action)
    end = (await desk.ledger.entries(ME))[0]
    assert (await desk.wish(replace(action, for_=None), cause="b/1")).state == "moot"
    assert await desk.state(end) == "moot"
    assert (await desk.wish(action, cause="c/1")).state == "moot"


@pytest.mark.parametrize("standing", [None, HOUR])
async def test_a_sender_allowed_in_one_way_is_not_allowed_in_another_nor_for_longer(
    standing: timedelta | None,
) -> None:
    desk = Desk()
    first = await block(desk, AllowSender(ADDRESS, for_=standing))
    for more in (AllowSender(ADDRESS, kind="trusted", for_=2 * HOUR), AllowSender(ADDRESS, verify=False)):
        wish = await desk.wish(more, cause=f"{more.kind}/1")
        assert (wish.state, wish.said) == (
            "moot",
            f"is listed already in another form, see {first.id}; remove that entry first",
        )
    ends = [entry.ready_at for entry in await desk.ledger.entries(ME, states=("ready",))]
    assert ends == ([T0 + 3600] if standing else [])
    await desk.carry_out(await desk.wish(Disallow(ADDRESS), cause="back/1"))
    assert (await desk.wish(AllowSender(ADDRESS, kind="trusted"), cause="again/1")).state == "ready"


async def test_a_block_and_an_allow_policy_of_one_pattern_are_two_lanes() -> None:
    desk = Desk()
    await block(desk, AllowSender(ADDRESS, for_=HOUR))
    assert (await desk.wish(Unblock(pattern=ADDRESS), cause="b/1")).state == "moot"
    assert (await desk.wish(BlockSender(pattern=ADDRESS), cause="c/1")).state == "ready"


async def test_a_block_that_waited_for_a_person_meets_the_end_when_a_stronger_wish_joins_it() -> None:
    desk = Desk()
    await block(desk)
    (end,) = await desk.ledger.entries(ME, states=("ready",))
    waits = await desk.wish(BlockSender(pattern=ADDRESS), cause="b/1", state="waiting")
    assert waits.state == "waiting"
    await desk.enter(desk.draft(BlockSender(pattern=ADDRESS), cause="c/1"))
    assert [await desk.state(entry) for entry in (waits, end)] == ["moot", "moot"]
    assert (await desk.now_of(waits)).said == "is listed already, and has no end now"


@each("action", FOR_AN_HOUR)
@each("proved", [True, False])
async def test_after_its_end_a_pattern_may_be_listed_again(action: Adding, *, proved: bool) -> None:
    desk = Desk()
    await block(desk, action)
    desk.now = T0 + 3600
    end = (await desk.ledger.due(ME, desk.now))[0]
    if proved:
        await desk.carry_out(end)
    else:
        await retire(desk, end)
    assert (await desk.wish(action, cause="b/1", state="waiting", known_at=desk.now)).state == "waiting"
    assert (await desk.wish(replace(action, for_=None), cause="c/1", known_at=desk.now)).state == "ready"


async def test_a_rule_may_take_our_block_back_before_its_end_but_nobody_elses() -> None:
    desk = Desk()
    assert (await desk.wish(Unblock(pattern=ADDRESS))).said == "no list entry of ours stands on this pattern"
    await block(desk)
    end = (await desk.ledger.entries(ME))[0]
    back = await desk.wish(Unblock(pattern=ADDRESS), cause="b/1")
    assert (back.state, back.remote) == ("ready", "17")
    assert ((await desk.now_of(end)).state, (await desk.now_of(end)).behind) == ("held", back.id)
    await desk.carry_out(back)
    assert await desk.state(end) == "moot"
    assert (await desk.wish(Unblock(pattern=ADDRESS), cause="c/1")).state == "moot"


async def retire(desk: Desk, entry: Entry) -> None:
    await desk.ledger.retire(ME, [(entry.id, "gone")], desk.now)


async def newer_sight(desk: Desk, _: Entry) -> None:
    await desk.read(reading(state="NONE|-"))


async def fails(desk: Desk, entry: Entry) -> None:
    await desk.claim(entry)
    await desk.answer(entry, "failed", "no permission")


async def waits(desk: Desk, entry: Entry) -> None:
    await desk.ledger.postpone(ME, [Question(id=entry.id, said="the rule was changed")], desk.now)


@each("action", FOR_AN_HOUR)
@each("comes_to_nothing", [newer_sight, fails, waits])
async def test_a_removal_that_comes_to_nothing_lets_the_end_go_on_at_its_own_time(
    action: Adding, comes_to_nothing: Callable[[Desk, Entry], Awaitable[None]]
) -> None:
    desk = Desk()
    await desk.read(reading())
    await block(desk, action)
    (end,) = await desk.ledger.entries(ME, states=("ready",))
    back = await desk.wish(action.inverse())
    await comes_to_nothing(desk, back)
    assert (await desk.now_of(end)) == replace(end, said="")
    assert [one.id for one in await desk.ledger.due(ME, T0 + 3600)] == [end.id]


@pytest.mark.parametrize("action", FOR_AN_HOUR)
async def test_what_is_listed_again_after_a_removal_has_its_own_end_and_no_other(action: Adding) -> None:
    desk = Desk()
    await block(desk, action)
    (end,) = await desk.ledger.entries(ME, states=("ready",))
    back = await desk.wish(action.inverse(), cause="b/1")
    again = await desk.wish(replace(action, for_=2 * HOUR), cause="c/1")
    assert await desk.state(again) == "held"
    await desk.carry_out(back)
    await desk.carry_out(again)
    assert [one.cause for one in await desk.ledger.entries(ME, states=("ready", "held"))] == [f"end/{again.id}"]
    assert (await desk.now_of(end)).said == "no list entry of ours stands on this pattern"


async def test_a_newer_sight_that_wants_a_longer_block_instead_of_none_moves_the_end_out() -> None:
    desk = Desk()
    await desk.read(reading())
    await block(desk)
    (end,) = await desk.ledger.entries(ME, states=("ready",))
    back = await desk.wish(BLOCK.inverse())
    news = await desk.ledger.news(ME, [reading(state="NONE|-")], desk.now, 120)
    longer = desk.draft(replace(BLOCK, for_=2 * HOUR), cause=news.sights[0].key)
    await desk.ledger.enter(Page(account=ME, now=desk.now, source="messages", news=news, drafts=(longer,)))
    assert await desk.state(back) == "moot"
    assert ((await desk.now_of(end)).state, (await desk.now_of(end)).ready_at) == ("ready", T0 + 7200)


@pytest.mark.parametrize("action", FOR_AN_HOUR)
async def test_an_overdue_end_that_is_taken_away_ended_nothing(action: Adding) -> None:
    desk = Desk()
    first = await block(desk, action)
    desk.now = T0 + 7200
    assert (await desk.wish(replace(action, for_=None), cause="b/1", known_at=desk.now)).state == "moot"
    again = await desk.wish(replace(action, for_=None), cause="c/1", known_at=desk.now)
    assert (again.state, again.said) == ("moot", f"was done already, see {first.id}")


async def test_what_a_person_deleted_can_be_listed_in_another_form_once_a_removal_has_found_it_gone() -> None:
    desk = Desk()
    await block(desk, AllowSender(ADDRESS))
    await retire(desk, await desk.wish(Disallow(ADDRESS), cause="b/1"))
    assert (await desk.wish(AllowSender(ADDRESS, kind="trusted"), cause="c/1")).state == "ready"


async def test_a_block_waits_behind_an_unblock_that_is_under_way() -> None:
    desk = Desk()
    await block(desk)
    desk.now = T0 + 3600
    end = (await desk.ledger.due(ME, desk.now))[0]
    await desk.claim(end)
    again = await desk.wish(BlockSender(pattern=ADDRESS), cause="b/1", known_at=desk.now)
    assert (again.state, again.behind) == ("held", end.id)
    await desk.answer(end)
    await desk.settle(end)
    assert await desk.state(again) == "ready"


async def test_a_clear_answer_to_a_second_attempt_takes_the_place_of_an_unclear_one() -> None:
    desk = Desk()
    entry = await desk.wish()
    await desk.claim(entry)
    await desk.ledger.answer(ME, [Answered(id=entry.id, state="sent", why="answer_unclear", at=T0)], T0)
    await desk.settle(entry, "unsure")
    await desk.settle(entry, "ready")
    await desk.claim(entry)
    await desk.answer(entry)
    assert (await desk.now_of(entry)).why == ""


async def test_what_waits_for_others_hands_is_postponed_or_retired() -> None:
    desk = Desk()
    first, second, third = await desk.wish(), await desk.wish(message="m2"), await desk.wish(message="m3")
    await desk.claim(third)
    touched = [Question(id=entry.id, said="touched") for entry in (first, third)]
    await desk.ledger.postpone(ME, touched, T0)
    await desk.ledger.retire(ME, [(second.id, "moved"), (third.id, "moved")], T0)
    assert [await desk.state(entry) for entry in (first, second, third)] == ["waiting", "moot", "claimed"]
    assert (await desk.now_of(first)).said == "touched"


async def test_the_worker_writes_records_of_its_own() -> None:
    desk = Desk()
    await desk.ledger.write(ME, [NewRecord("started", {"version": 1}), NewRecord("stopped")], T0)
    assert await desk.verbs() == ["started", "stopped"]
    assert await desk.claim(await desk.wish(JUNK), under=standing(info())) != []
