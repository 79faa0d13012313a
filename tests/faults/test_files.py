"""The files of a ledger in use: taken away, replaced, reached by other names, held by others, without room.

Each cell has its sentence, and what was asked of the worker meanwhile is done once.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.faults.rig import Daemon, Rig, Told, until, until_it
from tests.faults.test_disk import disk, fill, on, refused

pytestmark = [pytest.mark.slow, pytest.mark.matrix("files")]
Fault = Callable[[Rig], None]
BUSY = 10
"""Seconds for which the worker waits for a lock of another process."""
GONE = "was removed or replaced while this worker had it open"


def remove(name: str) -> Fault:
    """Return what removes a file of the ledger's folder."""
    return lambda rig: (rig.ledger.parent / name).unlink()


def replace(name: str) -> Fault:
    """Return what puts an equal file in the place of one."""

    def act(rig: Rig) -> None:
        file, other = rig.ledger.parent / name, rig.ledger.parent / "other"
        other.write_bytes(file.read_bytes())
        other.rename(file)

    return act


TAKEN: Mapping[str, Fault] = MappingProxyType({
    "ledger removed": remove("worker.db"), "ledger replaced": replace("worker.db"),
    "lock removed": remove("worker.db.lock"), "lock replaced": replace("worker.db.lock"),
})  # fmt: skip


async def wait_until_ready(daemon: Daemon) -> None:
    await until_it(daemon.is_ready, lambda: daemon.log)


async def is_done(rig: Rig, daemon: Daemon, mails: int) -> None:
    """Wait until so many mails are moved and proved; none may be moved twice."""
    await until(lambda: len(rig.ours()) >= mails and not rig.unsettled(), lambda: daemon.log)
    assert len(rig.ours()) == mails


@pytest.mark.parametrize("fault", TAKEN)
async def test_a_worker_whose_files_are_taken_away_ends_loudly(tmp_path: Path, fault: str) -> None:
    rig = Rig(tmp_path)
    async with rig.api(), rig.daemon() as daemon:
        await wait_until_ready(daemon)
        TAKEN[fault](rig)
        assert await daemon.ended() == 3
        last = daemon.log.splitlines()[-1]
    assert (fault.split(maxsplit=1)[0] in last, GONE in last, "WORKER_STORE_URL" in last) == (True, True, True)


async def test_a_link_leads_to_the_same_lock(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "link.db").symlink_to(rig.ledger)
    async with rig.api(), rig.daemon() as daemon:
        await wait_until_ready(daemon)
        second = await run_by(rig, tmp_path / "elsewhere" / "link.db", "run")
    assert f"another worker (process {daemon.process.pid})" in refused(second)


async def run_by(rig: Rig, name: Path, *words: str) -> Told:
    """Type a command that knows the ledger by another name."""
    return await rig.command(*words, WORKER_STORE_URL=f"sqlite:///{name}")


async def test_a_second_name_is_refused_and_those_who_know_the_first_go_on(tmp_path: Path) -> None:
    rig, other = Rig(tmp_path), tmp_path / "other.db"
    async with rig.api(), rig.daemon() as daemon:
        await wait_until_ready(daemon)
        other.hardlink_to(rig.ledger)
        for words in (("run",), ("run", "--once"), ("brake", "on", "--as", "ada"), ("status",)):
            assert "has 2 names (hard links)" in refused(await run_by(rig, other, *words))
        assert (await rig.command("brake", "on", "--as", "ada")).code == 0
        await daemon.logged("order taken")
    assert "has 2 names (hard links)" in refused(await rig.command("run"))
    other.unlink()
    assert (await rig.command("brake")).code == 0


async def test_a_lasting_read_keeps_nobody_from_acting(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    async with rig.api(), rig.daemon() as daemon:
        await wait_until_ready(daemon)
        with closing(sqlite3.connect(rig.ledger)) as reader:
            reader.execute("BEGIN")
            assert reader.execute("SELECT count(*) FROM entries").fetchone() == (0,)
            rig.world.arrive(20, "outbreak")
            await is_done(rig, daemon, 20)


@pytest.mark.parametrize("seconds", [3, 30])
async def test_a_lock_of_another_process_is_waited_for_and_named(tmp_path: Path, seconds: int) -> None:
    rig = Rig(tmp_path)
    async with rig.api(), rig.daemon() as daemon:
        await wait_until_ready(daemon)
        with closing(sqlite3.connect(rig.ledger)) as other:
            other.execute("BEGIN EXCLUSIVE")
            rig.world.arrive(20, "outbreak")
            await asyncio.wait([asyncio.create_task(daemon.process.wait())], timeout=seconds)
        if seconds > BUSY:
            assert await daemon.ended() == 3
            assert "was kept locked by another process for 10 s" in daemon.log.splitlines()[-1]
    async with rig.api(), rig.daemon() as daemon:
        await is_done(rig, daemon, 20)


async def keep_read_only(rig: Rig, folder: Path) -> Told:
    again = await asyncio.create_subprocess_exec("mount", "-o", "remount,ro", folder)
    assert await again.wait() == 0
    return await rig.command("run")


async def fill_up(rig: Rig, folder: Path) -> Told:
    fill(folder)
    return await rig.command("run")


ROOMS: Mapping[str, tuple[Callable[[Rig, Path], Awaitable[Told]], str]] = MappingProxyType({
    "read-only": (keep_read_only, "Read-only file system"), "full": (fill_up, "full"),
})  # fmt: skip


@pytest.mark.parametrize("room", ROOMS)
async def test_a_folder_without_room_is_named(tmp_path: Path, room: str) -> None:
    act, sentence = ROOMS[room]
    async with disk(tmp_path / "disk", "size=1m") as folder:
        assert sentence in refused(await act(on(Rig(tmp_path), folder), folder))
