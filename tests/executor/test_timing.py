"""What the executor tells its Observer: how long answers took, and how long proof took."""

from tests.desk import Desk
from worker.language.actions import Move, Notify

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
