"""Speed: an outbreak becomes visible at one moment; how long until the last message of it is moved."""

from collections.abc import Iterable
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

    @property
    def taken(self) -> float:
        """From the first request that could see it to the last answer, as a script is timed that is started then."""
        return self.answered - self.waited


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


def _each(seconds: Iterable[float]) -> str:
    return " ".join(f"{one:.2f}" for one in seconds)


def rows(waves: list[Wave]) -> list[Row]:
    """Write the figures down, those of the best round first."""
    waves = sorted(waves, key=lambda wave: wave.taken)
    best = waves[0]
    daemon_cpu, host_cpu, sandbox_cpu = best.cpu
    return [
        Row(
            f"{MESSAGES // EVERY:,} of {MESSAGES:,}, {LATENCY * 1000:.0f} ms a call: first call to last answer",
            f"{best.taken:.2f} s = {best.taken / FLOOR:.1f} × floor",
            f"≤ {GOAL:g} × {FLOOR:.2f} s",
            best.taken <= GOAL * FLOOR,
        ),
        Row(
            "all rounds; floor for reading all ten pages", f"{_each(wave.taken for wave in waves)} s; {OUR_FLOOR:.2f} s"
        ),
        Row("the same, and the wait for the poll before it", f"{_each(wave.answered for wave in waves)} s"),
        Row(
            "CPU of that round until all was proved and recorded",
            f"daemon {daemon_cpu:.2f} s, rule host {host_cpu:.2f} s (sandbox {sandbox_cpu:.2f} s)",
        ),
    ]
