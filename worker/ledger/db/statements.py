"""Statements that the loops run all the time: written once, and handed to SQLite as they are.

SQLAlchemy writes them from the tables. To run one of them it would take ten times as long as SQLite does to answer.
"""

from functools import cached_property
from typing import Generic, TypeVar

from sqlalchemy import Connection, Delete, Insert, Select
from sqlalchemy.dialects import sqlite

from worker.ledger.db.dialects import driver

Row = TypeVar("Row", bound=tuple[object, ...])


class Statement(Generic[Row]):
    """A statement about text and numbers, and the type of its rows: what is kept as JSON would stay text."""

    def __init__(self, statement: Select[*tuple[object, ...]] | Delete | Insert) -> None:
        self._statement = statement

    @cached_property
    def _written(self) -> tuple[str, dict[str, object]]:
        """The statement as text, and its constants: made when it is run first, as a command runs few of them."""
        written = self._statement.compile(dialect=sqlite.dialect(paramstyle="named"))
        return str(written), {name: value for name, value in written.params.items() if value is not None}

    def run(self, conn: Connection, **values: object) -> list[Row]:
        """Run it with these parameters, and return all rows."""
        text, constants = self._written
        return driver(conn).execute(text, constants | values).fetchall()
