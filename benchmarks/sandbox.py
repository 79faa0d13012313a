"""Sandbox: how many messages of search pages it serves on one core, what a million of them take, how soon it is up."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

import msgspec

from benchmarks.processes import Running
from benchmarks.table import Row
from worker.sandbox import ACCOUNT

SERVED, MANY = 10_000, 1_000_000
PAGE, WALKS, STARTS = 1000, 50, 3
RATE, MEMORY, START = 40_000.0, 2.5, 2.0
"""Goals: messages per second of CPU, GB for a million, seconds until ten thousand can be asked for."""


class Figures(NamedTuple):
    """Messages per second of CPU and of the clock, seconds of each start, GB for so many messages and their seconds."""

    per_cpu: float
    per_second: float
    starts: list[float]
    memory: float
    many: int
    filling: float


class Info(msgspec.Struct):
    """How to go on."""

    next: str | None = None


class Read(msgspec.Struct):
    """A page, as far as it is counted."""

    result: list[msgspec.Raw]
    result_info: Info


def measure(many: int = MANY, walks: int = WALKS) -> Figures:
    """Start the real command, read all its mail again and again, then let another hold very much of it."""
    starts = []
    for _ in range(STARTS - 1):
        with _sandbox(SERVED) as (_, _, took):
            starts.append(took)
    with _sandbox(SERVED) as (running, url, took):
        starts.append(took)
        before, began = running.cpu()[0], time.monotonic()
        read = sum(_walk(url) for _ in range(walks))
        wall, cpu = time.monotonic() - began, running.cpu()[0] - before
    assert read == SERVED * walks
    with _sandbox(many) as (running, url, filling):
        memory = running.pss()[0] / 1024
    return Figures(read / cpu, read / wall, starts, memory, many, filling)


@contextmanager
def _sandbox(messages: int) -> Iterator[tuple[Running, str, float]]:
    """Run `worker sandbox` while the block runs; give the process, its address, and the seconds until it was up."""
    options = {"port": "0", "messages": str(messages), "arrivals": "0/s", "latency": "0s", "quota": "none"}
    command = [sys.executable, "-m", "worker", "sandbox", *(f"--{name}={value}" for name, value in options.items())]
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603 (ours)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip().partition("=")[2]
        yield Running(process), url, time.monotonic() - began
    finally:
        process.terminate()
        process.wait(60)


def _walk(url: str) -> int:
    """Read all mail in pages as large as they may be; return how many messages that were."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=60)
    count, asked = 0, {"per_page": str(PAGE), "detections_only": "false"}
    while True:
        path = f"{parts.path}/accounts/{ACCOUNT}/email-security/investigate?{urlencode(asked)}"
        connection.request("GET", path, headers={"Authorization": "Bearer any"})
        page = msgspec.json.decode(connection.getresponse().read(), type=Read)
        count += len(page.result)
        if page.result_info.next is None:
            connection.close()
            return count
        asked["cursor"] = page.result_info.next


def rows(figures: Figures) -> list[Row]:
    """Write the figures down; what fewer than a million take is reckoned up to that."""
    memory = figures.memory * MANY / figures.many
    return [
        Row(
            f"sandbox, search pages of {PAGE:,} over HTTP: messages per second of its CPU; of the clock",
            f"{figures.per_cpu:,.0f}; {figures.per_second:,.0f}",
            f"≥ {RATE:,.0f}",
            figures.per_cpu >= RATE,
        ),
        Row(
            f"sandbox, memory (PSS) with {MANY:,} messages",
            f"{memory:.2f} GB ({figures.many:,} in {figures.filling:.0f} s)",
            f"≤ {MEMORY:g} GB",
            memory <= MEMORY,
        ),
        Row(
            f"sandbox, from the command until {SERVED:,} messages can be asked for",
            " ".join(f"{took:.2f}" for took in sorted(figures.starts)) + " s",
            f"≤ {START:g} s",
            min(figures.starts) <= START,
        ),
    ]
