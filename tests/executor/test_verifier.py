"""How proof is found, and how it is not."""

from collections import Counter

import pytest
from msgspec.structs import replace

from tests.desk import Desk
from worker.language.actions import BlockSender, Move, Reclassify, Release
from worker.ledger.entries import Look
from worker.sandbox import Fault

JUNK = Move(destination="JunkEmail")
DAY = 86_400.0
TWO = ["a@corp.example", "b@corp.example"]
BLOCK = BlockSender(pattern="ada@c0rp.example")


async def test_what_the_polls_show_is_proof_without_a_call() -> None:
    desk = Desk()
    mail = desk.world.add_message()
    desk.looks.remember(mail.id, Look(desk.clock.now(), "MALICIOUS|delivered"))
    await desk.enter(JUNK, [mail])
    await desk.run(4)
    assert await desk.states() == ["sent"]
    desk.looks.remember(mail.id, Look(desk.clock.now(), "MALICIOUS|delivered", operations=("MOVE",)))
    await desk.run(1)
    assert await desk.states() == ["done"]
    assert desk.calls() == 1


async def test_a_look_that_is_due_in_a_moment_shares_the_search_of_one_that_is_due_now() -> None:
    desk = Desk()
    for age in (3600, 7200):
        await desk.enter(JUNK, [desk.world.add_message(scanned=desk.clock.now() - age)])
        await desk.executor.step()
        desk.clock.advance(0.5)
    await desk.run(30, every=0.1)
    assert await desk.states() == ["done", "done"]
    assert desk.world.requests["GET investigate"] == {"200": 1}


async def test_a_move_that_reached_some_recipients_fails_and_is_not_repeated() -> None:
    desk = Desk(move_failed=0.5)
    mails = desk.old(30, client_recipients=TWO)
    await desk.enter(JUNK, mails)
    await desk.run(300)
    assert sorted(desk.ours()) == sorted(mail.id for mail in mails)
    entries = {entry.target: entry for entry in await desk.entries()}
    for mail in mails:
        moved = sum(line["status"] == "OK" for line in mail.now.log)
        assert entries[mail.id].state == ("done" if moved == 2 else "failed")
        assert moved == 2 or entries[mail.id].said.startswith(f"{moved} of 2 moved; ErrorServerBusy")


async def test_a_release_that_reached_some_waits_for_a_person() -> None:
    desk = Desk(release_failed=0.5)
    mails = desk.old(20, quarantined=True, client_recipients=TWO)
    await desk.enter(Release(), mails)
    await desk.run(30)
    partly = {mail.id for mail in mails if len(mail.now.released) == 1}
    assert {entry.target for entry in await desk.entries() if entry.state == "waiting"} == partly


async def test_a_pattern_blocked_by_others_meanwhile_is_found_when_the_api_refuses_it() -> None:
    desk = Desk(lag=5)
    desk.world.add_entry("block_senders", pattern="ada@c0rp.example", pattern_type="EMAIL", comments="by hand")
    await desk.enter(BLOCK)
    await desk.run(200)
    entry = await desk.only()
    assert entry.state == "moot"
    assert "not this worker's" in entry.said


async def test_lists_that_cannot_be_read_conclude_nothing() -> None:
    desk = Desk()
    await desk.enter(BLOCK)
    await desk.executor.step()
    desk.world.faults.script([Fault("html", "GET", "settings/block_senders", count=25)])
    await desk.run(200)
    assert await desk.states() == ["done"]
    assert len(desk.ours("block_senders.create")) == 1


@pytest.mark.slow
async def test_releases_are_proved_by_their_answer_and_travel_by_the_hundred() -> None:
    desk = Desk()
    await desk.enter(Release(), desk.old(250, quarantined=True, client_recipients=TWO))
    await desk.run(1)
    assert Counter(await desk.states()) == {"done": 250}
    assert desk.world.requests["POST investigate/release"] == {"200": 3}
    assert {entry.proof for entry in await desk.entries()} == {"answered"}


