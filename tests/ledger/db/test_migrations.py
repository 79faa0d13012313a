"""A ledger of an earlier revision: nothing in it is lost, and the way back is open.

``data/worker-0001.db.xz`` is of revision 0001: entries of every action in every state, of three
accounts, with held events, orders that are not taken up, brakes, and whatever sentences were read as state then.
"""

import asyncio
import os
import re
import signal
import sqlite3
import sys
from asyncio import create_subprocess_exec, create_subprocess_shell
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from math import inf
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine

from tests.cells import each
from tests.ledger.db.disks import small_disk
from tests.ledger.db.revision_0001 import OLD_LEDGER, describe, keys_in
from worker.audit.inspection import inspect_ledger
from worker.errors import StoreError
from worker.executor.action_log import hand_key
from worker.language.models import LogEntry
from worker.ledger.db.schema import NEWEST, bring_up
from worker.ledger.entries import Entry
from worker.ledger.ledger import Ledger, open_ledger

OPERATIONS = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
COLUMNS = "SELECT m.name, p.* FROM sqlite_master m, pragma_table_xinfo(m.name) p WHERE m.name != 'alembic_version'"
INDEXES = "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
KEYED = "SELECT name FROM sqlite_master WHERE type = 'table' AND upper(sql) LIKE '%WITHOUT ROWID%'"
BOUND = "SELECT m.name, f.* FROM sqlite_master m, pragma_foreign_key_list(m.name) f"
DRIFT = "drift: "
SHOWN = "d2c86547c8680fc9"
"""The key of the line ``QUARANTINE_RELEASE by analyst``, as the old file tells it."""
APPROVED = 1790368487.774
"""When the people of the old file approved."""

