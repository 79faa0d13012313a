"""Tables and cards: whatever the cells hold and however narrow the terminal, all of it is shown."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from worker.cli.layout import ColumnWidth, measure_width, share_width
from worker.cli.output import LONGEST, STACKED, format_cell, print_table

COLUMNS = ("id", "rule", "what", "why", "since", "account")
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=LONGEST + 20)
words = st.lists(st.text("ab.:/_-週", min_size=1, max_size=60), max_size=6).map(" ".join)
cells = st.one_of(texts, words, st.integers(), st.lists(words, max_size=3))
tables = st.integers(1, len(COLUMNS)).flatmap(
    lambda wide: st.tuples(
        st.permutations(COLUMNS).map(lambda names: names[:wide]),
        st.lists(st.lists(cells, min_size=wide, max_size=wide), min_size=1, max_size=4),
    )
)


def count_characters(*parts: str) -> Counter[str]:
    """Count what is drawn: neither blanks, at which lines are broken, nor the line below the names."""
    return Counter(one for part in parts for one in part if not one.isspace() and one != "─")


def write(column: str, cell: object) -> str:
    """Write a cell as it is told of; several values stand on a line each, or one after the other."""
    return "".join(map(format_cell, cell)) if column in STACKED and isinstance(cell, list) else format_cell(cell)


@pytest.mark.slow
@pytest.mark.unmeasured
@given(table=tables, width=st.integers(40, 200))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_cell_and_every_column_is_shown_whole_and_within_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    table: tuple[list[str], list[list[object]]],
    width: int,
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    columns, rows = table
    print_table(columns, rows)
    out = capsys.readouterr().out
    told = count_characters(*(write(column, cell) for row in rows for column, cell in zip(columns, row, strict=True)))
    assert max(map(cell_len, out.splitlines()), default=0) <= width
    as_table, as_cards = told + count_characters(*columns), told + count_characters(*columns * len(rows))
    assert count_characters(out) in (as_table, as_cards)


@pytest.mark.parametrize("width", [40, 80, 120, 240])
def test_words_are_broken_only_where_the_terminal_is_narrower_than_they_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    row = ("06HX2K4M9Q0000000000000001", "allow_list_watch.py:18", "it is MALICIOUS/-BEC", "2 messages", "2h")
    print_table(("id", "where", "why", "events", "waiting"), [row])
    out = capsys.readouterr().out
    assert all(word in out for cell in row for word in cell.split())
    assert ("id       06HX" in out) == (width < 100)


def test_a_name_as_wide_as_the_terminal_leaves_every_other_column_in_sight(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    print_table(("id", "rule", "what"), [("06HX2K4M9Q0000000000000001", "r" * 47, "Move")] * 2)
    assert capsys.readouterr().out.count("what  Move") == 2


def test_a_line_is_shared_so_that_the_widest_columns_give_way_alike() -> None:
    assert share_width([ColumnWidth(2, 10), ColumnWidth(5, 50), ColumnWidth(5, 60)], 84) == [10, 35, 35]
    assert share_width([ColumnWidth(2, 10), ColumnWidth(40, 50), ColumnWidth(5, 60)], 60) == [8, 40, 8]
    assert share_width([ColumnWidth(30, 30), ColumnWidth(9, 9)], 40) == []
    assert share_width([ColumnWidth(3, 3), ColumnWidth(4, 4)], 200) == [3, 4]


@pytest.mark.parametrize(("said", "width"), [("", 100), ("0", 100), ("132", 132), ("7", 40), ("wide", 100)])
def test_the_width_is_what_columns_says(monkeypatch: pytest.MonkeyPatch, said: str, width: int) -> None:
    monkeypatch.setenv("COLUMNS", said)
    assert measure_width() == width
