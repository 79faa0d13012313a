"""Peers: two scripts that people would write instead, on the official SDK, against the same account."""

import subprocess
import sys
import time
from typing import NamedTuple

from benchmarks.account import Fill, Options
from benchmarks.processes import sandbox
from benchmarks.table import Row

MESSAGES, EVERY, LATENCY = 10_000, 2, 0.05
SCALE = 20
"""The obvious script is run on a twentieth of the mail, and once with a twentieth of the quota as well."""
QUOTA, WINDOW = 1200, 300.0
PAGE = 1000


class Run(NamedTuple):
    """What a script came to."""

    calls: int
    seconds: float
    moved: int
    end: str


class Peers(NamedTuple):
    """The runs: at a twentieth, at a twentieth with as little quota, and the careful one in full."""

    obvious: Run
    limited: Run
    careful: Run


def measure() -> Peers:
    """Run the scripts one after the other."""
    small = MESSAGES // SCALE
    return Peers(
        _run("obvious", small, Options(latency=LATENCY, honours_page=True)),
        _run("obvious", small, Options(latency=LATENCY, honours_page=True, quota=(QUOTA // SCALE, WINDOW))),
        _run("careful", MESSAGES, Options(latency=LATENCY)),
    )


def _run(script: str, messages: int, options: Options) -> Run:
    with sandbox(options) as account:
        account.fill(Fill(messages, EVERY, start=-3300.0, end=-200.0))
        command = [sys.executable, "-m", "benchmarks.scripts", script, f"{account.url}/client/v4"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603 (ours)
            assert process.stdout is not None
            process.stdout.readline()  # it has been imported, which is not what is measured
            began = time.monotonic()
            said = process.stdout.read().split()
            took = time.monotonic() - began
        calls = sum(count for counts in account.requests().values() for count in counts.values())
        assert len(account.moved()) == int(said[0])
    return Run(calls, took, int(said[0]), said[1].decode())


def whole(run: Run) -> Run:
    """Return what a run at a twentieth comes to in full: calls exactly, time multiplied."""
    moves = run.moved * SCALE
    pages = -(-MESSAGES // PAGE) + 1  # its paging asks once more, for a page that is empty
    return Run(pages + moves, run.seconds * SCALE, moves, run.end)


def rows(peers: Peers) -> list[Row]:
    """Write the figures down; the worker's own are in the rows above."""
    obvious, careful, limited = whole(peers.obvious), peers.careful, peers.limited
    windows = obvious.calls // QUOTA
    return [
        Row(
            f"API calls to remediate {obvious.moved:,}",
            "see cost",
            obvious=f"{obvious.calls:,} (run at 1/{SCALE}: {peers.obvious.calls})",
            careful=f"{careful.calls} (nothing proved)",
        ),
        Row(
            f"time for it, {LATENCY * 1000:.0f} ms a call",
            "see speed",
            obvious=f"{obvious.seconds:.0f} s extrapolated without a quota; ≥ {windows * WINDOW:.0f} s with it",
            careful=f"{careful.seconds:.1f} s",
        ),
        Row(
            f"under the quota of {QUOTA:,} per {WINDOW:.0f} s",
            "stays below it",
            obvious=f"{limited.end} after {limited.moved} of {MESSAGES // EVERY // SCALE} (quota at 1/{SCALE} too)",
            careful=f"{careful.end}",
        ),
    ]


def ratios(peers: Peers, calls: int, seconds: float) -> list[Row]:
    """Compare with the worker's calls for the same mail, proof included, and its best time."""
    obvious, careful = whole(peers.obvious), peers.careful
    return [
        Row(
            "API calls per 1,000 remediated",
            f"{1000 * calls / obvious.moved:.1f} (proof included)",
            obvious=f"{1000 * obvious.calls / obvious.moved:,.0f} = {obvious.calls / calls:.0f} ×",
            careful=f"{1000 * careful.calls / careful.moved:.1f} = {careful.calls / calls:.1f} × (no proof)",
        ),
        Row(
            "time to remediate",
            f"{seconds:.2f} s",
            obvious=f"{obvious.seconds / seconds:.0f} × (extrapolated)",
            careful=f"{careful.seconds / seconds:.1f} ×",
        ),
    ]
