"""Transactions: committed or not at all, whoever is cancelled or killed."""

import asyncio
import gc
import random
import sqlite3
import sys
from asyncio.subprocess import PIPE
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, insert, select, text

from tests.ledger.desk import ME
from tests.ledger.memory import in_memory
from worker.audit.verify import verify
from worker.errors import StoreError
from worker.ledger.db.dialects import begin, prepare, upsert
from worker.ledger.db.runner import AsyncRunner
from worker.ledger.db.schema import bring_up
from worker.ledger.db.tables import meta
from worker.ledger.ledger import open_ledger

SEED = 20240229


def put(conn: Connection, name: str = "a") -> None:
    conn.execute(insert(meta), [{"name": name, "value": "1"}])


def names(conn: Connection) -> list[str]:
    return list(conn.scalars(select(meta.c.name)))


async def file(folder: Path) -> AsyncRunner:
    runner = AsyncRunner.at(str(folder / "worker.db"))
    await runner.run(bring_up)
    return runner


async def test_a_caller_that_is_cancelled_leaves_a_whole_transaction(tmp_path: Path) -> None:
    runner = await file(tmp_path)
    caller = asyncio.ensure_future(runner.run(put))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await runner.run(lambda conn: put(conn, "b"))
    assert await runner.run(names) == ["a", "b"]
    await runner.close()


def stumble(conn: Connection) -> None:
    conn.execute(text("SELECT * FROM x WHERE y = :z"), {"z": "words of a stranger"})


@pytest.mark.slow
async def test_what_fails_for_a_caller_that_is_gone_is_not_printed_by_anybody(tmp_path: Path) -> None:
    runner, printed = await file(tmp_path), list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: printed.append(context))
    caller = asyncio.ensure_future(runner.run(stumble))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await runner.close()
    del caller
    gc.collect()
    await asyncio.sleep(0)
    assert printed == []


async def test_closing_waits_for_what_is_running(tmp_path: Path) -> None:
    runner = await file(tmp_path)
    caller = asyncio.ensure_future(runner.run(put))
    await asyncio.sleep(0)
    await runner.close()
    await caller
    again = await file(tmp_path)
    assert await again.run(names) == ["a"]
    await again.close()


def fail(conn: Connection) -> None:
    put(conn)
    raise ZeroDivisionError


async def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    disk = await file(tmp_path)
    for runner in (disk, in_memory()):
        with pytest.raises(ZeroDivisionError):
            await runner.run(fail)
        assert await runner.run(names) == []
    await disk.close()


async def test_what_the_database_refuses_is_a_store_error() -> None:
    with pytest.raises(StoreError, match=r"the ledger :memory: refused: no such table: x; look at WORKER_STORE_URL"):
        await in_memory().run(lambda conn: conn.execute(text("SELECT * FROM x")))


async def test_commits_are_durable_and_writers_wait_for_each_other(tmp_path: Path) -> None:
    runner = await file(tmp_path)
    pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    read = await runner.run(lambda conn: [conn.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas])
    assert read == ["wal", 2, 1, 10000]
    await runner.close()


def count(conn: Connection) -> None:
    """Read a number, then write the next one."""
    number = int(conn.scalar(select(meta.c.value)) or 0)
    upsert(conn, meta, [{"name": "a", "value": str(number + 1)}], ("value",))


async def test_two_processes_may_read_and_write_without_getting_between_each_other(tmp_path: Path) -> None:
    one, two = await file(tmp_path), await file(tmp_path)
    await asyncio.gather(*(runner.run(count) for _ in range(30) for runner in (one, two)))
    assert await one.run(lambda conn: conn.scalar(select(meta.c.value))) == "60"
    await one.close()
    await two.close()


async def test_whoever_reads_waits_for_nobody_who_writes_and_the_other_way_round(tmp_path: Path) -> None:
    one, two = await file(tmp_path), await file(tmp_path)
    engine = create_engine(f"sqlite:///{tmp_path}/worker.db")
    prepare(engine)
    with engine.connect() as writing, writing.begin():
        begin(writing, reads=False)
        put(writing)
        assert await two.read(names) == []
    with engine.connect() as reading, reading.begin():
        begin(reading, reads=True)
        assert names(reading) == ["a"]
        await one.run(lambda conn: put(conn, "b"))
        assert names(reading) == ["a"]
    engine.dispose()
    await one.close()
    await two.close()


async def test_people_read_the_ledger_while_the_daemon_writes(tmp_path: Path) -> None:
    url, engine = f"sqlite:///{tmp_path}/worker.db", create_engine(f"sqlite:///{tmp_path}/worker.db")
    prepare(engine)
    async with open_ledger(url, owner="a", exclusive=False) as ledger:
        with engine.begin() as writing:
            put(writing)
            reads = (
                ledger.counts,
                ledger.records,
                ledger.entries,
                ledger.brakes,
                ledger.list_braked,
                ledger.list_broken,
            )
            assert [len(await read(ME)) for read in reads] == [0] * len(reads)
            assert (await ledger.accounts(), await ledger.list_mishaps(ME)) == ((), ())
    engine.dispose()


@pytest.mark.slow
async def test_what_was_acknowledged_before_a_sigkill_is_there(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    url = f"sqlite:///{tmp_path}/worker.db"
    acknowledged = -1
    for kill in range(20):
        command = [sys.executable, "-m", "tests.ledger.writer", url, f"owner{kill}"]
        writer = await asyncio.create_subprocess_exec(*command, stdout=PIPE, cwd=Path(__file__).parents[2])
        assert writer.stdout
        for _ in range(chance.randrange(1, 20)):
            acknowledged = int(await writer.stdout.readline())
        await asyncio.sleep(chance.random() / 50)
        writer.kill()
        rest = (await writer.communicate())[0].split()
        acknowledged = int(rest[-1]) if rest else acknowledged
        async with open_ledger(url, owner="reader", exclusive=True) as ledger:
            pages = len((await ledger.coverage(ME, "messages")).closed)
            lines = await ledger.records(ME, limit=10**6)
            assert pages in {acknowledged + 1, acknowledged + 2}, f"seed {SEED}, kill {kill}"
            assert (len(lines), verify(lines).problem) == (10 * pages, ""), f"seed {SEED}, kill {kill}"
            assert await ledger.counts(ME) == {"Move": {"ready": 10 * pages}}


async def test_a_ledger_that_others_keep_locked_is_named(tmp_path: Path) -> None:
    runner = await file(tmp_path)
    await runner.run(lambda conn: conn.exec_driver_sql("PRAGMA busy_timeout=10").close())
    with closing(sqlite3.connect(tmp_path / "worker.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="was kept locked by another process"):
            await runner.run(put)
    await runner.run(put)
    assert await runner.read(names) == ["a"]
    await runner.close()


async def test_a_commit_that_is_refused_leaves_a_usable_connection(tmp_path: Path) -> None:
    runner = await file(tmp_path)
    columns = "entry, thing, item, account, cause, because, mode, rules, fingerprints"

    def orphan(conn: Connection) -> None:
        conn.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        values = "'x', 't', 'i', 'a', 'c', 'b', 1, '[]', '[]'"
        conn.exec_driver_sql(f"INSERT INTO reasons ({columns}) VALUES ({values})")  # noqa: S608

    with pytest.raises(StoreError, match="FOREIGN KEY"):
        await runner.run(orphan)
    assert await runner.read(names) == []
    await runner.close()
