"""The budget through restarts: what was spent counts once and as long as it lasts, so that no 429 is our own fault."""

import time
from pathlib import Path

import pytest

from tests.daemon.bench import Bench
from tests.faults.rig import Rig, Trapped, until
from worker.api.pacing import UNDATED
from worker.sandbox import ACCOUNT

ASKING = """
@rule(mode=ENFORCE, limit=per_hour(100_000))
@example(sample.message(final_disposition="MALICIOUS"), sample.detection(), gives=Move("DeletedItems"))
@example(sample.message(), sample.detection(), gives=None)
def asking(message: Message, detection: Detection) -> Move | None:
    "Move what is malicious, once the detection was asked for."
    return Move("DeletedItems") if message.final_disposition == "MALICIOUS" and detection else None
"""


@pytest.mark.slow
async def test_what_was_written_under_two_names_was_spent_once(tmp_path: Path) -> None:
    bench, now = Bench(tmp_path), float(int(time.time()))
    async with bench.app() as app:
        ledger, (worker,) = app.services.ledger, app.workers
        await ledger.keep_spent(worker.connection.credential, ((now - 2, 5), (now - 1, 2)), now)
        await ledger.keep_spent(ACCOUNT, ((now - 2, 5), (now - 1, 4)), now)
    async with bench.app() as app:
        assert sum(count for _, count in app.workers[0].connection.budget.count_spent()) == 9


@pytest.mark.slow
async def test_what_was_written_before_the_time_was_known_does_not_hide_what_was_written_later(tmp_path: Path) -> None:
    bench, now = Bench(tmp_path), float(int(time.time()))
    async with bench.app() as app:
        ledger, (worker,) = app.services.ledger, app.workers
        await ledger.keep_spent(worker.connection.credential, ((now - 9, 5), (UNDATED, 2)), now)
        await ledger.keep_spent(ACCOUNT, ((now - 9, 5), (now - 2, 7)), now)
    async with bench.app() as app:
        assert sum(count for _, count in app.workers[0].connection.budget.count_spent()) == 12


@pytest.mark.slow
async def test_a_successor_of_one_that_was_killed_leaves_what_that_one_spent(tmp_path: Path) -> None:
    world = Trapped(now=time.time, quota=(500, 20.0))
    world.limited = False  # nothing tells what is left: only what is remembered can keep us from asking too often
    rig = Rig(tmp_path, world, asking=ASKING)
    rig.environment["WORKER_BUDGET"] = "500/20s"
    rig.world.arrive(460, "outbreak")
    async with rig.api():
        for spent in (150, 300):
            async with rig.daemon() as daemon:
                await until(world.was_asked(spent), lambda: daemon.log)
        async with rig.daemon() as daemon:
            await until(rig.moved(460), lambda: daemon.log)
    assert (world.statuses("429"), len(rig.ours())) == (0, 460)
    assert world.asked > 500
