"""Being told to stop in the middle of something: what is in hand is finished, the rest is the next one's."""

import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.rig import Daemon, Rig, until
from worker.sandbox import IncomingRequest, OutgoingResponse

pytestmark = pytest.mark.slow


def states(rig: Rig) -> Counter[str]:
    """Count the entries of the ledger by state."""
    with closing(sqlite3.connect(f"file:{rig.ledger}?mode=ro", uri=True)) as ledger:
        return Counter(state for (state,) in ledger.execute("SELECT state FROM entries"))


def stopping(
    daemon: Daemon, meant: Callable[[IncomingRequest], bool]
) -> Callable[[IncomingRequest, OutgoingResponse], None]:
    """Return a trap that asks the worker to stop when a request was carried out and is not answered yet."""
    asked: list[IncomingRequest] = []

    def trap(request: IncomingRequest, _: OutgoingResponse) -> None:
        if meant(request) and not asked:
            asked.append(request)
            daemon.stop()

    return trap


async def test_the_batch_in_hand_is_answered_before_the_end(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    async with rig.api(latency=0.5):
        async with rig.daemon() as daemon:
            await daemon.logged("listening")
            rig.world.trap = stopping(daemon, lambda request: request.path.endswith("/investigate/move"))
            rig.world.arrive(5, "outbreak")
            assert await daemon.ended() == 0
            assert states(rig).keys() <= {"sent", "done"}
            assert [record["verb"] for record in daemon.records][-1] == "stopped"
        async with rig.daemon() as daemon:
            await until(lambda: states(rig) == Counter(done=5), lambda: daemon.log)
    assert sorted(Counter(rig.ours()).values()) == [1] * 5


async def test_the_page_in_hand_is_entered_before_the_end(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.world.arrive(5, "outbreak")
    async with rig.api(latency=0.5):
        async with rig.daemon() as daemon:
            rig.world.trap = stopping(daemon, lambda request: request.path.endswith("/investigate"))
            assert await daemon.ended() == 0
        assert sum(states(rig).values()) == 5
        async with rig.daemon() as daemon:
            await until(lambda: states(rig) == Counter(done=5), lambda: daemon.log)
    assert sorted(Counter(rig.ours()).values()) == [1] * 5


async def test_a_second_signal_does_not_wait_and_still_nothing_is_lost(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    async with rig.api(latency=1.5):
        async with rig.daemon() as daemon:
            await daemon.logged("listening")
            rig.world.trap = stopping(daemon, lambda request: request.path.endswith("/investigate/move"))
            rig.world.arrive(5, "outbreak")
            await daemon.logged('"event":"stopping"')
            daemon.stop()
            assert await daemon.ended() == 3
            assert "second signal" in daemon.log.splitlines()[-1]
            assert states(rig) == Counter(claimed=5)
        rig.world.trap = None
        async with rig.daemon() as daemon:
            await until(lambda: states(rig) == Counter(done=5), lambda: daemon.log)
    assert sorted(Counter(rig.ours()).values()) == [1] * 5


async def test_a_hangup_loads_the_rules_anew_and_ends_nothing(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    async with rig.api(), rig.daemon() as daemon:
        await daemon.logged('"event":"ready"')
        changed = next(rig.rules.glob("*.py"))
        before = changed.stat()
        changed.write_bytes(changed.read_bytes().replace(b"Move what is malicious", b"Push what is malicious"))
        os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))
        daemon.process.send_signal(signal.SIGHUP)
        await daemon.logged('"event":"rules taken"|"generation":2')
        daemon.stop()
        assert await daemon.ended() == 0
