"""Latency: one message that matches comes every second, and the worker may take a quarter of the API's budget."""

import time
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from benchmarks.account import Fill, Options
from benchmarks.processes import Record, daemon, sandbox
from benchmarks.table import Row, percentile

LATENCY, LAG = 0.05, 2.0
BUDGET, SHARE = "240/60s", "0.25"
"""A quarter of the API's 1,200 in 300 s, with a window that is five times shorter: the same rate, without a long start
on unspent budget."""
WARM, SECONDS = 60, 90
"""Seconds until the first window is over, and seconds that count."""
P50, P99, POLLS = 2.0, 4.0, 2


class Times(NamedTuple):
    """Seconds of each message: visible to answered, answered to proved; calls a second, seconds between polls."""

    answered: list[float]
    proved: list[float]
    rate: float
    poll: float


def measure(warm: int = WARM, seconds: int = SECONDS) -> Times:
    """Let mail come one by one and follow each message to its proof."""
    settings = {"WORKER_BUDGET": BUDGET, "WORKER_BUDGET_SHARE": SHARE}
    with sandbox(Options(latency=LATENCY, lag=LAG, log=True)) as account, daemon(account, **settings) as worker:
        worker.until_ready()
        visible = account.fill(Fill(warm + seconds, 1, start=1.0, end=1.0 + warm + seconds))
        time.sleep(warm + seconds)
        worker.until_done(len(visible))
        log, records, moved = account.log(), worker.records(), account.moved()
    begin = min(visible.values()) + warm
    counted = {message: at for message, at in visible.items() if at >= begin}
    # Reads lag for new mail too: what came just now can be seen LAG seconds later.
    answered = [moved[message] + LATENCY - (at + LAG) for message, at in counted.items()]
    calls = [seen for seen in log if begin <= seen.at < begin + seconds]
    # With something new every second, what finds nothing new reads again what lies behind the head.
    polls = [seen.at for seen in calls if seen.operation == "GET investigate" and seen.fresh]
    poll = percentile([after - before for before, after in pairwise(polls)], 50)
    return Times(answered, _proved(records, counted), len(calls) / seconds, poll)


def _proved(records: list[Record], counted: dict[str, float]) -> list[float]:
    """Return the seconds from answer to proof, by the daemon's own records."""
    sent = {one.entry: _at(one) for one in records if one.to == "sent" and one.target in counted}
    return [_at(one) - sent[one.entry] for one in records if one.to == "done" and one.entry in sent]


def _at(record: Record) -> float:
    return datetime.fromisoformat(record.at).timestamp()


def rows(times: Times) -> list[Row]:
    """Write the figures down."""
    p50, p99 = percentile(times.answered, 50), percentile(times.answered, 99)
    late = percentile(times.proved, 99)
    return [
        Row(
            f"one arrival a second at {float(SHARE):.0%} of the budget ({times.rate:.2f} calls/s): visible to answered",
            f"p50 {p50:.2f} s, p99 {p99:.2f} s",
            f"≤ {P50:g} s, ≤ {P99:g} s",
            p50 <= P50 and p99 <= P99,
        ),
        Row(
            f"the same, answered to proved, reads lagging {LAG:g} s",
            f"p50 {percentile(times.proved, 50):.2f} s, p99 {late:.2f} s",
            f"≤ lag + {POLLS} polls = {LAG + POLLS * times.poll:.1f} s",
            late <= LAG + POLLS * times.poll,
        ),
    ]
