"""Messages about which no answer makes sense: they keep nobody else waiting, and an outage is not taken for them."""

from collections import Counter
from urllib.parse import quote

import pytest

from tests.desk import Desk
from tests.support import TestClock, refusing, untouched
from worker.api import Request, Response
from worker.errors import ServerFault
from worker.executor.poison_messages import AGAIN, PoisonMessages, Question
from worker.language.actions import Move
from worker.sandbox.account.mail import Mail

JUNK = Move(destination="JunkEmail")


def poisoned(desk: Desk, mails: list[Mail], part: str = "/action_log") -> None:
    """Let the API make no sense when it is asked about these."""
    refuse = [refusing(f"investigate/{quote(mail.id, safe='')}{part}") for mail in mails]

    def meddle(request: Request, answer: Response) -> Response:
        for one in refuse:
            answer = one(request, answer)
        return answer

    desk.meddle = meddle


async def test_three_messages_without_a_log_keep_no_other_from_being_moved() -> None:
    desk = Desk()
    bad, good = desk.old(3, quarantined=True), desk.old(20)
    for mail in bad:
        desk.world.release_by_hand(mail.id)
    desk.clock.advance(5)
    poisoned(desk, bad)
    await desk.enter(JUNK, [*bad, *good], verdict="MALICIOUS|delivered")
    await desk.run(60)
    assert Counter(await desk.states()) == {"done": 20, "ready": 3}


@pytest.mark.slow
async def test_messages_that_cannot_be_read_are_for_a_person_once_others_can_be() -> None:
    desk = Desk()
    bad = [desk.world.add_message(id=f"odd-{n}", scanned=desk.clock.now() - 3600) for n in range(3)]
    poisoned(desk, bad, "")
    await desk.enter(JUNK, bad)
    await desk.run(300)
    assert "move" in desk.executor.problems
    await desk.enter(JUNK, [desk.world.add_message(id="odd-good", scanned=desk.clock.now() - 3600)])
    await desk.run(4500, every=30)
    assert Counter(await desk.states()) == {"done": 1, "waiting": 3}


@pytest.mark.slow
async def test_moves_whose_proof_makes_no_sense_for_a_day_are_for_a_person_and_hold_up_no_other() -> None:
    desk = Desk()
    bad, good = (
        [desk.world.add_message(id=f"{name}-{n}", scanned=desk.clock.now() - 3600) for n in range(3)]
        for name in ("a", "b")
    )
    await desk.enter(JUNK, bad)
    await desk.executor.step()
    poisoned(desk, bad, "")
    await desk.enter(JUNK, good)
    await desk.run(600)
    assert Counter(await desk.states()) == {"done": 3, "sent": 3}
    await desk.run(90_000, every=60)
    assert Counter(await desk.states()) == {"done": 3, "waiting": 3}
    assert sorted(desk.ours()) == sorted(mail.id for mail in (*bad, *good))


async def sick() -> str:
    raise ServerFault("no sense")


async def well() -> str:
    return "an answer"


async def test_a_fault_is_raised_while_it_may_be_the_apis() -> None:
    poison = PoisonMessages(TestClock())
    for name in "abab":
        with pytest.raises(ServerFault):
            await poison.ask(("log", name), sick)
    assert (poison.is_suspected("a"), poison.lasts("a")) == (True, 0.0)


@pytest.mark.parametrize("other", [("log", "b"), ("message", "a"), None])
async def test_a_fault_is_the_messages_own_once_anything_else_was_answered_after_it(other: Question | None) -> None:
    clock, calls = TestClock(), 0

    async def counted() -> str:
        nonlocal calls
        calls += 1
        return await sick()

    poison, question = PoisonMessages(clock), ("log", "a")
    with pytest.raises(ServerFault):
        await poison.ask(question, counted)
    assert other is None or await poison.ask(other, well) == "an answer"
    poison.note_answer()
    clock.advance(AGAIN)
    assert [await poison.ask(question, counted) for _ in range(10)] == [None] * 10
    assert (calls, poison.is_suspected("a"), poison.lasts("a")) == (2, True, AGAIN)
    clock.advance(AGAIN)
    assert await poison.ask(question, well) == "an answer"
    assert (poison.is_suspected("a"), poison.lasts("a")) == (False, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("many", [1, 2, 3])
async def test_an_outage_of_hours_is_not_taken_for_messages_that_make_no_sense(many: int) -> None:
    desk = Desk()
    mails = [desk.world.add_message(id=f"odd-{n}", scanned=desk.clock.now() - 3600) for n in range(many)]
    await desk.enter(JUNK, mails)
    desk.meddle = lambda request, answer: refusing(request.path, 502)(request, answer)
    await desk.run(3 * 3600, every=30)
    assert (set(await desk.states()), "move" in desk.executor.problems) == ({"ready"}, True)
    desk.meddle = untouched
    await desk.run(300)
    assert set(await desk.states()) == {"done"}


async def test_a_worker_that_was_down_for_days_asks_again_before_it_asks_a_person() -> None:
    desk = Desk()
    mail = desk.world.add_message(id="odd-1", scanned=desk.clock.now() - 3600)
    await desk.enter(JUNK, [mail])
    await desk.executor.step()
    desk.clock.advance(2 * 86400)
    desk.restart()
    poisoned(desk, [mail], "")
    await desk.run(30)
    assert await desk.states() == ["sent"]
    desk.meddle = untouched
    await desk.run(7200)
    assert await desk.states() == ["done"]
