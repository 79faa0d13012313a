"""Where databases differ, and nothing else: upserts, sizes, and how an SQLite connection is set up."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from itertools import chain, islice
from operator import itemgetter
from typing import TypeVar, cast

from sqlalchemy import Connection, Dialect, Engine, Table, event, text

T = TypeVar("T")
Shape = tuple[str, Callable[[object], object]]
Writing = Callable[[Table, tuple[str, ...], int], str]
"""Writes a statement for so many rows with these columns."""
CHUNK = 500
"""Values in one IN list: few enough for every database, and for a small statement."""
SIZES = (64, 8, 1)
"""Rows that one statement writes; the most has fewer values than any database allows."""
PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "busy_timeout=10000",
    "cache_size=-4000",
    "journal_size_limit=16777216",
)
PRAGMAS_OF_READERS = ("busy_timeout=10000", "cache_size=-4000")
"""Nothing that would change the file."""


def chunks(values: Iterable[T]) -> Iterator[list[T]]:
    """Cut values into lists short enough for an IN condition."""
    rest = iter(values)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def add(conn: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert rows, all with the same keys."""
    _run(conn, _inserting, table, rows)


def upsert(conn: Connection, table: Table, rows: Sequence[Mapping[str, object]], change: Sequence[str] = ()) -> None:
    """Insert rows; of one that is there already, change these columns, or leave it alone when none is named."""
    _run(conn, partial(_upserting, tuple(change)), table, rows)


def rewrite(conn: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Change the rows that have these ids; all name the same columns, and their ``id``."""
    _run(conn, _updating, table, rows)


def _run(conn: Connection, write: Writing, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Run a statement for many rows at a time.

    One statement for each row would ask for the interpreter's lock at every row, and wait for it while others compute.
    """
    if not rows:
        return
    names = tuple(rows[0])
    shapes = _shapes(table, names, conn.dialect)
    values = itemgetter(*names)
    for part in _parts(rows):
        shaped = [values({**row, **{name: shape(row[name]) for name, shape in shapes}}) for row in part]
        driver(conn).execute(write(table, names, len(part)), tuple(chain.from_iterable(shaped)))


def _parts(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut rows into parts of few different sizes, so that the database knows most statements already."""
    first = 0
    for size in SIZES:
        while len(rows) - first >= size:
            yield rows[first : first + size]
            first += size


@lru_cache(maxsize=64)
def _inserting(table: Table, names: tuple[str, ...], count: int) -> str:
    return f"INSERT INTO {table.name} ({_columns(names)}) {_values(len(names), count)}"


@lru_cache(maxsize=64)
def _upserting(change: tuple[str, ...], table: Table, names: tuple[str, ...], count: int) -> str:
    new = ", ".join(f'"{name}" = excluded."{name}"' for name in change)
    key = _columns(column.name for column in table.primary_key)
    return f"{_inserting(table, names, count)} ON CONFLICT ({key}) DO {f'UPDATE SET {new}' if new else 'NOTHING'}"


@lru_cache(maxsize=64)
def _updating(table: Table, names: tuple[str, ...], count: int) -> str:
    new = {name: f"new.column{number}" for number, name in enumerate(names, 1)}
    changes = ", ".join(f'"{name}" = {value}' for name, value in new.items() if name != "id")
    values = _values(len(names), count)
    return f"UPDATE {table.name} SET {changes} FROM ({values}) AS new WHERE {table.name}.id = {new['id']}"  # noqa: S608 (names of our own)


def _columns(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _values(width: int, count: int) -> str:
    row = f"({', '.join('?' * width)})"
    return f"VALUES {', '.join([row] * count)}"


@lru_cache(maxsize=64)
def _shapes(table: Table, names: tuple[str, ...], dialect: Dialect) -> list[Shape]:
    """Return the columns whose values have to be made fit for the driver, and what does that."""
    shapes = [(name, table.c[name].type.dialect_impl(dialect).bind_processor(dialect)) for name in names]
    return [(name, shape) for name, shape in shapes if shape]


def sizes(conn: Connection) -> dict[str, int]:
    """Return the bytes each table takes, its indexes included."""
    if conn.dialect.name == "postgresql":
        query = "SELECT relname, pg_total_relation_size(relid) FROM pg_catalog.pg_statio_user_tables"
    else:
        query = "SELECT m.tbl_name, sum(s.pgsize) FROM dbstat s JOIN sqlite_master m ON m.name = s.name GROUP BY 1"
    return {str(name): int(size) for name, size in conn.execute(text(query))}


def begin(conn: Connection, *, reads: bool) -> None:
    """Begin a transaction; one that may write takes the lock first, so that it does not fail half-way for it.

    Not by a listener: an engine that has any asks for listeners at every statement, which takes a tenth of its time.
    """
    driver(conn).execute("BEGIN" if reads else "BEGIN IMMEDIATE")


def end(conn: Connection) -> None:
    """Let go of a transaction whose commit the database refused: the connection is kept for the next one."""
    if (below := driver(conn)).in_transaction:
        below.rollback()


def driver(conn: Connection) -> sqlite3.Connection:
    """Return the connection of SQLite's own module below one of SQLAlchemy."""
    return cast("sqlite3.Connection", conn.connection.driver_connection)


def prepare(engine: Engine, pragmas: Iterable[str] = PRAGMAS) -> None:
    """Make SQLite durable, and let nobody but ``begin`` begin its transactions."""

    @event.listens_for(engine, "connect")
    def _set_pragmas(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver would otherwise begin transactions of its own
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
