"""Claiming: the intent, and everything that is asked again before it."""

from datetime import timedelta
from typing import Any

from tests.cells import each
from tests.ledger.desk import JUNK, ME, T0, TRASH, Desk, info, standing
from worker.language.actions import BlockSender, Notify
from worker.language.rules import APPROVE, ENFORCE, OBSERVE, Limit, Mode, RuleInfo
from worker.ledger.entries import Claim, Entry, Look

BLOCK = BlockSender(pattern="evil@example.net")
SOC = Notify(channel="soc")


async def test_a_claim_writes_who_when_and_what_it_looked_like() -> None:
    desk = Desk()
    entry = await desk.wish()
    look = Look(at=T0 - 5, verdict="MALICIOUS", operations=("MOVE",))
    desk.now = T0 + 1
    await desk.ledger.claim(ME, [Claim(entry.id, look)], standing(), desk.now, desk.now + 20)
    claimed = await desk.now_of(entry)
    assert (claimed.state, claimed.owner, claimed.attempts, claimed.look) == ("claimed", "first", 1, look)
    assert (claimed.claimed_at, claimed.reached_by) == (T0 + 1, T0 + 21)
    assert await desk.claim(entry) == []


async def test_nothing_is_claimed_on_a_look_that_is_older_than_a_minute() -> None:
    desk = Desk()
    move, block = await desk.wish(), await desk.wish(BLOCK)
    for look in (Look(at=T0 - 61), None):
        assert await desk.ledger.claim(ME, [Claim(move.id, look)], standing(), T0, T0 + 20) == ()
        assert await desk.state(move) == "ready"
    claims = [Claim(move.id, Look(at=T0 - 60)), Claim(block.id)]
    assert len(await desk.ledger.claim(ME, claims, standing(), T0, T0 + 20)) == 2


async def test_due_entries_come_in_key_order() -> None:
    desk = Desk()
    await desk.enter(desk.draft(message="late", scanned_at=T0 + 9), desk.draft(message="early"))
    await desk.enter(desk.draft(message="later", ready_at=T0 + 60))
    assert [entry.target for entry in await desk.ledger.due(ME, T0)] == ["early", "late"]
    assert [entry.target for entry in await desk.ledger.due(ME, T0 + 60, limit=2)] == ["early", "later"]


async def test_kinds_are_due_one_by_one() -> None:
    desk = Desk()
    assert await desk.ledger.due_kinds(ME, T0) == frozenset()
    await desk.enter(desk.draft(), desk.draft(message="m2"), desk.draft(BLOCK, ready_at=T0 + 9))
    assert await desk.ledger.due_kinds(ME, T0) == {"Move"}
    assert await desk.ledger.due_kinds(ME, T0 + 9) == {"BlockSender", "Move"}
    assert [entry.lane for entry in await desk.ledger.due(ME, T0 + 9, kinds=["BlockSender"])] == ["block"]


async def test_what_was_ever_claimed_on_a_target_is_known() -> None:
    desk = Desk()
    first = await desk.wish()
    await desk.carry_out(first)
    await desk.wish(message="m2")
    desk.now += 9
    second = await desk.wish(TRASH, cause="b/1")
    await desk.claim(second)
    tried = await desk.ledger.find_tried(ME, "placement", ["m1", "m2"])
    assert [entry.id for entry in tried] == [first.id, second.id]
    assert await desk.ledger.find_tried(ME, "block", ["m1"]) == ()


async def test_under_a_brake_nothing_is_claimed_and_entries_stay_as_they_are() -> None:
    desk = Desk()
    entry = await desk.wish()
    for subject in ("", "lane:placement", "rule:r"):
        await desk.ledger.order(ME, "brake", subject, "ann", "stop", T0)
        await desk.ledger.take_orders(ME, T0)
        assert await desk.ledger.due(ME, T0) == ()
        # A braked rule is asked about again and again: telling whether all rules of an entry are braked costs more.
        assert (await desk.ledger.next_due(ME, T0) is None) == (subject != "rule:r")
        assert await desk.claim(entry) == []
        await desk.ledger.order(ME, "unbrake", subject, "ann", "go", T0)
        await desk.ledger.take_orders(ME, T0)
    assert await desk.claim(entry) == [entry.id]


