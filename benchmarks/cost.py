"""Cost: how many API calls an hour of mail takes to be read, acted upon and proved, as the sandbox counts them."""

from typing import NamedTuple

from benchmarks.account import Fill, Options, Seen
from benchmarks.processes import daemon, sandbox
from benchmarks.table import Row

MESSAGES, EVERY = 10_000, 2
READ, MOVED, START, LAGGING = 1.0, 2.2, 12.0, 4.0
"""Goals: calls per 1,000 messages read, per 1,000 moved, per start; and more per 1,000 moved when reads lag by 60 s."""


class Calls(NamedTuple):
    """API calls by what they were for, and how many records the reading ones were given."""

    read: int
    act: int
    prove: int
    start: int
    waiting: int
    """Polls after everything was read that brought nothing new: they cost time, not messages."""
    records: int
    moved: int

    @property
    def spent(self) -> int:
        """All calls but the polls that only waited."""
        return self.read + self.act + self.prove + self.start

    def allowed(self, lag: float) -> float:
        """Return the goal."""
        moving = MOVED + (LAGGING if lag else 0.0)
        return READ * self.records / 1000 + moving * self.moved / 1000 + START


def measure(lag: float) -> Calls:
    """Let a worker catch up with an hour in which every second message matches, until all is proved."""
    with sandbox(Options(lag=lag, log=True)) as account:
        mine = account.fill(Fill(MESSAGES, EVERY, start=-3300.0, end=-200.0))
        with daemon(account) as worker:
            worker.until_done(len(mine))
            log = account.log()
        assert account.moved().keys() == mine.keys()
        counted = sum(count for counts in account.requests().values() for count in counts.values())
    assert counted >= len(log), "the sandbox counts what the log does not know"
    return sorted_out(log, len(mine))


def sorted_out(log: list[Seen], moved: int) -> Calls:
    """Sort requests by what they were for."""
    acts = [seen for seen in log if seen.operation.startswith("POST")]
    proofs = [seen for seen in log if seen.proof]
    reads = [seen for seen in log if seen.fresh]
    last = max(seen.at for seen in reads)
    rest = [seen for seen in log if not (seen.operation.startswith("POST") or seen.proof or seen.fresh)]
    start = [seen for seen in rest if seen.at < last]
    records = sum(seen.records for seen in reads)
    return Calls(len(reads), len(acts), len(proofs), len(start), len(rest) - len(start), records, moved)


def rows(calls: Calls, lag: float) -> list[Row]:
    """Write the figures down."""
    c, allowed = calls, calls.allowed(lag)
    return [
        Row(
            f"API calls, {c.records:,} read, {c.moved:,} moved and proved, lag {lag:g} s",
            f"{c.spent} = read {c.read} + act {c.act} + prove {c.prove} + start {c.start}",
            f"≤ {allowed:g}",
            c.spent <= allowed,
        ),
        Row(
            f"acting and proving per 1,000 moved; polls meanwhile that found nothing new, lag {lag:g} s",
            f"{1000 * (c.act + c.prove) / c.moved:.1f}; {c.waiting}",
        ),
    ]