async def test_a_message_that_is_gone_after_the_claim_fails_its_entry() -> None:
    desk = Desk()
    (mail,) = desk.old()
    desk.world.faults.script([Fault("html", "POST", "investigate/move")])
    await desk.enter(JUNK, [mail])
    await desk.executor.step()
    desk.world.mails.remove(desk.world.by_id.pop(mail.id))
    await desk.run(60)
    assert await desk.states() == ["unsure"]
    await desk.run(60)
    assert (await desk.only()).said == "the API does not know this message any more"


@pytest.mark.slow
async def test_many_that_did_not_happen_are_known_so_one_log_each() -> None:
    desk = Desk()
    mails = desk.old(130)
    desk.world.faults.script([Fault("html", "POST", "investigate/move")])
    await desk.enter(JUNK, mails)
    await desk.run(300)
    assert set(await desk.states()) == {"done"}
    assert desk.world.requests["GET investigate/{id}/action_log"] == {"200": 130}
    assert sorted(desk.ours()) == sorted(mail.id for mail in mails)


def hide_submissions(desk: Desk) -> None:
    """Let no submission be read, now and later."""
    desk.meddle = lambda request, answer: (
        replace(answer, body=b'{"success":true,"result":[7]}') if request.path.endswith("/submissions") else answer
    )


@pytest.mark.parametrize("kind", ["lost", ""])
async def test_a_request_that_no_list_shows_is_found_in_the_log_before_it_is_given_up_or_repeated(kind: str) -> None:
    desk = Desk()
    (mail,) = desk.old()
    hide_submissions(desk)
    desk.world.faults.script([Fault("lost", "POST", "investigate/")] if kind else [])
    await desk.enter(Reclassify(expected_disposition="NONE"), [mail])
    await desk.run(100_000, every=600)
    entry = await desk.only()
    assert (entry.state, entry.review, entry.proof) == ("sent", "accepted", "log")
    assert [entry.remote] == list(desk.world.submissions)
    assert desk.ours("reclassify") == [mail.id]


async def test_a_request_that_is_accepted_takes_no_call_until_thirty_days_have_passed() -> None:
    desk = Desk(review_delay=99 * DAY)
    await desk.enter(Reclassify(expected_disposition="NONE"), desk.old(3))
    await desk.run(60)
    calls = desk.calls()
    await desk.run(30 * DAY - 200, every=DAY)
    assert (desk.calls(), set(await desk.states())) == (calls, {"sent"})
    await desk.run(200)
    assert {entry.review for entry in await desk.entries()} == {"never_decided"}
    assert desk.world.requests["GET submissions"].total() <= 4
    assert desk.executor.problems == {}


async def test_a_decision_that_nobody_read_in_thirty_days_counts_all_the_same() -> None:
    desk = Desk()
    await desk.enter(Reclassify(expected_disposition="NONE"), desk.old(20))
    await desk.run(31 * DAY, every=DAY)
    assert {entry.review for entry in await desk.entries()} == {"granted", "rejected"}


async def test_a_submission_that_cannot_be_read_leaves_an_unanswered_request_to_a_person_after_a_day() -> None:
    desk = Desk()
    (mail,) = desk.old()
    desk.meddle = lambda request, answer: (
        replace(answer, body=answer.body.replace(b'"result":[', b'"result":[7'))
        if request.path.endswith("/submissions")
        else answer
    )
    desk.world.faults.script([Fault("html", "POST", "investigate/")])
    await desk.enter(Reclassify(expected_disposition="NONE"), [mail])
    await desk.run(80_000, every=600)
    assert await desk.states() == ["unsure"]
    await desk.run(20_000, every=600)
    entry = await desk.only()
    assert (entry.state, "cannot be read" in entry.said) == ("waiting", True)
    assert desk.ours("reclassify") == []