Rows = dict[str, set[tuple[object, ...]]]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Give a ledger as the earlier version left it."""
    path = tmp_path / "worker.db"
    path.write_bytes(OLD_LEDGER)
    return path


@asynccontextmanager
async def migrated(path: Path) -> AsyncIterator[Ledger]:
    async with open_ledger(f"sqlite:///{path}", owner="new", exclusive=True) as ledger:
        yield ledger


def rows(path: Path, like: Path | None = None) -> Rows:
    """Return all rows of a ledger; with ``like``, only the columns that a ledger has there."""
    with closing(sqlite3.connect(path)) as database, closing(sqlite3.connect(like or path)) as other:
        tables = [name for (name,) in other.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = {name: [row[1] for row in other.execute(f"PRAGMA table_info({name})")] for name in tables}
        wanted = {name: ", ".join(f'"{column}"' for column in columns[name]) for name in tables}
        return {name: set(database.execute(f"SELECT {wanted[name]} FROM {name}")) for name in tables}  # noqa: S608


def schema(path: Path) -> list[set[tuple[object, ...]]]:
    """Return what a database knows of its tables."""
    with closing(sqlite3.connect(path)) as database:
        return [set(database.execute(query)) for query in (COLUMNS, INDEXES, KEYED, BOUND)]


@pytest.mark.slow
async def test_no_row_is_lost_or_changed(old: Path) -> None:
    before = rows(old)
    async with migrated(old):
        pass
    after = rows(old, like=old.with_name("worker.db.0001"))
    before["alembic_version"] = {(NEWEST,)}
    before["entries"] = {tuple(_undrifted(cell) for cell in row) for row in before["entries"]}
    assert after == before


def _undrifted(cell: object) -> object:
    return cell.removeprefix(DRIFT) if isinstance(cell, str) else cell


async def test_every_entry_can_be_read_and_every_chain_is_whole(old: Path) -> None:
    async with migrated(old) as ledger:
        for account, count, first in (("a1", 208, 210), ("b2", 21, 1), ("c3", 50, 0)):
            assert len(await ledger.entries(account)) == count
            found = await inspect_ledger(ledger, account)
            assert (found.problem, not first or found.first == first) == ("", True)


async def test_migrations_lead_to_the_tables_that_an_empty_ledger_gets(old: Path, tmp_path: Path) -> None:
    async with migrated(old), open_ledger(f"sqlite:///{tmp_path}/new.db", owner="new", exclusive=True):
        assert schema(old) == schema(tmp_path / "new.db")
        assert all(schema(old))


ENTRIES = "01M3CK9VP0WMQ437ZR4E0000"


@each(
    ("end", "shown", "before"),
    [
        *((end, (SHOWN,), 0.0) for end in ("19", "1B", "1E", "1F", "1G", "1H")),  # one line, told whole
        *((end, (), APPROVED) for end in ("13", "15", "17")),  # approved: odd words, cut at 500, six lines
        *((end, (), inf) for end in ("14", "16", "18")),  # the same, not decided yet
    ],
)
async def test_what_a_person_was_shown_stays_known(old: Path, end: str, shown: tuple[str, ...], before: float) -> None:
    async with migrated(old) as ledger:
        entry = await find(ledger, ENTRIES + end)
        assert (entry.shown, entry.shown_before) == (shown, before)


async def find(ledger: Ledger, id_: str) -> Entry:
    return next(entry for entry in await ledger.entries("a1") if entry.id == id_)


async def test_what_was_a_sentence_is_a_column(old: Path) -> None:
    async with migrated(old) as ledger:
        entries = await ledger.entries("a1")
    kinds = {entry.item.partition("/")[0]: entry.item_kind for entry in entries if entry.item_kind != "decision"}
    assert kinds == {"dispute": "dispute", "limit": "limit", "end": "end"}
    assert {f"end/{entry.item_of}" == entry.cause for entry in entries if entry.item_kind == "end"} == {True}
    assert sum(entry.drifted_at > 0 and not entry.said.startswith(DRIFT) for entry in entries) == 3
    assert [entry.id[-2:] for entry in entries if entry.why == "answer_unclear"] == ["1D"]
    refs = {entry.why_ref for entry in entries if entry.why == "blocked_elsewhere"}
    assert {ref[-3:] for ref in refs} == {"00a", "00b", "009", "00B"}


@pytest.mark.slow
async def test_the_ledger_is_copied_beside_itself_first_and_that_is_the_way_back(old: Path) -> None:
    before, copies = rows(old), list[Path]()
    async with open_ledger(f"sqlite:///{old}", owner="new", exclusive=True, on_migration=copies.append):
        pass
    assert copies == [old.with_name("worker.db.0001")]
    (way_back,) = re.findall(r"### Going back\n.*?```sh\n(.+?)```", OPERATIONS, re.DOTALL)
    assert await (await create_subprocess_shell(way_back, cwd=old.parent)).wait() == 0
    assert rows(old) == before


async def test_a_ledger_is_migrated_once(old: Path) -> None:
    copies = list[Path]()
    for _ in range(2):
        async with open_ledger(f"sqlite:///{old}", owner="new", exclusive=True, on_migration=copies.append):
            pass
    assert len(copies) == 1


async def test_a_command_leaves_an_older_ledger_as_it_is_and_says_what_to_do(old: Path) -> None:
    with pytest.raises(StoreError, match=rf"revision 0001, this one needs {NEWEST}\): start `worker run` in"):
        async with open_ledger(f"sqlite:///{old}", owner="ann", exclusive=False):
            pass
    assert rows(old)["alembic_version"] == {("0001",)}
    assert not old.with_name("worker.db.0001").exists()


@pytest.mark.slow
async def test_too_little_space_is_said_before_anything_is_touched(tmp_path: Path) -> None:
    async with small_disk(tmp_path, "size=2m") as disk:
        (disk / "worker.db").write_bytes(OLD_LEDGER)
        with pytest.raises(StoreError, match=r"cannot be copied to .*0001 .* 1\.7 MB of free space .*nothing was"):
            async with migrated(disk / "worker.db"):
                pass
        assert (disk / "worker.db").read_bytes() == OLD_LEDGER
        assert sorted(path.name for path in disk.iterdir() if "0001" in path.name) == []


@pytest.mark.slow
async def test_a_ledger_on_a_read_only_disk_is_named_and_left_alone(tmp_path: Path) -> None:
    async with small_disk(tmp_path, "size=4m") as disk:
        (disk / "worker.db").write_bytes(OLD_LEDGER)
        remount = await create_subprocess_exec("mount", "-o", "remount,ro", disk)
        assert await remount.wait() == 0
        for exclusive in (True, False):
            with pytest.raises(StoreError, match="WORKER_STORE_URL"):
                async with open_ledger(f"sqlite:///{disk}/worker.db", owner="new", exclusive=exclusive):
                    pass
        assert (disk / "worker.db").read_bytes() == OLD_LEDGER


DYING = """
import os, signal, sys
from sqlalchemy import create_engine
from worker.ledger.db.dialects import prepare
from worker.ledger.db.runner import SyncRunner
from worker.ledger.db.schema import bring_up
engine = create_engine(f"sqlite:///{sys.argv[1]}")
prepare(engine)
def migrate(conn):
    bring_up(conn)
    os.kill(os.getpid(), signal.SIGKILL)
