"""Opening a ledger: who is let in, what is said to who is not, and which version it has."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.ledger.db.disks import small_disk
from tests.ledger.desk import ME, T0
from worker.errors import StoreError
from worker.ledger.ledger import Ledger, open_ledger
from worker.ledger.values import Broken, Page, Slice

BIG = 60_000


async def write(ledger: Ledger, number: int, size: int = 10) -> None:
    slice_ = Slice(source="messages", kind="head", start=number, end=number + 1)
    raw = number.to_bytes(4) + b"x" * size
    page = Page(account=ME, now=T0, source="messages", broken=(Broken(raw, "?"),), slice=slice_, closes=True)
    await ledger.enter(page)


async def open_once(url: str, *, exclusive: bool = True) -> None:
    async with open_ledger(url, owner="x", exclusive=exclusive) as ledger:
        await ledger.accounts()


async def test_what_was_written_is_there_when_the_ledger_is_opened_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/worker.db"
    async with open_ledger(url, owner="one", exclusive=True) as ledger:
        await write(ledger, 1)
    async with open_ledger(url, owner="two", exclusive=True) as ledger:
        assert (await ledger.coverage(ME, "messages")).closed == ((1.0, 2.0),)


async def test_a_second_daemon_is_refused_and_people_are_not(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/worker.db"
    async with open_ledger(url, owner="one", exclusive=True) as ledger:
        with pytest.raises(StoreError, match=f"process {os.getpid()}.*worker.db.lock.*WORKER_STORE_URL"):
            await open_once(url)
        async with open_ledger(url, owner="two", exclusive=False) as other:
            await other.order(ME, "brake", "", "ann", "stop", T0)
        assert len(await ledger.take_orders(ME, T0)) == 1
    await open_once(url)


async def test_people_may_come_before_the_first_daemon(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/worker.db"
    await open_once(url, exclusive=False)
    await open_once(url, exclusive=True)


async def test_a_ledger_in_memory_needs_no_lock() -> None:
    async with open_ledger("sqlite:///:memory:", owner="one", exclusive=True) as ledger:
        await write(ledger, 1)
        await open_once("sqlite://")
        assert len(await ledger.list_broken(ME)) == 1


async def test_a_ledger_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/worker.db"
    await open_once(url)
    with closing(sqlite3.connect(tmp_path / "worker.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match=r"worker.db was written by a newer version of worker .*9999"):
        await open_once(url)


@pytest.mark.parametrize(
    "made",
    [
        "CREATE TABLE bookmarks (title TEXT)",
        "CREATE TABLE alembic_version (version_num TEXT)",
        *(
            f"CREATE TABLE alembic_version AS SELECT '{revision}' AS version_num"
            for revision in ("", "0000", "1", "ae1027a6acf", "00042", "-001", "head")
        ),
    ],
)
async def test_the_database_of_another_program_is_named_and_gets_no_tables(tmp_path: Path, made: str) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db")) as database, database:
        database.execute(made)
    for exclusive in (True, False):
        with pytest.raises(StoreError, match=r"other.db is the database of another program: give WORKER_STORE_URL"):
            async with open_ledger(f"sqlite:///{tmp_path}/other.db", owner="one", exclusive=exclusive):
                pass
    with closing(sqlite3.connect(tmp_path / "other.db")) as database:
        assert len(database.execute("SELECT name FROM sqlite_master").fetchall()) == 1


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("worker.db", "is not a URL; write sqlite:///worker.db"),
        ("postgresql://ann:secret@host/db", r"postgresql://ann:\*\*\*@host/db is not supported"),
        ("sqlite:///{folder}", "names the folder"),
        ("sqlite:///{folder}/none/worker.db", "is not a folder; make it first"),
        ("sqlite:///{folder}/letter.db", "letter.db is not a ledger but some other file"),
    ],
)
async def test_a_place_that_cannot_be_a_ledger_is_named(tmp_path: Path, url: str, said: str) -> None:
    (tmp_path / "letter.db").write_text("Dear Ada, " * 1000)
    with pytest.raises(StoreError, match=said):
        await open_once(url.format(folder=tmp_path))


async def test_a_damaged_ledger_is_named(tmp_path: Path) -> None:
    path = tmp_path / "worker.db"
    async with open_ledger(f"sqlite:///{path}", owner="one", exclusive=True) as ledger:
        for number in range(10):
            await write(ledger, number, BIG)
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(StoreError, match=r"worker.db is damaged .*restore it from a backup"):
        await open_once(f"sqlite:///{path}")


async def fill(ledger: Ledger) -> int:
    """Write until the disk is full; return how often that went well."""
    for written in range(100):
        try:
            await write(ledger, 2 * written, BIG)
        except StoreError as error:
            assert "worker.db is full: free some space" in str(error)  # noqa: PT017 (any number of writes may succeed)
            return written
    pytest.fail("the disk did not become full")


@pytest.mark.slow
async def test_a_full_disk_is_named_nothing_is_half_written_and_it_goes_on_with_space(tmp_path: Path) -> None:
    async with small_disk(tmp_path, "size=2m") as disk:
        url = f"sqlite:///{disk}/worker.db"
        async with open_ledger(url, owner="one", exclusive=True) as ledger:
            (disk / "ballast").write_bytes(b"x" * 600_000)
            written = await fill(ledger)
            assert written > 0
            assert len((await ledger.coverage(ME, "messages")).closed) == written
            assert len(await ledger.list_broken(ME)) == written
            (disk / "ballast").unlink()
            await write(ledger, 2 * written, BIG)
            assert len((await ledger.coverage(ME, "messages")).closed) == written + 1


@pytest.mark.slow
async def test_a_disk_that_was_full_before_the_start_is_named(tmp_path: Path) -> None:
    async with small_disk(tmp_path, "size=64k") as disk:
        with pytest.raises(OSError, match="No space left"):
            (disk / "ballast").write_bytes(b"x" * 100_000)
        with pytest.raises(StoreError, match=r"the disk that holds .*worker.db.lock is full.*WORKER_STORE_URL"):
            await open_once(f"sqlite:///{disk}/worker.db")


@pytest.mark.slow
async def test_a_read_only_disk_is_named(tmp_path: Path) -> None:
    async with small_disk(tmp_path, "size=2m,ro") as disk:
        for exclusive in (True, False):
            with pytest.raises(StoreError, match="WORKER_STORE_URL"):
                await open_once(f"sqlite:///{disk}/worker.db", exclusive=exclusive)
