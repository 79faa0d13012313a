"""Speed: an outbreak becomes visible at one moment; how long until the last message of it is moved."""

from typing import NamedTuple

from benchmarks.account import Fill, Options
from benchmarks.processes import daemon, sandbox
from benchmarks.table import Row

MESSAGES, EVERY, ROUNDS = 10_000, 2, 5
LATENCY = 0.05
FLOOR = 6 * LATENCY
"""Five pages of the matching messages, one after the other, and the move of the last page."""
OUR_FLOOR = 11 * LATENCY
"""The same for whoever reads all ten pages, because rules in Python decide what matches."""
GOAL = 5.0
POLL = 1.0
"""Seconds between polls, the shortest the worker takes by itself; half of it is part of each figure on average."""


class Wave(NamedTuple):
    """One round; times in seconds."""

    waited: float
    """From visible to the first request that could see it."""
    answered: float
    """From visible to the last answer."""
    cpu: tuple[float, float, float]
    """Of the daemon, the rule host and the sandbox."""


def measure(rounds: int = ROUNDS) -> list[Wave]:
    """Let the outbreak come to a worker that is up and idle, in a new account each time."""
    return [_wave() for _ in range(rounds)]


def _wave() -> Wave:
    with sandbox(Options(latency=LATENCY, log=True)) as account, daemon(account, **_settings()) as worker:
        worker.until_ready()
        before = [*worker.cpu(), *account.cpu()]
        visible = account.fill(Fill(MESSAGES, EVERY, start=-60.0, end=-1.0, visible=1.5))
        since = next(iter(visible.values()))
        filling = account.cpu()[0]
        worker.until_done(len(visible))
        after = [*worker.cpu(), *account.cpu()]
        moved = account.moved()
        first = min(seen.at for seen in account.log() if seen.fresh)
        before[-1] = filling
    used = [round(end - begin, 2) for begin, end in zip(before, after, strict=True)]
    return Wave(first - since, max(moved.values()) + LATENCY - since, (used[0], used[1], used[2]))


def _settings() -> dict[str, str]:
    return {"WORKER_POLL_EVERY": f"{POLL:g}s"}


def rows(waves: list[Wave]) -> list[Row]:
    """Write the figures down, those of the best round first."""
    best = min(waves, key=lambda wave: wave.answered)
    every = " ".join(f"{wave.answered:.2f}" for wave in sorted(waves, key=lambda wave: wave.answered))
    daemon_cpu, host_cpu, sandbox_cpu = best.cpu
    return [
        Row(
            f"{MESSAGES // EVERY:,} of {MESSAGES:,} messages, {LATENCY * 1000:.0f} ms a call: visible to last answered",
            f"{best.answered:.2f} s = {best.answered / FLOOR:.1f} × floor, of it {best.waited:.2f} s until the poll",
            f"≤ {GOAL:g} × {FLOOR:.2f} s",
            best.answered <= GOAL * FLOOR,
        ),
        Row("all rounds; floor for reading all ten pages", f"{every} s; {OUR_FLOOR:.2f} s"),
        Row(
            "CPU of that round until all was proved and recorded",
            f"daemon {daemon_cpu:.2f} s, rule host {host_cpu:.2f} s (sandbox {sandbox_cpu:.2f} s)",
        ),
    ]
