"""Messages about which no answer makes sense: they keep nobody else waiting, and an outage is not taken for them."""

from collections import Counter
from urllib.parse import quote

from tests.desk import Desk
from tests.support import TestClock, refusing
from worker.actions import Move
from worker.api import Request, Response
from worker.errors import ServerFault
from worker.poison import AGAIN, Poison
from worker.sandbox.mail import Mail

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


async def test_faults_in_a_row_are_the_apis_and_every_third_is_raised() -> None:
    poison, raised = Poison(TestClock()), []
    for name in "abcabcabc":
        try:
            assert await poison.ask(name, sick) is None
        except ServerFault:
            raised.append(name)
    assert raised == ["c", "c", "c"]


async def test_a_fault_is_the_messages_own_once_another_was_answered_after_it() -> None:
    clock, calls = TestClock(), 0

    async def counted() -> str:
        nonlocal calls
        calls += 1
        raise ServerFault("no sense")

    poison = Poison(clock)
    assert await poison.ask("a", counted) is None
    assert await poison.ask("b", well) == "an answer"
    assert [await poison.ask("a", counted) for _ in range(10)] == [None] * 10
    assert (calls, poison.suspected("a"), poison.suspected("b")) == (1, True, False)
    clock.advance(AGAIN)
    assert await poison.ask("a", well) == "an answer"
    assert not poison.suspected("a")
