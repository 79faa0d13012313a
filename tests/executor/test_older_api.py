"""In an account that speaks the API of the older reference pages, actions are carried out, proved and ended too."""

from collections import Counter
from datetime import timedelta

import pytest

from tests.desk import Desk
from worker.language.actions import Adding, AllowSender, BlockSender, Move, Reclassify, Release, TrustDomain

pytestmark = pytest.mark.slow  # each lives through minutes, some through an hour

HOUR = timedelta(hours=1)
EACH: list[tuple[Adding, str]] = [
    (BlockSender("ada@c0rp.example", for_=HOUR), "block_senders"),
    (AllowSender("carol@shop.example", for_=HOUR), "allow_policies"),
    (TrustDomain("shop.example", for_=HOUR), "trusted_domains"),
]
each = pytest.mark.parametrize(("action", "name"), EACH)
TWO = ["ada@corp.example", "ben@corp.example"]


@each
async def test_a_list_entry_is_proved_by_its_number_and_ends(action: Adding, name: str) -> None:
    desk = Desk(era="seeds")
    await desk.enter(action)
    await desk.run(10)
    made, end = await desk.entries()
    assert (made.state, made.remote.isdigit(), end.state) == ("done", True, "ready")
    await desk.run(4000)
    assert await desk.states() == ["done", "done"]
    assert [one.operation for one in desk.world.effects] == [f"{name}.create", f"{name}.delete"]


@each
async def test_a_list_entry_can_be_taken_back_before_its_end(action: Adding, name: str) -> None:
    desk = Desk(era="seeds")
    await desk.enter(action)
    await desk.run(400)
    await desk.enter(action.inverse(), sight=2)
    await desk.run(300)
    made, end, back = await desk.entries()
    assert (made.state, end.state, back.state) == ("done", "moot", "done")
    assert desk.world.lists[name][made.remote].value is None


async def test_a_release_is_sent_as_a_list_once_that_is_known_to_work() -> None:
    desk = Desk(era="seeds")
    for sight in (1, 2):
        await desk.enter(Release(), desk.old(2, quarantined=True), sight=sight)
        await desk.run(60)
    assert set(await desk.states()) == {"done"}
    assert desk.world.requests["POST investigate/release"] == {"400": 1, "200": 2}


async def test_a_request_for_a_verdict_is_found_by_the_older_name_of_its_time() -> None:
    desk = Desk(era="seeds")
    await desk.enter(Reclassify("NONE"), desk.old(3))
    await desk.run(120)
    assert [(entry.state, entry.proof) for entry in await desk.entries()] == [("sent", "seen")] * 3


async def test_a_move_of_several_copies_is_judged_by_its_log_where_mail_has_no_delivery_status() -> None:
    desk = Desk(era="seeds", move_failed=0.5)
    mails = desk.old(20, client_recipients=TWO)
    await desk.enter(Move("JunkEmail"), mails)
    await desk.run(600)
    entries = {entry.target: entry.state for entry in await desk.entries()}
    moved = {mail.id: sum(line["status"] == "OK" for line in mail.now.log) for mail in mails}
    assert entries == {ident: "done" if count == len(TWO) else "failed" for ident, count in moved.items()}
    assert set(Counter(moved.values())) == {0, 1, 2}


async def test_a_move_of_one_copy_needs_no_log() -> None:
    desk = Desk(era="seeds")
    await desk.enter(Move("JunkEmail"), desk.old(20))
    await desk.run(200)
    assert await desk.states() == ["done"] * 20
    assert "GET investigate/{id}/action_log" not in desk.world.requests
