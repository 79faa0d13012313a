"""How the daemon ends: in order, at once, or because a part died; and what it leaves nowhere."""

import asyncio
import re
import signal
import sqlite3
import sys
import time
from collections.abc import Awaitable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from aiohttp import ClientSession

from tests.daemon.bench import PATIENCE, TOKEN, Bench, until
from tests.serving import find_children, passed_on
from tests.test_notifiers import silence
from worker.errors import StoreError
from worker.ledger.records import NewRecord

pytestmark = pytest.mark.slow  # it starts a server


async def test_a_part_that_dies_ends_the_worker_with_its_cause(bench: Bench) -> None:
    async def lose_a_table() -> None:
        async with bench.api(), bench.worker() as app:
            with closing(sqlite3.connect(bench.folder / "worker.db")) as ledger:
                ledger.execute("DROP TABLE orders")
            await app.stopping.wait()

    with pytest.raises(StoreError, match="no such table"):
        await lose_a_table()
    assert bench.told()[-1]["level"] == "critical"
    assert "no such table" in str(bench.told()[-1]["problem"])


async def test_it_is_not_ready_from_the_moment_it_is_asked_to_stop(bench: Bench) -> None:
    async with bench.api(), bench.worker() as app:
        await until(lambda: app.check_readiness().ready)
        app.stopping.set()
        assert app.check_readiness().why == ("the worker is stopping",)


async def test_it_ends_in_time_although_a_channel_hangs(bench: Bench) -> None:
    braked = NewRecord("braked", {"who": "worker", "in_lane": "block", "because": "it failed"})
    async with silence() as (address, _, _), bench.api():
        async with bench.worker(WORKER_NOTIFY_SOC=address, WORKER_DRAIN="2s") as app:
            await until(lambda: app.check_readiness().ready)
            await app.write(braked)
            begun = time.monotonic()
        assert time.monotonic() - begun < 2 + 1


def command(bench: Bench, *words: str) -> Awaitable[asyncio.subprocess.Process]:
    """Start a worker as a process of its own."""
    return asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "worker",
        *words,
        env={**bench.environment, **passed_on()},
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def logged(process: asyncio.subprocess.Process, pattern: str) -> str:
    """Read the log until a line holds a pattern; return what fitted."""
    assert process.stderr
    log = []
    async with asyncio.timeout(PATIENCE):
        while line := (await process.stderr.readline()).decode():
            log.append(line)
            if found := re.search(pattern, line):
                return found[0]
    raise AssertionError(f"{pattern} was never logged: {log}")


LISTENS = r"http://[\d.:]+"


@pytest.mark.slow
async def test_a_signal_ends_it_in_order(bench: Bench) -> None:
    async with bench.api():
        process = await command(bench, "run")
        url = await logged(process, LISTENS)
        async with ClientSession() as web, web.get(url + "/livez") as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        out, err = await process.communicate()
    assert process.returncode == 0
    assert msgspec.json.decode(out.splitlines()[-1])["verb"] == "stopped"
    assert b'"event":"stopped"' in err


@pytest.mark.slow
async def test_a_second_signal_ends_it_at_once(bench: Bench) -> None:
    async with bench.api(latency=5.0):
        process = await command(bench, "run")
        await logged(process, LISTENS)
        process.send_signal(signal.SIGTERM)
        await logged(process, "stopping")
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(3):
            _, err = await process.communicate()
    assert process.returncode == 3
    assert b"second signal" in err


def shown_by_children(pid: int) -> list[bytes]:
    """Return environment and arguments of every child of a process."""
    paths = [Path(f"/proc/{child}/{what}") for child in find_children(pid) for what in ("environ", "cmdline")]
    return [path.read_bytes() for path in paths]


@pytest.mark.slow
async def test_the_token_is_nowhere_but_in_the_requests(bench: Bench) -> None:
    bench.world.arrive(3, "outbreak")
    async with bench.api():
        process = await command(bench, "run")
        await logged(process, LISTENS)
        await until(lambda: len(bench.world.effects) == 3)
        children = shown_by_children(process.pid)
        process.send_signal(signal.SIGTERM)
        out, err = await process.communicate()
    kept = [path.read_bytes() for path in bench.folder.rglob("*") if path.is_file()]
    assert len(children) == 2
    assert [text for text in (*children, *kept, out, err) if TOKEN.encode() in text] == []
