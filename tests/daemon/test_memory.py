"""Memory that is freed leaves the process, as far as the C library can be told so."""

import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]  # it starts processes

PROGRAM = """
import re, sys
from worker.daemon import memory

if sys.argv[1] == "told":
    memory.give_back()
large = bytearray(30 << 20)
del large
pages = [bytearray(1 << 20) for _ in range(100)]
last = bytearray(200 << 10)
del pages
print(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


def resident(told: str) -> int:
    """Return the MB that are left of a hundred pages when they are freed and something behind them is not."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, told], capture_output=True, text=True, check=True)  # noqa: S603
    return int(done.stdout) >> 10


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_pages_that_are_freed_are_given_back() -> None:
    assert resident("not told") - resident("told") > 90