async def test_the_brake_of_one_rule_does_not_hold_what_another_rule_wants_too() -> None:
    desk = Desk()
    await desk.enter(desk.draft(rules=("r", "s"), fingerprints=("f", "f")), desk.draft(message="m2"))
    await desk.ledger.order(ME, "brake", "rule:r", "ann", "stop", T0)
    await desk.ledger.take_orders(ME, T0)
    due = await desk.ledger.due(ME, T0)
    assert [entry.target for entry in due] == ["m1"]
    assert len(await desk.claim(*due, under=standing(info(), info("s")))) == 1


@each(
    ("rules", "ceiling", "lowered", "why"),
    [
        ((info(),), OBSERVE, "", "WORKER_CEILING is observe now"),
        ((info(),), APPROVE, "", "WORKER_CEILING is approve now"),
        ((info("s"),), ENFORCE, "", "the rule r is gone"),
        ((info(fingerprint="g"),), ENFORCE, "", "the rule r was changed"),
        ((info(mode=APPROVE),), ENFORCE, "", "the rule r was lowered"),
        ((info(),), ENFORCE, "r", "the rule r was lowered"),
    ],
)
async def test_what_changed_since_entering_lets_an_entry_wait(
    rules: tuple[RuleInfo, ...], ceiling: Mode, lowered: str, why: str
) -> None:
    desk = Desk()
    entry = await desk.wish()
    under = standing(*rules, ceiling=ceiling, lowered=frozenset({lowered}))
    assert await desk.claim(entry, under=under) == []
    waiting = await desk.now_of(entry)
    assert (waiting.state, waiting.said, waiting.waits_since) == ("waiting", why, T0)


async def test_what_has_become_old_waits_for_a_person() -> None:
    desk = Desk()
    entry = await desk.wish(known_at=T0 - 86401)
    assert await desk.claim(entry) == []
    assert "longer than WORKER_STALE" in (await desk.now_of(entry)).said


async def test_an_approved_entry_skips_mode_age_and_limit_but_counts() -> None:
    desk = Desk()
    old = await desk.wish(state="waiting", known_at=T0 - 1e6)
    await desk.ledger.order(ME, "approve", old.id, "ann", "yes", T0)
    await desk.ledger.take_orders(ME, T0)
    one = standing(info(mode=APPROVE, limit=Limit(1)), ceiling=APPROVE)
    assert await desk.claim(old, under=one) == [old.id]
    other = await desk.wish(message="m2")
    assert await desk.claim(other, under=standing(info(limit=Limit(1)))) == []
    assert (await desk.now_of(other)).said == "the limit of r is spent: 1 per 1 hour"


async def test_an_approved_entry_does_not_pass_a_ceiling_of_observe() -> None:
    desk = Desk()
    entry = await desk.wish(state="waiting")
    await desk.ledger.order(ME, "approve", entry.id, "ann", "yes", T0)
    await desk.ledger.take_orders(ME, T0)
    assert await desk.claim(await desk.now_of(entry), under=standing(ceiling=OBSERVE)) == []
    assert (await desk.now_of(entry)).approved_by == ""


async def test_with_room_for_three_of_five_three_go_and_the_rest_waits_as_one_item() -> None:
    desk = Desk()
    await desk.enter(*(desk.draft(message=f"m{n}", scanned_at=T0 - n) for n in range(5)))
    claimed = await desk.claim(*await desk.ledger.due(ME, T0), under=standing(info(limit=Limit(3))))
    entries = await desk.ledger.entries(ME)
    assert {entry.target for entry in entries if entry.id in claimed} == {"m4", "m3", "m2"}
    assert {entry.item for entry in entries if entry.state == "waiting"} == {f"limit/r/{int(T0)}"}
    desk.now += 9
    late = await desk.wish(message="m9")
    await desk.claim(late, under=standing(info(limit=Limit(3))))
    assert (await desk.now_of(late)).item == f"limit/r/{int(T0)}"


