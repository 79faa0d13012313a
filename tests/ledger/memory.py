"""Ledgers that live in memory, one a test: a connection is used again, with its statements compiled once."""

import weakref
from collections.abc import Callable
from sqlite3 import Connection, Cursor
from typing import Any, cast

from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import StaticPool

from worker.ledger.db.dialects import prepare
from worker.ledger.db.runner import SyncRunner
from worker.ledger.db.tables import metadata

Heard = list[tuple[str, object]]


class Overheard(Connection):
    """A connection of which a test may hear each statement, with its values."""

    heard: Heard | None = None

    def cursor(self, factory: Callable[[Connection], Cursor] | None = None) -> Any:  # noqa: ANN401 (as its base does)
        """Make a cursor that tells what it runs, if anybody listens."""
        return super().cursor(factory or (Cursor if self.heard is None else Telling))


class Telling(Cursor):
    """A cursor that tells what it runs."""

    def execute(self, statement: str, given: Any = (), /) -> "Telling":  # noqa: ANN401 (whatever the driver takes)
        """Tell, and run it."""
        listener = cast("Overheard", self.connection).heard
        if listener is not None:
            listener.append((statement, given))
        super().execute(statement, given)
        return self


_free: list[Engine] = []
"""Engines of runners that are gone; what is in their databases is overwritten before they are used again."""


def in_memory() -> SyncRunner:
    """Make a ledger with all its tables that lives as long as its runner."""
    engine = _free.pop() if _free else _opened()
    _EMPTY.backup(_database(engine))
    runner = SyncRunner(engine)
    weakref.finalize(runner, _free.append, engine)
    return runner


def _opened() -> Engine:
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False, "factory": Overheard}
    )
    prepare(engine)
    return engine


def _database(engine: Engine) -> Connection:
    """Return the one connection of an engine as SQLite's own module made it."""
    return cast("Connection", engine.raw_connection().driver_connection)


def _empty() -> Connection:
    """Make a ledger in which nothing is written."""
    engine = _opened()
    metadata.create_all(engine)
    return _database(engine)


_EMPTY = _empty()
