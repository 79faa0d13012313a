"""Running transactions: a function over a connection goes in, its result comes out, committed or not at all."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from worker.errors import StoreError
from worker.ledger.db.dialects import PRAGMAS_OF_READERS, begin, end, prepare

T = TypeVar("T")
MEMORY = ":memory:"
SENTENCES = {
    "SQLITE_FULL": "the disk that holds the ledger {place} is full: free some space or move WORKER_STORE_URL",
    "SQLITE_IOERR": "the ledger {place} could not be read or written ({said}): "
    "look at the disk behind WORKER_STORE_URL",
    "SQLITE_READONLY": "the ledger {place} is on a disk or in a folder that is read-only: make it writable or "
    "change WORKER_STORE_URL",
    "SQLITE_CANTOPEN": "the ledger {place} cannot be opened: make its folder exist and be writable, or change "
    "WORKER_STORE_URL",
    "SQLITE_PERM": "this user may not write the ledger {place}: change its permissions or WORKER_STORE_URL",
    "SQLITE_CORRUPT": "the ledger {place} is damaged ({said}): restore it from a backup, or give WORKER_STORE_URL "
    "another file",
    "SQLITE_NOTADB": "{place} is not a ledger but some other file: correct WORKER_STORE_URL",
    "SQLITE_BUSY": "the ledger {place} was kept locked by another process for 10 s: try again in a minute, as a worker "
    "may be migrating it",
}
OTHERWISE = "the ledger {place} refused: {said}; look at WORKER_STORE_URL"
SAID_LIMIT = 300


class Runner(Protocol):
    """Runs one transaction after the other."""

    async def run(self, fn: Callable[[Connection], T]) -> T:
        """Run ``fn`` in a transaction of its own; raise StoreError, with nothing written, when the database cannot."""

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Run what only reads: it waits for nobody who writes, and nobody waits for it."""


class SyncRunner:
    """Runs transactions at once, without a thread: for simulated time."""

    def __init__(self, engine: Engine) -> None:
        """Keep the engine."""
        self.engine = engine

    async def run(self, fn: Callable[[Connection], T]) -> T:
        """Run a transaction."""
        return self.transact(fn)

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Run a transaction that only reads."""
        return self.transact(fn, reads=True)

    # Kept, because to take a connection out of a pool and to put it back takes longer than a short read.
    @cached_property
    def _writing(self) -> Connection:
        return self.engine.connect()

    @cached_property
    def _reading(self) -> Connection:
        return self.engine.connect()

    def transact(self, fn: Callable[[Connection], T], *, reads: bool = False) -> T:
        """Run a transaction at once."""
        try:
            conn = self._reading if reads else self._writing
            try:
                with conn.begin():
                    begin(conn, reads=reads)
                    return fn(conn)
            finally:
                end(conn)
        except (DBAPIError, sqlite3.Error) as error:
            raise trouble(error, str(self.engine.url.database or MEMORY)) from error


class AsyncRunner:
    """Runs transactions beside the event loop, one at a time, in a thread of its own.

    A caller that is cancelled does not take its transaction with it: that ends as it would have, and the connection
    stays usable.
    """

    def __init__(self, engine: Engine) -> None:
        """Keep the engine; see ``at``."""
        self._transactions = SyncRunner(engine)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")

    @classmethod
    def at(cls, path: str) -> "AsyncRunner":
        """Open an SQLite file, or ``:memory:``; one connection serves everything."""
        engine = create_engine(f"sqlite:///{path}", poolclass=StaticPool, connect_args={"check_same_thread": False})
        prepare(engine)
        return cls(engine)

    @classmethod
    def reading(cls, path: Path, how: str) -> "AsyncRunner":
        """Open an SQLite file that nothing is written to; ``how`` is the query of its URI."""
        place = partial(sqlite3.connect, f"{path.as_uri()}?{how}", uri=True, check_same_thread=False)
        engine = create_engine(f"sqlite:///{path}", poolclass=StaticPool, creator=place)
        prepare(engine, PRAGMAS_OF_READERS)
        return cls(engine)

    async def run(self, fn: Callable[[Connection], T]) -> T:
        """Run a transaction when its turn has come."""
        return await self._turn(partial(self._transactions.transact, fn))

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Run a transaction that only reads when its turn has come."""
        return await self._turn(partial(self._transactions.transact, fn, reads=True))

    async def _turn(self, transaction: Callable[[], T]) -> T:
        work = asyncio.wrap_future(self._thread.submit(transaction))
        work.add_done_callback(_retrieve_error)
        return await asyncio.shield(work)

    async def close(self) -> None:
        """Wait for what is running, and let go of the file."""
        await asyncio.to_thread(self._thread.shutdown)
        self._transactions.engine.dispose()


def _retrieve_error(work: "asyncio.Future[T]") -> None:
    """Take note of an error: a caller that was cancelled does not ask for it, and nobody is to print it then."""
    if not work.cancelled():
        work.exception()


def trouble(error: DBAPIError | sqlite3.Error, place: str) -> StoreError:
    """Put what the database said into a sentence that names the ledger's place and what to do."""
    told = error.orig if isinstance(error, DBAPIError) else error
    name = getattr(told, "sqlite_errorname", "")
    family = "_".join(str(name).split("_")[:2])  # SQLITE_IOERR_WRITE and its sisters
    said = str(told)[:SAID_LIMIT]
    return StoreError(SENTENCES.get(family, OTHERWISE).format(place=place, said=said))
