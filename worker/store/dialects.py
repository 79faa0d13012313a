"""Where databases differ, and nothing else: upserts, sizes, and how an SQLite connection is set up."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Dialect, Engine, Insert, Table, Update, event, text
from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T")
Shaped = tuple[str, Callable[[Any], Any]]
CHUNK = 500
"""Values in one IN list: few enough for every database, and for a small statement."""
PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "busy_timeout=10000",
    "cache_size=-4000",
    "journal_size_limit=16777216",
)


def chunks(values: Iterable[T]) -> Iterator[list[T]]:
    """Cut values into lists short enough for an IN condition."""
    rest = iter(values)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def upsert(conn: Connection, table: Table, rows: Sequence[dict[str, Any]], change: Sequence[str] = ()) -> None:
    """Insert rows; of one that is there already, change these columns, or leave it alone when none is named."""
    write(conn, _upserting(table, tuple(change), conn.dialect.name), rows)


@lru_cache(maxsize=64)
def _upserting(table: Table, change: tuple[str, ...], dialect: str) -> Insert:
    statement = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    key = list(table.primary_key)
    if not change:
        return statement.on_conflict_do_nothing(index_elements=key)
    new = {name: statement.excluded[name] for name in change}
    return statement.on_conflict_do_update(index_elements=key, set_=new)


def write(conn: Connection, statement: Insert | Update, rows: Sequence[Mapping[str, Any]]) -> None:
    """Run a statement for many rows, all with the same keys.

    Compiled once and handed to the driver: the library prepares every row anew, which takes longer than the driver.
    """
    if rows:
        sql, columns = _prepared(statement, conn.dialect, tuple(rows[0]))
        conn.exec_driver_sql(sql, [tuple([shape(row[name]) for name, shape in columns]) for row in rows])


@lru_cache(maxsize=64)
def _prepared(statement: Insert | Update, dialect: Dialect, keys: tuple[str, ...]) -> tuple[str, list[Shaped]]:
    """Return a statement as text, and its values in order: their names, and what makes them fit for the driver."""
    compiled = statement.compile(dialect=dialect, column_keys=list(keys))
    names = compiled.positiontup or []
    shapes = [compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names]
    return str(compiled), [(name, shape or _as_it_is) for name, shape in zip(names, shapes, strict=True)]


def _as_it_is(value: Any) -> Any:  # noqa: ANN401 (whatever a column holds)
    return value


def sizes(conn: Connection) -> dict[str, int]:
    """Return the bytes each table takes, its indexes included."""
    if conn.dialect.name == "postgresql":
        query = "SELECT relname, pg_total_relation_size(relid) FROM pg_catalog.pg_statio_user_tables"
    else:
        query = "SELECT m.tbl_name, sum(s.pgsize) FROM dbstat s JOIN sqlite_master m ON m.name = s.name GROUP BY 1"
    return {str(name): int(size) for name, size in conn.execute(text(query))}


def prepare(engine: Engine) -> None:
    """Make SQLite durable and let every transaction be one that may write, so that none fails half-way for a lock."""

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: object) -> None:  # noqa: ANN401 (a DBAPI connection)
        connection.isolation_level = None  # the driver would otherwise begin transactions of its own
        cursor = connection.cursor()
        for pragma in PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begun(conn: Connection) -> None:
        conn.exec_driver_sql("BEGIN IMMEDIATE")
