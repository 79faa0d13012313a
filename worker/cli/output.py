"""Showing: tables for people, JSON for programs. Whatever a stranger wrote is made harmless on the way."""

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import typer

from worker.escaping import escaped, unseen

WIDTH = 100
LONGEST = 120
"""Characters of one cell, before the table wraps it."""
WHOLE = frozenset({"id", "rule", "number", "at", "verb"})
"""Columns that are never broken into lines: people copy them."""
STACKED = WHOLE | {"what"}
"""Columns in which several values stand below each other."""
NOT_PLAIN = re.compile(r"[^\n -~]")
"""What may have to be written by its number; the lines of a document are its own."""
Row = Mapping[str, Any]


def listing(rows: Iterable[Row], columns: Sequence[str], *, as_json: bool, empty: str) -> None:
    """Print rows: as JSON everything they hold, as a table the columns named, or ``empty`` when there are none."""
    shown = list(rows)
    if as_json:
        document(shown)
    elif shown:
        table(columns, [[row.get(column, "") for column in columns] for row in shown])
    else:
        typer.echo(empty)


def document(value: Any) -> None:  # noqa: ANN401 (anything msgspec writes)
    """Print one JSON document; what would steer a terminal or hide is written by its number, which means the same."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    typer.echo(NOT_PLAIN.sub(_seen, text))


def _seen(found: re.Match[str]) -> str:
    """Write a character as it is, or as JSON writes one in ASCII when it could not be seen."""
    return json.dumps(found[0])[1:-1] if unseen(found[0]) else found[0]


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table of at most 100 columns; colours only on a terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=sys.stdout, width=_width(), highlight=False)
    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    for column in columns:
        grid.add_column(column, overflow="fold", no_wrap=column in WHOLE)
    for row in rows:
        grid.add_row(*(Text(_in_column(column, value)) for column, value in zip(columns, row, strict=True)))
    console.print(grid)


def _in_column(column: str, value: Any) -> str:  # noqa: ANN401 (whatever a row holds)
    """Write one value for its column; several in one that is never broken would not fit beside each other."""
    if column in STACKED and isinstance(value, list | tuple):
        return "\n".join(map(cell, value))
    return cell(value)


def cell(value: Any) -> str:  # noqa: ANN401 (whatever a row holds)
    """Write one value for a person."""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    if isinstance(value, list | tuple):
        return ", ".join(cell(each) for each in value)
    return "" if value is None else escaped(str(value), LONGEST)


def moment(seconds: float) -> datetime | None:
    """Return API time as something both JSON and people can read; None for "not yet"."""
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def span(seconds: float) -> str:
    """Write a duration in its two largest units."""
    units = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms" if seconds else "0s"
    parts, left = [], round(seconds)
    for name, size in units:
        if left >= size:
            parts.append(f"{left // size}{name}")
            left %= size
    return " ".join(parts[:2])


def counted(number: int, noun: str) -> str:
    """Write a number of things."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _width() -> int:
    """Take the terminal's width, up to a hundred; some terminals of containers say 0."""
    try:
        return min(WIDTH, os.get_terminal_size(sys.stdout.fileno()).columns or WIDTH)
    except (OSError, ValueError):
        return WIDTH
