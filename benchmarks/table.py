"""The table that the benchmarks print."""

from collections.abc import Iterable
from typing import NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table


class Row(NamedTuple):
    """One measure: what this worker did, what was the goal, whether it was met, and what the scripts did."""

    measure: str
    worker: str
    goal: str = ""
    met: bool | None = None
    obvious: str = ""
    careful: str = ""


def show(rows: Iterable[Row]) -> None:
    """Print the table; colours only on a terminal."""
    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in ("measure", "this worker", "goal", "obvious script", "careful script"):
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(row.measure, row.worker, _goal(row), row.obvious, row.careful)
    console = Console(highlight=False)
    console.print(grid, width=max(console.width, 120))


def _goal(row: Row) -> str:
    if row.met is None:
        return row.goal
    return f"[green]{row.goal} met[/]" if row.met else f"[red]{row.goal} MISSED[/]"


def percentile(values: Iterable[float], percent: int) -> float:
    """Return the smallest value that so many percent do not exceed; raises IndexError when there is none."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
