"""How the database carries out what is asked of a ledger."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.engine.interfaces import DBAPICursor

from tests.ledger.desk import Desk


@contextmanager
def listened(desk: Desk) -> Iterator[list[tuple[str, object]]]:
    """Hear every statement while the block runs."""
    heard: list[tuple[str, object]] = []

    def hear(_c: Connection, _u: DBAPICursor, statement: str, parameters: object, _x: object, _m: bool) -> None:  # noqa: FBT001
        heard.append((statement, parameters))

    event.listen(desk.runner.engine, "before_cursor_execute", hear)
    try:
        yield heard
    finally:
        event.remove(desk.runner.engine, "before_cursor_execute", hear)


def explain(conn: Connection, statement: str, given: Any) -> Iterator[str]:  # noqa: ANN401 (whatever the driver takes)
    """Yield the steps in which a statement is carried out."""
    for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given):
        yield row.detail
