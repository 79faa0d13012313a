"""How the database carries out what is asked of a ledger."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

from tests.ledger.desk import Desk
from tests.ledger.memory import Overheard
from worker.ledger.db.dialects import driver


@contextmanager
def listened(desk: Desk) -> Iterator[list[tuple[str, object]]]:
    """Hear every statement while the block runs."""
    with desk.runner.engine.connect() as conn:
        below = driver(conn)
    assert isinstance(below, Overheard)
    heard = below.heard = list[tuple[str, object]]()
    try:
        yield heard
    finally:
        below.heard = None


def explain(conn: Connection, statement: str, given: Any) -> Iterator[str]:  # noqa: ANN401 (whatever the driver takes)
    """Yield the steps in which a statement is carried out."""
    for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given):
        yield row.detail
