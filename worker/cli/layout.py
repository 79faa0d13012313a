"""Layout: a table where its columns fit the terminal, else a card for each row; no column is left out either way."""

import shutil
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 100
"""Characters of a line where neither COLUMNS nor a terminal says how many."""
NARROWEST = 40
"""Characters below which nothing is laid out."""
LONGEST_WORD = 48
"""Characters of a word that is not broken, such as an id; strangers can write longer ones."""
GAP = 2
"""Characters between two columns."""


class ColumnWidth(NamedTuple):
    """How narrow a column may be without breaking a word, and how wide it is without breaking a line."""

    least: int
    most: int


def print_grid(columns: Sequence[str], rows: Sequence[Sequence[str]], whole: Collection[str]) -> None:
    """Print rows of cells, which may have several lines; a line of a ``whole`` column is never wrapped in a table."""
    from rich.console import Console

    console = Console(file=sys.stdout, width=measure_width(), highlight=False)
    cells = zip(*rows, strict=True) if rows else [()] * len(columns)
    spans = [_measure_column(name, texts, name in whole) for name, texts in zip(columns, cells, strict=True)]
    widths = share_width(spans, console.width)
    if widths:
        _print_table(console, columns, widths, rows)
    else:
        _print_cards(console, columns, rows)


def print_card(columns: Sequence[str], texts: Sequence[str]) -> None:
    """Print one card: names beside texts, which may have several lines."""
    from rich.console import Console

    _print_cards(Console(file=sys.stdout, width=measure_width(), highlight=False), columns, [texts])


def measure_width() -> int:
    """Return the width that COLUMNS or the terminal gives."""
    return max(NARROWEST, shutil.get_terminal_size((WIDTH, 1)).columns)


def share_width(spans: Sequence[ColumnWidth], width: int) -> list[int]:
    """Share a line among columns: the widest are narrowed alike, none below its least; nothing if they do not fit."""
    room = width - GAP * (len(spans) - 1)
    for widest in range(room, 0, -1):
        widths = [max(span.least, min(span.most, widest)) for span in spans]
        if sum(widths) <= room:
            return widths
    return []


def _measure_column(name: str, texts: Iterable[str], whole: bool) -> ColumnWidth:  # noqa: FBT001 (a word of the caller's)
    from rich.cells import cell_len

    lines = [line for text in (name, *texts) for line in text.splitlines()]
    most = max(map(cell_len, lines), default=0)
    longest = max((cell_len(word) for line in lines for word in line.split()), default=0)
    return ColumnWidth(most if whole else min(longest, LONGEST_WORD), most)


def _print_table(
    console: "Console", columns: Sequence[str], widths: Sequence[int], rows: Iterable[Sequence[str]]
) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    for column, width in zip(columns, widths, strict=True):
        grid.add_column(column, overflow="fold", width=width)
    for row in rows:
        grid.add_row(*map(Text, row))
    console.print(grid)


def _print_cards(console: "Console", columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    for row in rows:
        card = Table.grid(padding=(0, GAP, 0, 0))
        card.add_column(style="bold", no_wrap=True)
        card.add_column(overflow="fold")
        for column, text in zip(columns, row, strict=True):
            card.add_row(column, Text(text))
        console.print(card)
        console.print()
