"""Size: CPU for a thousand messages, memory when idle, and memory while a long hour is read."""

import time
from typing import NamedTuple

from benchmarks.account import Fill, Options
from benchmarks.processes import PATIENCE, Daemon, Sandbox, daemon, sandbox
from benchmarks.table import Row

MESSAGES, EVERY = 200_000, 100
BEGUN = 20_000
"""Messages after which memory must not grow any more, and from which on CPU is counted: starting is not reading."""
IDLE = 15.0
RATE = 4000
"""Messages a second that the API can hand over at most: four pages of a thousand."""
CORE, RESTING, READING, FLAT = 0.30, 115.0, 150.0, 10.0
PAGES, AHEAD = "GET investigate", 3
"""What is counted, and how many pages are handed out that are not entered yet."""


class Sample(NamedTuple):
    """The daemon and its rule host at one moment: pages handed out, seconds of CPU, MB of proportional set size."""

    pages: int
    cpu: list[float]
    pss: list[float]


class Size(NamedTuple):
    """What was measured."""

    idle: list[float]
    samples: list[Sample]
    messages: int


def measure(messages: int = MESSAGES) -> Size:
    """Let a worker rest, and let another one read an hour of mail of which one in a hundred matches."""
    with sandbox(Options()) as account, daemon(account) as worker:
        worker.until_ready()
        time.sleep(IDLE)
        idle = worker.pss()
    with sandbox(Options()) as account:
        matching = account.fill(Fill(messages, EVERY, start=-3300.0, end=-200.0))
        with daemon(account, WORKER_OVERLAP="0s", WORKER_SWEEP="0s") as worker:
            samples = _watch(account, worker, len(matching))
    return Size(idle, samples, messages)


def _watch(account: Sandbox, worker: Daemon, matching: int) -> list[Sample]:
    """Take a sample every half second until all is proved."""
    samples: list[Sample] = []
    until = time.monotonic() + PATIENCE
    while not samples or worker.done() < matching:
        assert time.monotonic() < until, worker.said()
        time.sleep(0.5)
        pages = sum(account.requests().get(PAGES, {}).values())
        samples.append(Sample(pages, worker.cpu(), worker.pss()))
    return samples


def rows(size: Size) -> list[Row]:
    """Write the figures down."""
    begun = next(sample for sample in size.samples if (sample.pages - AHEAD) * 1000 >= BEGUN)
    last = size.samples[-1]
    read = size.messages - begun.pages * 1000
    used = [(end - begin) / read * RATE for begin, end in zip(begun.cpu, last.cpu, strict=True)]
    later = [sum(sample.pss) for sample in size.samples if sample.pages >= begun.pages]
    growth = max(later) - sum(begun.pss)
    return [
        Row(
            f"share of a core at {RATE:,} messages/s read, 1 in {EVERY} moved and proved",
            f"{sum(used):.0%} = daemon {used[0]:.0%} + rule host {used[1]:.0%}",
            f"≤ {CORE:.0%}",
            sum(used) <= CORE,
        ),
        Row(
            f"memory (PSS) after {IDLE:g} s at rest",
            f"{sum(size.idle):.0f} MB = daemon {size.idle[0]:.0f} + rule host {size.idle[1]:.0f}",
            f"≤ {RESTING:g} MB",
            sum(size.idle) <= RESTING,
        ),
        Row(
            f"memory (PSS) at most while {size.messages:,} messages are read; afterwards",
            f"{max(later):.0f} MB; {later[-1]:.0f} MB",
            f"≤ {READING:g} MB",
            max(later) <= READING,
        ),
        Row(
            f"growth after the first {BEGUN:,}",
            f"{growth:+.0f} MB at most, {later[-1] - sum(begun.pss):+.0f} MB at the end",
            f"≤ {FLAT:g} MB",
            growth <= FLAT,
        ),
    ]
