"""Requests about which Cloudflare decides later: what is settled when one is accepted, and what its end leads to."""

import msgspec
import pytest

from tests.ledger.desk import ME, T0, Desk, standing
from worker.language.actions import Notify, Reclassify, Release
from worker.language.rules import APPROVE
from worker.ledger.entries import DENIED, Entry, Outcome, Review, State

SPAM, CLEAN = Reclassify("SPAM"), Reclassify("NONE")
SOC, TEAM = Notify("soc"), Notify("team")
MONTH = T0 + 30 * 86400


async def send(desk: Desk, entry: Entry) -> None:
    assert await desk.claim(entry) == [entry.id]
    await desk.answer(entry)


async def accept(desk: Desk, entry: Entry) -> None:
    shown = Outcome(id=entry.id, state="sent", proof="seen", remote="s1", review="accepted", next_at=MONTH)
    await desk.ledger.settle(ME, [shown], desk.now)


async def decide(desk: Desk, entry: Entry, review: Review) -> None:
    state: State = "done" if review == "granted" else "failed"
    shown = Outcome(id=entry.id, state=state, proof="seen", said=f"{review}: in the API's words", review=review)
    await desk.ledger.settle(ME, [shown], desk.now)


async def asked(desk: Desk, *notices: Notify, message: str = "m1") -> Entry:
    """Let a request be accepted, of a decision with these notices."""
    await desk.enter(desk.draft(SPAM, message), *(desk.draft(one, message) for one in notices))
    entry = next(one for one in await desk.ledger.entries(ME) if one.lane == "verdict")
    await send(desk, entry)
    await accept(desk, entry)
    return entry


async def notices(desk: Desk) -> list[tuple[str, str]]:
    """Return target and state of each notice, oldest first."""
    found = [entry for entry in await desk.ledger.entries(ME) if entry.lane == "notice"]
    return [(entry.target, entry.state) for entry in found[::-1]]


async def deliver(desk: Desk) -> None:
    """Let every notice that is ready be taken by its channel."""
    for entry in await desk.ledger.entries(ME, states=("ready",)):
        await send(desk, entry)
        await desk.settle(entry)


async def test_an_accepted_request_is_on_record_and_is_looked_at_when_nothing_came_of_it() -> None:
    desk = Desk()
    entry = await asked(desk)
    now = await desk.now_of(entry)
    assert (now.state, now.review, now.remote, now.next_at, now.fault) == ("sent", "accepted", "s1", MONTH, "")
    record = msgspec.json.decode((await desk.ledger.records(ME))[-1])
    assert [record[key] for key in ("verb", "from", "to", "review", "remote")] == [
        *("accepted", "sent", "sent", "accepted", "s1")
    ]
    assert await desk.ledger.open(ME, MONTH - 1) == ()


async def test_a_request_that_was_not_answered_is_accepted_when_it_is_on_record_all_the_same() -> None:
    desk = Desk()
    entry = await desk.wish(SPAM)
    await desk.claim(entry)
    await desk.answer(entry, "unsure")
    await accept(desk, entry)
    assert await desk.state(entry) == "sent"


async def test_an_accepted_request_counts_as_settled_for_its_decision_and_for_people() -> None:
    desk = Desk()
    await desk.enter(desk.draft(SPAM), desk.draft(Release()), desk.draft(SOC))
    _, release, request = await desk.ledger.entries(ME)
    await send(desk, request)
    assert [one.id for one in await desk.ledger.unsettled(ME, T0)] == [release.id, request.id][::-1]
    await accept(desk, request)
    assert await notices(desk) == [("soc", "held")]
    await desk.carry_out(release)
    assert await notices(desk) == [("soc", "ready")]
    assert [one.lane for one in await desk.ledger.unsettled(ME, T0)] == ["notice"]


@pytest.mark.parametrize("review", [*sorted(DENIED), "granted"])
async def test_who_heard_that_it_was_asked_hears_once_more_when_it_is_not_granted(review: Review) -> None:
    desk = Desk()
    entry = await asked(desk, SOC, TEAM)
    await deliver(desk)
    await decide(desk, entry, review)
    again = [("soc", "ready"), ("team", "ready")] if review != "granted" else []
    assert await notices(desk) == [("soc", "done"), ("team", "done"), *again]
    assert {one.item for one in await desk.ledger.entries(ME)} == {entry.item}


async def test_who_has_not_heard_yet_hears_once() -> None:
    desk = Desk()
    entry = await asked(desk, SOC)
    await decide(desk, entry, "rejected")
    assert await notices(desk) == [("soc", "ready")]