SyncRunner(engine).transact(migrate)
"""


@pytest.mark.slow
async def test_a_migration_that_is_killed_begins_again_and_loses_nothing(old: Path) -> None:
    before = rows(old)
    dying = await create_subprocess_exec(sys.executable, "-c", DYING, old, env=os.environ | {"PYTHONPATH": "."})
    assert await dying.wait() == -signal.SIGKILL
    assert rows(old) == before
    async with migrated(old) as ledger:
        assert len(await ledger.entries("a1")) == 208


@pytest.mark.slow
@given(st.builds(LogEntry, operation=st.sampled_from(["MOVE", "RELEASE"]), folder=st.text(), requested_by=st.text()))
def test_a_line_that_was_told_whole_has_the_key_that_it_has_now(line: LogEntry) -> None:
    assert keys_in(describe([line])) in ([hand_key(line)], [])


@each("by", ["ann", "ann@corp.example", "", "Grüße", "a b"])
def test_the_key_of_an_ordinary_line_is_known(by: str) -> None:
    line = LogEntry(operation="QUARANTINE_RELEASE", requested_by=by)
    assert keys_in(describe([line, line])) == [hand_key(line)] * 2


def test_an_unfinished_schema_is_made_whole_or_not_at_all(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/worker.db")
    with engine.begin() as conn:
        bring_up(conn)
        bring_up(conn)
    engine.dispose()
    assert rows(tmp_path / "worker.db")["alembic_version"] == {(NEWEST,)}


@pytest.mark.parametrize("by", ["ann at her deskZ", "ann at 2026-02-30 00:00:00Z"])
def test_whoever_is_told_to_have_let_mail_through_stops_no_migration(by: str) -> None:
    assert keys_in(describe([LogEntry(operation="RELEASE", requested_by=by)])) == []


@pytest.mark.slow
async def test_a_migration_does_not_read_all_entries_for_each_item(old: Path) -> None:
    with closing(sqlite3.connect(old)) as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(entries)")]
        (one,) = database.execute("SELECT * FROM entries WHERE state = 'done' LIMIT 1")
        plain = dict(zip(columns, one, strict=True))
        many = (plain | {"id": f"Z{number}", "item": f"dispute/e{number}#a"} for number in range(8_000))
        places = ", ".join("?" * len(columns))
        database.executemany(f"INSERT INTO entries VALUES ({places})", (tuple(row.values()) for row in many))  # noqa: S608
        database.commit()
    async with asyncio.timeout(20), migrated(old):  # a minute and more with a scan for each
        pass


SIDE = "dispute/2026-09-25T15:36:01Z/Message/4N64-2026-09-25T15:36:01-40/1#"


async def test_of_an_old_dispute_the_other_side_is_still_refused(old: Path) -> None:
    async with migrated(old) as ledger:
        await ledger.order("a1", "approve", SIDE + "second_view", "ada", "", 1.8e9)
        await ledger.take_orders("a1", 1.8e9)
        sides = [
            entry for entry in await ledger.entries("a1") if entry.item.startswith(SIDE) and entry.lane != "notice"
        ]
    assert sorted(entry.state for entry in sides) == ["ready", "refused"]
