"""`python -m benchmarks`: run the measurements, one after the other, and print one table."""

import argparse
import sys
import time
from collections.abc import Callable, Iterable

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from benchmarks import cost, decode, latency, ledger, peers, sandbox, size, speed
from benchmarks.table import Row, show

PARTS = ("cost", "speed", "peers", "latency", "size", "decode", "sandbox", "ledger")
LAGS = (0.0, 60.0)


class Bench:
    """One run: what was asked for, and what has been measured so far."""

    def __init__(self, parts: Iterable[str], *, quick: bool) -> None:
        """Take the parts; ``quick`` measures less often and less long."""
        self.parts, self.quick = tuple(parts), quick
        self.calls = 0
        self.seconds = 0.0

    def cost(self) -> list[Row]:
        """Count API calls."""
        rows = []
        for lag in LAGS[: 1 if self.quick else None]:
            calls = cost.measure(lag)
            self.calls = self.calls or calls.spent
            rows += cost.rows(calls, lag)
        return rows

    def speed(self) -> list[Row]:
        """Time an outbreak."""
        waves = speed.measure(2 if self.quick else speed.ROUNDS)
        self.seconds = min(wave.taken for wave in waves)
        return speed.rows(waves)

    def peers(self) -> list[Row]:
        """Run the scripts."""
        ran = peers.measure()
        ratios = peers.ratios(ran, self.calls, self.seconds) if self.calls and self.seconds else []
        return [*ratios, *peers.rows(ran)]

    def latency(self) -> list[Row]:
        """Follow single messages."""
        return latency.rows(latency.measure(seconds=30) if self.quick else latency.measure())

    def size(self) -> list[Row]:
        """Weigh the worker."""
        return size.rows(size.measure(size.MESSAGES // 4) if self.quick else size.measure())

    def decode(self) -> list[Row]:
        """Read the same page as the SDK."""
        return decode.rows(decode.measure(11 if self.quick else decode.ROUNDS))

    def sandbox(self) -> list[Row]:
        """Serve and hold much mail."""
        return sandbox.rows(sandbox.measure(sandbox.MANY // 10, 5) if self.quick else sandbox.measure())

    def ledger(self) -> list[Row]:
        """Find mail in a large ledger."""
        return ledger.rows(ledger.measure(ledger.ENTRIES // 20 if self.quick else ledger.ENTRIES))

    def run(self) -> list[Row]:
        """Run each part, with a bar that tells which."""
        rows: list[Row] = []
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("", total=len(self.parts))
            for name in self.parts:
                part: Callable[[], list[Row]] = getattr(self, name)
                bar.update(task, description=f"{name}: {part.__doc__}")
                rows += part()
                bar.advance(task)
        return rows


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="measure less often and less long: figures are rougher")
    asked = parser.parse_args()
    unknown = set(asked.only.split(",")) - set(PARTS)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}: choose from {', '.join(PARTS)}")
    began = time.monotonic()
    bench = Bench([part for part in PARTS if part in asked.only.split(",")], quick=asked.quick)
    show(bench.run())
    print(f"\n{time.monotonic() - began:.0f} s, CPython {sys.version.split()[0]}; see docs/benchmarks.md")


if __name__ == "__main__":
    main()
