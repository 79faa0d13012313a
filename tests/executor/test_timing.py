"""What the executor tells its Observer: how long answers took, and how long proof took."""

import pytest

from tests.desk import Desk
from worker.language.actions import Move, Notify
from worker.sandbox import ACCOUNT

JUNK = Move(destination="JunkEmail")


def measured(desk: Desk, metric: str) -> tuple[float | None, float | None]:
    """Return how often something was timed, and how many seconds that were together."""
    sample = desk.metrics.registry.get_sample_value
    return sample(f"worker_time_to_{metric}_seconds_count"), sample(f"worker_time_to_{metric}_seconds_sum")


async def test_an_answer_is_timed_from_when_its_message_could_be_seen() -> None:
    desk = Desk()
    await desk.enter(JUNK, desk.old(2), known_at=desk.clock.now() - 30)
    await desk.executor.step()
    assert measured(desk, "answered") == (2, 60)


async def test_an_answer_about_a_later_sight_is_not_timed() -> None:
    desk = Desk()
    await desk.enter(JUNK, desk.old(1), sight=2)
    await desk.run(60)
    assert (measured(desk, "answered"), measured(desk, "proved")[0]) == ((0, 0), 1)


async def test_proof_is_timed_from_the_answer() -> None:
    desk = Desk(lag=20)
    await desk.enter(JUNK, desk.old(1))
    await desk.run(120)
    entry = await desk.only()
    assert measured(desk, "proved") == (1, entry.settled_at - entry.answered_at)
    assert entry.settled_at - entry.answered_at >= 20


async def test_what_its_answer_proves_is_timed_as_well() -> None:
    desk = Desk()
    await desk.enter(Notify(channel="soc"))
    await desk.run(120)
    assert await desk.states() == ["done"]
    assert measured(desk, "proved")[0] == 1


def acted(desk: Desk) -> tuple[float | None, float | None]:
    """Return how many moves were timed as our own doing, and how many seconds these took together."""
    sample, of = desk.metrics.registry.get_sample_value, {"account": ACCOUNT, "kind": "Move"}
    name = "worker_time_to_action_seconds"
    return sample(f"{name}_count", of), sample(f"{name}_sum", of)


async def test_what_comes_while_the_worker_runs_is_timed_by_account_and_kind() -> None:
    desk = Desk()
    await desk.executor.step()
    desk.clock.advance(100)
    await desk.enter(JUNK, desk.old(2), known_at=desk.clock.now() - 30)
    await desk.executor.step()
    assert acted(desk) == (2, 60)


@pytest.mark.parametrize("ago", [101, 86_000])
async def test_what_is_older_than_the_process_says_nothing_about_its_speed(ago: float) -> None:
    desk = Desk()
    await desk.executor.step()
    desk.clock.advance(100)
    await desk.enter(JUNK, desk.old(1), known_at=desk.clock.now() - ago)
    await desk.executor.step()
    assert (acted(desk), measured(desk, "answered")[0]) == ((None, None), 1)


async def test_how_long_a_person_thinks_is_not_the_time_to_action() -> None:
    desk = Desk()
    await desk.executor.step()
    await desk.enter(JUNK, desk.old(1), known_at=desk.clock.now(), state="waiting")
    desk.clock.advance(50)
    await desk.approve()
    await desk.executor.step()
    assert (acted(desk), measured(desk, "answered")[0]) == ((None, None), 1)