async def test_a_window_slides_and_a_target_counts_once() -> None:
    desk = Desk()
    one = standing(info(limit=Limit(1, 60.0)))
    move = await desk.wish()
    assert await desk.claim(move, under=one) == [move.id]
    await desk.answer(move, "ready")
    assert await desk.claim(move, under=one) == [move.id]
    await desk.answer(move)
    await desk.settle(move)
    again = await desk.wish(TRASH, cause="b/1")
    assert await desk.claim(again, under=one) == [again.id]
    desk.now += 59
    early = await desk.wish(message="m2", known_at=T0)
    assert await desk.claim(early, under=one) == []
    desk.now += 1
    other = await desk.wish(message="m3", known_at=T0)
    assert await desk.claim(other, under=one) == [other.id]


async def grant(limit: Limit, *drafts: dict[str, Any]) -> list[str]:
    """Return which of some messages may be moved under a limit."""
    desk = Desk()
    await desk.enter(*(desk.draft(message=f"m{n}", **draft) for n, draft in enumerate(drafts)))
    claimed = await desk.claim(*await desk.ledger.due(ME, T0), under=standing(info(limit=limit)))
    return sorted(entry.target for entry in await desk.ledger.entries(ME) if entry.id in claimed)


async def test_a_limit_may_count_by_sender_or_by_recipient() -> None:
    senders: list[dict[str, Any]] = [{"sender": "A@x"}, {"sender": "a@x"}, {"sender": "b@x"}]
    assert await grant(Limit(1, 3600.0, "sender"), *senders) == ["m0", "m2"]
    readers: list[dict[str, Any]] = [
        {"recipients": ("a", "b")},
        {"recipients": ("c", "B")},
        {"recipients": ("c",)},
        {"recipients": ()},
    ]
    assert await grant(Limit(1, 3600.0, "recipient"), *readers) == ["m0", "m2", "m3"]
    assert await grant(Limit(0, 90.0), {}) == []


async def test_where_rules_agree_the_entry_goes_for_those_that_have_room() -> None:
    desk = Desk()
    rules = standing(info("full", limit=Limit(0)), info("free", limit=Limit(1)))
    both: dict[str, Any] = {"rules": ("full", "free"), "fingerprints": ("f", "f")}
    await desk.enter(desk.draft(message="m1", **both), desk.draft(message="m2", **both))
    assert len(await desk.claim(*await desk.ledger.due(ME, T0), under=rules)) == 1


async def test_a_notice_asks_no_rule_but_heeds_a_ceiling_of_observe() -> None:
    desk = Desk()
    notice = await desk.wish(SOC)
    assert await desk.claim(notice, under=standing(ceiling=OBSERVE)) == []
    other = await desk.wish(SOC, "m2", known_at=0.0)
    assert await desk.claim(other, under=standing(info("s"), ceiling=APPROVE)) == [other.id]


async def end_of_a_block(desk: Desk) -> Entry:
    await desk.carry_out(await desk.wish(BlockSender(pattern="evil@example.net", for_=timedelta(hours=1))))
    desk.now += 3600
    return (await desk.ledger.due(ME, desk.now))[0]


async def test_the_end_of_a_block_needs_no_rule_no_room_and_no_youth() -> None:
    desk = Desk()
    end = await end_of_a_block(desk)
    desk.now += 10 * 86400
    assert await desk.claim(end, under=standing(info("s"), ceiling=APPROVE)) == [end.id]


async def test_the_end_of_a_block_stays_due_under_a_ceiling_of_observe() -> None:
    desk = Desk()
    end = await end_of_a_block(desk)
    assert await desk.claim(end, under=standing(ceiling=OBSERVE)) == []
    assert await desk.ledger.due(ME, desk.now) == ()
    assert [one.id for one in await desk.ledger.due(ME, desk.now + 60)] == [end.id]


async def test_an_entry_that_is_not_ready_any_more_is_not_claimed() -> None:
    desk = Desk()
    entry = await desk.wish()
    await desk.ledger.retire(ME, [(entry.id, "moved by someone else")], T0)
    assert await desk.claim(entry) == []
    assert await desk.ledger.claim(ME, [Claim("unknown")], standing(), T0, T0) == ()
    assert (await desk.now_of(entry)).action == JUNK
