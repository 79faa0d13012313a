"""What the API is asked, and with how few calls."""

from collections import Counter

import pytest

from tests.desk import Desk
from tests.support import refusing
from worker.language.actions import Move
from worker.ledger.entries import Look
from worker.sandbox import Fault, MailFlow

JUNK = Move(destination="JunkEmail")
TRASH = Move(destination="DeletedItems")


@pytest.mark.slow
async def test_single_reads_take_over_where_a_window_would_be_too_wide() -> None:
    desk = Desk()
    desk.world.populate(MailFlow(messages=3000, history=7200.0))
    far = [desk.world.mails[10], desk.world.mails[-10]]
    for mail in far:
        desk.world.change_verdict(mail.id, "MALICIOUS")
    mails = [mail for mail in far if not mail.now.quarantined]
    desk.clock.advance(5)
    await desk.enter(JUNK, mails)
    await desk.run(20)
    assert set(await desk.states()) == {"done"}
    assert desk.world.requests["GET investigate/{id}"]["200"] == 1
    assert desk.world.requests["GET investigate"]["200"] <= 3


@pytest.mark.slow
async def test_one_message_the_api_cannot_tell_about_does_not_keep_the_others_waiting() -> None:
    desk = Desk()
    mails = desk.old(2)
    sick = desk.world.add_message(scanned=float(mails[0].scanned), id=mails[0].id[:-8] + "zzzzzzzz")
    desk.world.by_id[sick.id].head = b'{"id": [7]'
    await desk.enter(JUNK, [*mails, sick])
    await desk.run(20)
    assert sorted(await desk.states()) == ["done", "done", "ready"]
    await desk.run(4500, every=30)
    assert sorted(await desk.states()) == ["done", "done", "waiting"]
    assert sick.id not in desk.ours()


async def test_a_search_that_never_ends_gives_way_to_single_reads() -> None:
    desk = Desk()
    desk.world.faults.script([Fault("accepted", "GET", "investigate", seconds=900)])
    await desk.enter(JUNK, desk.old(3))
    await desk.run(100)
    assert set(await desk.states()) == {"done"}
    assert desk.world.requests["GET investigate/{id}"] == {"200": 3}


@pytest.mark.slow
async def test_an_old_thousand_is_looked_at_by_window_and_moved_by_destination() -> None:
    desk = Desk()
    mails = desk.old(1000)
    await desk.enter(JUNK, mails[:600])
    await desk.enter(TRASH, mails[600:])
    await desk.run(5)
    assert Counter(await desk.states()) == {"done": 1000}
    assert desk.world.requests["POST investigate/move"] == {"200": 2}
    assert desk.calls() == 4
    assert Counter(mail.now.folder for mail in mails) == {"JunkEmail": 600, "DeletedItems": 400}


@pytest.mark.slow
async def test_ids_that_carry_no_time_are_asked_for_one_by_one() -> None:
    desk = Desk()
    mails = [desk.world.add_message(id=f"odd-{n}", scanned=desk.clock.now() - 3600) for n in range(130)]
    await desk.enter(JUNK, mails)
    await desk.run(200)
    assert set(await desk.states()) == {"done"}
    assert desk.world.requests["GET investigate/{id}"] == {"200": 260}
    assert "GET investigate" not in desk.world.requests


@pytest.mark.slow
@pytest.mark.parametrize(("lag", "most"), [(0, 2.2), (5, 6.2), (60, 6.2)])
async def test_acting_and_proving_cost_a_few_calls_per_thousand(lag: float, most: float) -> None:
    desk = Desk(lag=lag)
    desk.settle = 120.0
    desk.restart()
    mails = desk.old(3000)
    desk.clock.advance(61)
    desk.busy = True
    for page in range(0, 3000, 1000):
        for mail in mails[page : page + 1000]:
            desk.looks.remember(mail.id, Look(desk.clock.now(), "MALICIOUS|delivered"))
        await desk.enter(JUNK, mails[page : page + 1000 : 2])
        await desk.executor.step()
        desk.clock.advance(0.06)
    desk.busy = False
    await desk.run(300)
    assert Counter(await desk.states()) == {"done": 1500}
    assert desk.calls() <= most * 1.5 + 1


@pytest.mark.slow
@pytest.mark.parametrize("status", [400, 403])
async def test_one_message_that_the_api_refuses_does_not_keep_the_others_waiting(status: int) -> None:
    desk = Desk()
    mails = desk.old(5)
    bad = desk.world.add_message(id="odd-one", scanned=desk.clock.now() - 3600)
    desk.world.by_id[bad.id].head = b'{"id": [7]'
    desk.meddle = refusing("investigate/" + bad.id, status)
    await desk.enter(JUNK, [*mails, bad])
    await desk.run(20)
    assert Counter(await desk.states()) == {"done": 5, "ready": 1}
    await desk.run(4500, every=30)
    assert Counter(await desk.states()) == {"done": 5, "waiting": 1}


async def test_one_message_whose_proof_is_refused_does_not_keep_the_others_waiting() -> None:
    desk = Desk()
    mails = [desk.world.add_message(id=f"odd-{n}", scanned=desk.clock.now() - 3600) for n in range(5)]
    for mail in mails:
        desk.looks.remember(mail.id, Look(desk.clock.now(), "MALICIOUS|delivered"))
    desk.meddle = refusing("investigate/odd-0")
    await desk.enter(JUNK, mails)
    await desk.run(300)
    assert Counter(await desk.states())["done"] == 4


@pytest.mark.slow
async def test_a_refusal_of_every_message_is_a_problem_and_concludes_nothing() -> None:
    desk = Desk(who="nobody")
    mails = [desk.world.add_message(id=f"odd-{n}", scanned=desk.clock.now() - 3600) for n in range(5)]
    desk.meddle = lambda request, answer: refusing(request.path, 403)(request, answer)
    await desk.enter(JUNK, mails)
    await desk.run(300)
    assert set(await desk.states()) == {"ready"}
    assert "403" in desk.executor.problems["move"]
