"""The first process of a container reaps what its parents have left, and takes no exit code from the worker."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.faults.rig import Rig
from tests.serving import find_children, passed_on

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]
NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
ORPHANS = """
import os, subprocess, sys, time
from pathlib import Path
from worker.cli.init import be_init

be_init()
codes = set()
for number in range(20):
    subprocess.run(["sh", "-c", "sleep 0.05 &"])
    codes.add(subprocess.run(["sh", "-c", "exit 3"]).returncode)
time.sleep(0.5)
stats = [path.read_text().rpartition(")")[2].split() for path in Path("/proc").glob("[0-9]*/stat")]
print(os.getpid() > 1, codes, [state for state, *_ in stats if state == "Z"])
sys.exit(7)
"""
SIGNALS = """
import os, signal, sys, time
from worker.cli.init import be_init

be_init()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
os.kill(1, signal.SIGHUP) if "hup" in sys.argv else print("ready", flush=True)
time.sleep(20)
"""


@asynccontextmanager
async def first(*words: str, **more: str) -> AsyncIterator[Process]:
    """Run a program as the first process of a namespace, or skip the test where there can be none."""
    process = await asyncio.create_subprocess_exec(
        *(*NAMESPACE, sys.executable, *words), stdout=PIPE, stderr=PIPE, env={**passed_on(), **more}
    )
    yield process
    if "unshare failed" in (await process.communicate())[1].decode():
        pytest.skip("namespaces of processes need root")


def find_first(unshare: Process) -> int:
    """Return by which number the first process of the namespace goes outside."""
    return find_children(unshare.pid)[0]


async def test_orphans_are_reaped_and_exit_codes_are_left_to_whom_they_belong() -> None:
    async with first("-c", ORPHANS) as process:
        out, _ = await process.communicate()
    assert (out.decode(), process.returncode) == ("True {3} []\n", 7)


async def test_a_signal_is_passed_on_and_the_exit_code_is_the_childs() -> None:
    async with first("-c", SIGNALS) as process:
        assert process.stdout
        await process.stdout.readline()
        os.kill(find_first(process), signal.SIGTERM)
        assert await process.wait() == 9


async def test_a_child_that_a_signal_ends_is_told_as_shells_do() -> None:
    async with first("-c", SIGNALS, "hup") as process:
        assert await process.wait() == 128 + signal.SIGHUP


async def test_a_worker_that_is_first_stops_in_order(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    async with rig.api(), first("-m", "worker", "run", **rig.environment) as process:
        assert process.stderr
        said = b""
        while b'"event":"ready"' not in said:
            said = await process.stderr.readline()
        os.kill(find_first(process), signal.SIGTERM)
        assert await process.wait() == 0
