"""What a look finds before any call."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from tests.desk import SETTLE, Desk
from tests.support import refusing, untouched
from worker.executor.observer import TargetObserver
from worker.executor.preflight import Preflight
from worker.judging.services import Timing
from worker.language.actions import BlockSender, Escalate, Move, Reclassify, Release, Unblock
from worker.ledger.entries import Look
from worker.ledger.values import EventKey

JUNK = Move(destination="JunkEmail")
TRASH = Move(destination="DeletedItems")
BLOCK = BlockSender(pattern="ada@c0rp.example")
SPAM = Reclassify(expected_disposition="SPAM")


async def test_what_somebody_else_has_moved_is_moot() -> None:
    desk = Desk()
    (mail,) = desk.old()
    desk.world.move_by_hand(mail.id, "DeletedItems")
    await desk.enter(JUNK, [mail])
    await desk.run(1)
    entry = await desk.only()
    assert (entry.state, entry.said) == ("moot", "already moved by someone else")
    assert desk.ours() == []


async def test_our_own_earlier_move_does_not_stand_in_the_way_of_a_new_sight() -> None:
    desk = Desk()
    (mail,) = desk.old()
    await desk.enter(JUNK, [mail])
    await desk.run(10)
    desk.world.change_verdict(mail.id, "SPAM")
    desk.clock.advance(61)
    await desk.enter(TRASH, [mail], sight=2)
    await desk.run(10)
    assert await desk.states() == ["done", "done"]
    assert [entry.proof for entry in await desk.entries()] == ["seen", "log"]
    assert mail.now.folder == "DeletedItems"
    assert len(desk.ours()) == 2


async def test_a_move_by_a_person_between_two_of_ours_ends_the_second() -> None:
    desk = Desk()
    (mail,) = desk.old()
    await desk.enter(JUNK, [mail])
    await desk.run(30)
    desk.world.move_by_hand(mail.id, "Inbox")
    desk.world.change_verdict(mail.id, "SPAM")
    desk.clock.advance(61)
    await desk.enter(TRASH, [mail], sight=2)
    await desk.run(10)
    assert await desk.states() == ["done", "moot"]
    assert (mail.now.folder, len(desk.ours())) == ("Inbox", 1)


async def test_mail_that_a_person_let_through_waits_for_a_person() -> None:
    desk = Desk()
    await desk.let_through(JUNK)
    entry = await desk.only()
    assert entry.state == "waiting"
    assert "QUARANTINE_RELEASE by analyst" in entry.said
    await desk.approve()
    await desk.run(10)
    assert await desk.states() == ["done"]


@pytest.mark.slow
async def test_an_approved_entry_touched_since_is_moot() -> None:
    desk = Desk()
    (mail,) = desk.old(quarantined=True)
    await desk.enter(JUNK, [mail], state="waiting", verdict="MALICIOUS|delivered")
    desk.clock.advance(5)
    desk.world.release_by_hand(mail.id)
    desk.clock.advance(5)
    await desk.approve()
    await desk.run(10)
    assert "touched since it was decided" in (await desk.only()).said
    assert desk.ours() == []


@pytest.mark.parametrize(("pattern", "whose"), [("boss@corp.example", ": corp.example"), ("corp.example", "")])
async def test_a_block_of_our_own_domain_is_refused_before_it_is_tried(pattern: str, whose: str) -> None:
    desk = Desk()
    await desk.enter(BlockSender(pattern=pattern, pattern_type="EMAIL" if "@" in pattern else "DOMAIN"))
    await desk.run(1)
    entry = await desk.only()
    assert (entry.state, entry.said) == (
        "moot",
        f"{pattern}{whose} is one of our own domains, or above or below one: never blocked",
    )
    assert desk.world.effects == []


async def test_a_pattern_that_others_block_is_moot_and_never_ours_to_remove() -> None:
    desk = Desk()
    desk.world.add_entry("block_senders", pattern="ada@c0rp.example", pattern_type="EMAIL", comments="by hand")
    desk.clock.advance(1)
    await desk.enter(BLOCK)
    await desk.run(5)
    assert await desk.states() == ["moot"]
    assert desk.ours("block_senders.create") == []


async def test_a_block_that_a_person_adopted_is_not_removed() -> None:
    desk = Desk()
    await desk.enter(BLOCK)
    await desk.run(10)
    (ident,) = desk.world.lists["block_senders"]
    thing = desk.world.lists["block_senders"][ident]
    thing.become(desk.clock.now(), {**(thing.value or {}), "comments": "keep this, says Ada"})
    desk.clock.advance(400)
    await desk.enter(Unblock(pattern="ada@c0rp.example"), sight=2)
    await desk.run(10)
    assert (await desk.entries())[-1].said.startswith("a person changed its comment")
    assert desk.ours("block_senders.delete") == []


async def test_a_message_the_api_does_not_know_is_looked_for_until_it_cannot_be_lag() -> None:
    desk = Desk()
    (mail,) = desk.old()
    await desk.enter(JUNK, [mail], target="4Njp3P0STMz2c02Q-2026-09-21T12:00:00-12345678")
    await desk.run(SETTLE - 5)
    assert await desk.states() == ["ready"]
    await desk.run(20)
    assert await desk.states() == ["moot"]


async def test_a_look_that_may_be_older_than_the_sight_ends_nothing() -> None:
    desk = Desk()
    (mail,) = desk.old()
    desk.looks.remember(mail.id, Look(desk.clock.now(), "SPAM|delivered", quarantined=False))
    await desk.enter(JUNK, [mail])
    await desk.run(5)
    assert await desk.states() == ["ready"]
    await desk.run(SETTLE + 5)
    assert await desk.states() == ["done"]
    assert len(desk.ours()) == 1


async def test_mail_that_was_in_quarantine_when_it_was_judged_is_not_moved_without_any_delay() -> None:
    desk = Desk()
    (mail,) = desk.old(quarantined=True)
    await desk.enter(JUNK, [mail], verdict="MALICIOUS|quarantined")
    await desk.run(1)
    assert await desk.states() == ["moot"]


async def test_a_verdict_that_was_asked_for_already_is_moot() -> None:
    desk = Desk()
    (mail,) = desk.old()
    desk.world.add_submission(type="Team", original_postfix_id=mail.postfix, requested_disposition="SPAM")
    desk.clock.advance(1)
    await desk.enter(SPAM, [mail])
    await desk.run(1)
    assert await desk.states() == ["moot"]
    assert desk.ours("reclassify") == []


async def test_a_request_that_could_not_be_reviewed_is_none() -> None:
    desk = Desk()
    (mail,) = desk.old()
    of_mail = mail.postfix
    desk.world.add_submission(type="Team", status="invalid", original_postfix_id=of_mail, requested_disposition="SPAM")
    desk.clock.advance(1)
    await desk.enter(SPAM, [mail])
    await desk.run(1)
    assert desk.ours("reclassify") == [mail.id]


@pytest.mark.parametrize(("triage", "state"), [("escalated", "moot"), ("reviewed", "sent"), ("unreviewed", "sent")])
async def test_what_a_person_has_escalated_meanwhile_is_not_escalated_again(triage: str, state: str) -> None:
    desk = Desk()
    (mail,) = desk.old(disposition="NONE")
    ident = desk.world.submit_by_user(mail)
    submitted = f"{datetime.fromtimestamp(desk.clock.now(), UTC):%FT%TZ}"
    cause = str(EventKey(submitted, "Submission", ident, 1))
    desk.world.change_submission(ident, customer_status=triage)
    desk.world.add_submission(type="Team", original_postfix_id=mail.postfix, requested_disposition="SPAM")
    desk.clock.advance(10)
    await desk.enter(Escalate("SPAM", submission_id=ident), [mail], cause=cause)
    await desk.run(1)
    assert await desk.states() == [state]
    details = [effect.detail for effect in desk.world.effects]
    assert details == ([] if state == "moot" else [{"disposition": "SPAM", "escalates": ident}])


@pytest.mark.slow
async def test_a_verdict_that_has_changed_meanwhile_is_not_asked_for() -> None:
    desk = Desk()
    (mail,) = desk.old()
    await desk.enter(SPAM, [mail])
    desk.world.change_verdict(mail.id, "BULK")
    await desk.run(2 * SETTLE + 5)
    assert (await desk.only()).said == "the verdict is BULK now and was MALICIOUS when it was judged"
    assert desk.ours("reclassify") == []


async def test_a_block_that_somebody_removed_needs_no_unblock() -> None:
    desk = Desk()
    await desk.enter(BLOCK)
    await desk.run(10)
    (ident,) = desk.world.lists["block_senders"]
    desk.world.lists["block_senders"][ident].become(desk.clock.now(), None)
    desk.clock.advance(400)
    await desk.enter(Unblock(pattern="ada@c0rp.example"), sight=2)
    await desk.run(10)
    assert (await desk.entries())[-1].said == "there is no list entry of ours (any more)"


async def test_a_sender_is_blocked_again_after_an_unblock() -> None:
    desk = Desk()
    await desk.enter(BLOCK)
    await desk.run(10)
    await desk.enter(Unblock(pattern="ada@c0rp.example"), sight=2)
    await desk.run(10)
    await desk.enter(BLOCK, sight=3)
    await desk.run(10)
    assert await desk.states() == ["done"] * 3
    operations = [one.operation.rpartition(".")[2] for one in desk.world.effects]
    assert operations == ["create", "delete", "create"]


@pytest.mark.slow
async def test_a_changed_verdict_is_told_as_news_and_ends_the_entry_when_it_is_still_so_a_settle_time_later() -> None:
    desk = Desk()
    (mail,) = desk.old()
    await desk.enter(JUNK, [mail])
    desk.world.change_verdict(mail.id, "SPAM")
    await desk.run(SETTLE - 1)
    assert (await desk.states(), desk.news) == (["ready"], [])
    await desk.run(SETTLE)
    assert (await desk.states(), desk.news) == (["ready"], [(mail.id, "SPAM|delivered")])
    await desk.run(2)
    assert (await desk.states(), desk.news) == (["moot"], [(mail.id, "SPAM|delivered")] * 2)
    assert desk.ours() == []


@pytest.mark.slow
async def test_a_verdict_that_comes_back_after_a_contradiction_lets_the_entry_go() -> None:
    desk = Desk()
    (mail,) = desk.old()
    await desk.enter(JUNK, [mail])
    desk.world.change_verdict(mail.id, "SPAM")
    await desk.run(SETTLE + 5)
    desk.world.change_verdict(mail.id, "MALICIOUS")
    await desk.run(SETTLE + 5)
    assert await desk.states() == ["done"]


async def test_a_contradiction_that_was_read_by_others_is_looked_at_anew_before_it_is_told() -> None:
    desk = Desk()
    (mail,) = desk.old()
    await desk.enter(JUNK, [mail], state="waiting")
    desk.clock.advance(SETTLE + 1)
    desk.looks.remember(mail.id, Look(desk.clock.now(), "SPAM|delivered"))
    await desk.approve()
    await desk.run(10)
    assert (await desk.states(), desk.news) == (["done"], [])


async def test_mail_that_our_own_release_let_out_contradicts_no_other_wish_about_it() -> None:
    desk = Desk()
    (mail,) = desk.old(quarantined=True, disposition="SPAM")
    await desk.enter(Release(), [mail])
    await desk.enter(Reclassify(expected_disposition="NONE"), [mail], state="waiting")
    await desk.run(SETTLE + 5)
    await desk.approve()
    await desk.run(30)
    assert (await desk.states(), desk.news) == (["done", "sent"], [])


@pytest.mark.slow
@pytest.mark.parametrize("field", ["comments", "pattern", "pattern_type", "id"])
async def test_a_block_among_entries_that_cannot_be_read_is_not_taken_for_gone(field: str) -> None:
    desk = Desk()
    await desk.enter(BLOCK)
    await desk.run(10)
    desk.meddle = lambda request, answer: (
        replace(answer, body=answer.body.replace(f'"{field}":'.encode(), f'"{field}":[],"x":'.encode()))
        if request.path.endswith("block_senders")
        else answer
    )
    desk.clock.advance(400)
    await desk.enter(Unblock(pattern="ada@c0rp.example"), sight=2)
    await desk.run(1000)
    assert await desk.states() == ["done", "ready"]
    desk.meddle = untouched
    await desk.run(400)
    assert await desk.states() == ["done", "done"]


async def test_a_contradiction_that_went_away_counts_for_nothing_when_it_comes_again() -> None:
    desk = Desk()
    (mail,) = desk.old()
    await desk.enter(JUNK, [mail])
    observer = TargetObserver(desk.client, desk.looks, desk.clock)
    preflight = Preflight(desk.services(desk.lists), Timing(settle=SETTLE), desk.hooks(), observer)
    found: list[str] = []
    for verdict in ("SPAM", "MALICIOUS", "SPAM", "SPAM"):
        desk.world.change_verdict(mail.id, verdict)
        desk.clock.advance(SETTLE + 1)
        prepared = await preflight.prepare([await desk.only()])
        found.append("go" if prepared.claims else "moot" if prepared.moots else "later")
    assert found == ["later", "go", "later", "moot"]


@pytest.mark.slow
async def test_mail_whose_action_log_is_refused_is_for_a_person_after_an_hour() -> None:
    desk = Desk()
    (mail,) = desk.old(quarantined=True)
    desk.world.release_by_hand(mail.id)
    desk.clock.advance(5)
    desk.meddle = refusing("action_log")
    await desk.enter(JUNK, [mail])
    await desk.run(3500, every=60)
    assert await desk.states() == ["ready"]
    await desk.run(600, every=60)
    assert (await desk.only()).said == "the API does not tell what was done to this message by others"
