"""Streams that stall, are closed, full or do not wait: the worker acts, answers and stops, and no record is missing."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest
from aiohttp import ClientError, ClientSession

from tests.faults.rig import ROOT, Rig, until, until_it
from worker.audit.verify import verify

pytestmark = pytest.mark.slow
MAILS = 50
SAYS = {"stdout": "audit records have not left for ", "stderr": "the operations log has not left for "}
PROBLEMS = {
    "stalled": "(its reader takes nothing)",
    "nonblocking": "(its reader takes nothing)",
    "gone": "(Broken pipe)",
    "full": "(No space left on device)",
    "closed": "(it is closed)",
}
UNBUFFERED: dict[str, dict[str, str]] = {"buffered": {}, "unbuffered": {"PYTHONUNBUFFERED": "1"}}
CELLS = list(product(SAYS, PROBLEMS, UNBUFFERED))
COMING_BACK = list(product(SAYS, ("stalled", "nonblocking"), UNBUFFERED))


class Ends(NamedTuple):
    """What a worker is given for a stream, and what the test reads it by."""

    given: int
    read: int = -1


def make_bad(how: str) -> Ends:
    """Make a stream that takes nothing."""
    if how in {"full", "closed"}:
        return Ends(os.open("/dev/full", os.O_WRONLY))
    read, given = os.pipe()
    os.set_blocking(given, False)
    with suppress(BlockingIOError):
        while how != "gone":
            os.write(given, b"\n" * 4096)
    os.set_blocking(given, how != "nonblocking")
    if how == "gone":
        os.close(read)
    return Ends(given, -1 if how == "gone" else read)


class Bad(NamedTuple):
    """A worker one of whose streams is bad; the other one is a file."""

    process: asyncio.subprocess.Process
    url: str
    read: int
    """What the bad stream is read by, -1 when nobody can."""

    async def warns(self, *parts: str) -> bool:
        """Tell whether /readyz warns in words that hold all parts."""
        with suppress(ClientError):
            async with ClientSession() as web, web.get(self.url + "/readyz") as answer:
                told = await answer.json()
            return any(all(part in one for part in parts) for one in (*told["warnings"], *told["why"]))
        return False

    async def is_content(self, part: str) -> bool:
        """Tell whether /readyz says nothing of a stream any more."""
        return not await self.warns(part)

    def drain(self) -> bytes:
        """Read what the stream takes until the worker has ended. Blocks."""
        parts = list[bytes]()
        with suppress(OSError):
            while part := os.read(self.read, 1 << 16):
                parts.append(part)
        return b"".join(parts)

    async def stop(self) -> int:
        """Ask it to stop; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(15):
            return await self.process.wait()


def choose_address() -> str:
    """Return an address that is free now: where the log cannot be read, nobody tells which one was taken."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{one.getsockname()[1]}"


@asynccontextmanager
async def bad_worker(rig: Rig, stream: str, how: str, **more: str) -> AsyncIterator[Bad]:
    """Run a worker one of whose streams is bad."""
    ends, address, is_out = make_bad(how), choose_address(), stream == "stdout"
    closing = f" {1 if is_out else 2}>&-" if how == "closed" else ""
    with (rig.folder / ("stderr" if is_out else "stdout")).open("ab") as good:
        process = await asyncio.create_subprocess_exec(
            *("sh", "-c", f'exec "$0" -m worker run{closing}', sys.executable),
            env={**rig.environment, "WORKER_DRAIN": "4s", "WORKER_LISTEN": address, **more},
            cwd=ROOT,
            stdout=ends.given if is_out else good,
            stderr=good if is_out else ends.given,
        )
    os.close(ends.given)
    try:
        yield Bad(process, f"http://{address}", ends.read)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if ends.read >= 0:
            os.close(ends.read)


async def stream_the_rest(rig: Rig) -> None:
    """Let a worker whose streams are files hand on what is left."""
    async with rig.daemon() as daemon:
        await daemon.logged('"event":"ready"')
        daemon.stop()
        assert await daemon.ended() == 0


@pytest.mark.matrix("surroundings")
@pytest.mark.parametrize(("stream", "how", "buffering"), CELLS)
async def test_a_bad_stream_stops_nothing_and_loses_no_record(
    tmp_path: Path, stream: str, how: str, buffering: str
) -> None:
    rig = Rig(tmp_path)
    rig.world.arrive(MAILS, "outbreak")
    async with rig.api():
        async with bad_worker(rig, stream, how, **UNBUFFERED[buffering]) as bad:
            await until(rig.moved(MAILS))
            await until_it(lambda: bad.warns(SAYS[stream], PROBLEMS[how]), patience=20.0)
            assert await bad.stop() == 0
        await stream_the_rest(rig)
    lines = (tmp_path / "stdout").read_bytes().splitlines()
    assert (verify(lines).problem, lines[-1].count(b'"verb":"stopped"')) == ("", 1)
    assert rig.world.repeats() == []


@pytest.mark.matrix("surroundings")
@pytest.mark.parametrize(("stream", "how", "buffering"), COMING_BACK)
async def test_a_stream_that_comes_back_gets_every_record_without_a_restart(
    tmp_path: Path, stream: str, how: str, buffering: str
) -> None:
    rig = Rig(tmp_path)
    rig.world.arrive(MAILS, "outbreak")
    async with rig.api(), bad_worker(rig, stream, how, **UNBUFFERED[buffering]) as bad:
        await until(rig.moved(MAILS))
        await until_it(lambda: bad.warns(SAYS[stream], PROBLEMS[how]), patience=20.0)
        reading = asyncio.create_task(asyncio.to_thread(bad.drain))
        await until_it(lambda: bad.is_content(SAYS[stream]))
        assert await bad.stop() == 0
        read = await reading
    out = read if stream == "stdout" else (tmp_path / "stdout").read_bytes()
    lines = [line for line in out.splitlines() if line]
    assert (verify(lines).problem, lines[-1].count(b'"verb":"stopped"')) == ("", 1)
    assert rig.world.repeats() == []


@pytest.mark.parametrize("at", [1, 4096, 20_000])
async def test_a_record_that_a_kill_tore_in_a_file_is_whole_after_the_next_start(tmp_path: Path, at: int) -> None:
    rig = Rig(tmp_path)
    rig.world.arrive(MAILS, "outbreak")
    async with rig.api():
        async with bad_worker(rig, "stdout", "stalled") as bad:
            await until(rig.moved(MAILS))
            bad.process.kill()
            await bad.process.wait()
        whole = await rig.command("audit", "export")
        (tmp_path / "stdout").write_bytes(whole.out.encode()[:at])
        await stream_the_rest(rig)
    lines = (tmp_path / "stdout").read_bytes().splitlines()
    assert verify(lines).problem == ""


async def test_a_worker_whose_log_nobody_reads_tells_by_its_exit_code_that_it_could_not_go_on(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    async with rig.api(), bad_worker(rig, "stderr", "gone", WORKER_STORE_URL="sqlite:////dev/null/worker.db") as bad:
        async with asyncio.timeout(20):
            assert await bad.process.wait() == 3