async def test_an_equal_wish_joins_what_is_accepted_and_its_notice_need_not_wait() -> None:
    desk = Desk()
    entry = await asked(desk)
    await desk.enter(desk.draft(SPAM, cause="b/1", item="b#r"), desk.draft(SOC, cause="b/1", item="b#r"))
    assert [one.state for one in await desk.ledger.entries(ME)] == ["ready", "sent"]
    await deliver(desk)
    await decide(desk, entry, "invalid")
    assert await notices(desk) == [("soc", "done"), ("soc", "ready")]


async def test_another_wish_does_not_wait_until_cloudflare_has_decided() -> None:
    desk = Desk()
    first, second = await desk.wish(SPAM), await desk.wish(CLEAN, cause="b/1")
    assert await desk.state(second) == "held"
    await send(desk, first)
    await accept(desk, first)
    assert await desk.state(second) == "ready"
    await send(desk, second)
    assert await desk.state(await desk.wish(Reclassify("BULK"), cause="c/1")) == "held"


async def test_what_was_asked_for_and_is_not_decided_is_not_asked_for_again() -> None:
    desk = Desk()
    other = await desk.wish(CLEAN)
    waiting = await desk.wish(SPAM, cause="b/1", item="b#r", state="waiting", mode=APPROVE)
    equal = await desk.wish(SPAM, cause="c/1", item="c#r")
    for entry in (other, equal):
        await send(desk, entry)
        await accept(desk, entry)
    await desk.ledger.order(ME, "approve", waiting.id, "ada", "", desk.now)
    await desk.ledger.take_orders(ME, desk.now)
    moot = await desk.now_of(waiting)
    assert (moot.state, moot.said) == ("moot", f"was asked for already, see {equal.id}")


@pytest.mark.parametrize("review", sorted(DENIED))
async def test_what_cloudflare_does_not_grant_fails_and_brakes_nothing(review: Review) -> None:
    desk = Desk()
    for number in range(21):
        await decide(desk, await asked(desk, message=f"m{number}"), review)
    assert {one.state for one in await desk.ledger.entries(ME)} == {"failed"}
    assert await desk.ledger.brakes(ME) == ()
    assert await desk.ledger.counts(ME) == {"Reclassify": {review: 21}}


async def test_a_decision_lets_an_equal_wish_be_moot_only_if_it_was_granted() -> None:
    desk = Desk()
    for review, state in (("granted", "moot"), ("rejected", "ready")):
        entry = await asked(desk, message=review)
        await decide(desk, entry, review)  # type: ignore[arg-type]
        assert (await desk.wish(SPAM, message=review, cause="b/1")).state == state


async def test_entries_are_counted_by_what_cloudflare_says_of_them() -> None:
    desk = Desk()
    for number, review in enumerate(("", "granted", "rejected")):
        entry = await asked(desk, message=f"m{number}")
        if review:
            await decide(desk, entry, review)  # type: ignore[arg-type]
    assert await desk.ledger.counts(ME) == {"Reclassify": {"accepted": 1, "done": 1, "rejected": 1}}


async def test_reviews_are_counted_for_each_rule_that_asked() -> None:
    desk = Desk()
    both = {"rules": ("r", "s"), "fingerprints": ("f", "f")}
    for message, review, fields in (("m1", "granted", both), ("m2", "rejected", {}), ("m3", "", {})):
        entry = await desk.wish(SPAM, message, **fields)
        await send(desk, entry)
        await accept(desk, entry)
        if review:
            await decide(desk, entry, review)  # type: ignore[arg-type]
    await desk.wish(SPAM, "m4")
    counted = {"r": {"granted": 1, "rejected": 1, "accepted": 1}, "s": {"granted": 1}}
    assert await desk.ledger.count_reviews(ME) == counted
    assert await desk.ledger.count_reviews("other") == {}


async def test_a_decision_is_found_by_its_item_without_its_notices() -> None:
    desk = Desk()
    entry = await asked(desk, SOC)
    await desk.wish(SPAM, message="m2")
    assert [one.id for one in await desk.ledger.list_decided(ME, [entry.item])] == [entry.id]


async def test_a_later_notice_leaves_under_any_ceiling_that_lets_notices_leave() -> None:
    desk = Desk()
    entry = await asked(desk, SOC)
    await deliver(desk)
    await decide(desk, entry, "rejected")
    (later,) = await desk.ledger.entries(ME, states=("ready",))
    assert await desk.claim(later, under=standing(ceiling=APPROVE)) == [later.id]
