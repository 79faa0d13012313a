"""Output: tables for people, JSON for programs. Text that strangers wrote is made harmless on the way."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import typer

from worker.cli import layout
from worker.escaping import defang, escape, is_hidden
from worker.wording import name_state

LONGEST = 120
"""Most characters of one cell; longer text is cut."""
LONGEST_LINE = 400
"""Most characters of one line of a card."""
LONGEST_SENTENCE = 1000
"""Most characters of what the worker itself says: it ends with what to do."""
WHOLE = frozenset({"id", "rule", "number", "at", "verb"})
"""Columns that are never wrapped: people copy from them."""
STACKED = WHOLE | {"what", "trigger", "facts", "actions"}
"""Columns that show several values on a line each."""
SENTENCES = frozenset({"why"})
"""Columns of what the worker itself says."""
NOT_PLAIN = re.compile(r"[^\n -~]")
"""Characters that may have to be escaped; line breaks are the JSON document's own."""
Row = Mapping[str, Any]


def print_rows(rows: Iterable[Row], columns: Sequence[str], *, as_json: bool, empty: str) -> None:
    """Print rows as JSON with all their keys, or as a table of some columns; ``empty`` when there are none."""
    shown = list(rows)
    if as_json:
        print_json(shown)
    elif shown:
        print_table(columns, [[row.get(column, "") for column in columns] for row in shown])
    else:
        typer.echo(empty)


def print_json(value: Any) -> None:  # noqa: ANN401 (anything msgspec writes)
    """Print a JSON document; characters that steer a terminal or hide are escaped, which means the same."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    typer.echo(NOT_PLAIN.sub(_write_visibly, text))


def _write_visibly(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1] if is_hidden(found[0]) else found[0]


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table, or cards where it does not fit the terminal; with colours only on a terminal."""
    cells = [[_format_for(column, value) for column, value in zip(columns, row, strict=True)] for row in rows]
    layout.print_grid(columns, cells, WHOLE)


def print_entries(counts: Mapping[str, Mapping[str, int]]) -> None:
    """Print how many entries there are, by action and state."""
    states = sorted({state for each in counts.values() for state in each})
    if states:
        print_table(
            ("action", *map(name_state, states)),
            [(kind, *(each.get(one, 0) for one in states)) for kind, each in counts.items()],
        )
    else:
        typer.echo("no entries yet")


def print_card(row: Row) -> None:
    """Print one row as a card; long values go on in the next line."""
    layout.print_card(list(row), [format_cell(value, LONGEST_SENTENCE) for value in row.values()])


def _format_for(column: str, value: Any) -> str:  # noqa: ANN401 (whatever a row holds)
    if column in STACKED and isinstance(value, list | tuple):
        return "\n".join(map(format_cell, value))
    return format_cell(value, LONGEST_SENTENCE if column in SENTENCES else LONGEST)


def format_cell(value: Any, limit: int = LONGEST) -> str:  # noqa: ANN401 (whatever a row holds)
    """Write a value for a person, on one line."""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    if isinstance(value, list | tuple):
        return ", ".join(format_cell(each, limit) for each in value)
    return "" if value is None else defang(escape(str(value), limit))


def format_line(text: str) -> str:
    """Write a line of a text for a person."""
    return defang(escape(text, LONGEST_LINE))


def to_datetime(seconds: float) -> datetime | None:
    """Turn API time into what JSON and tables show; None for 0, which means not yet."""
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
