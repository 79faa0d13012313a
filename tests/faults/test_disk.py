"""Disks and ledgers that are not as they should be: the worker ends with one sentence, and loses nothing."""

import asyncio
import sqlite3
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from tests.faults.rig import Rig, Told, until, until_it

pytestmark = pytest.mark.slow


@asynccontextmanager
async def disk(folder: Path, options: str) -> AsyncIterator[Path]:
    """Mount a small disk, or skip the test where that is not allowed."""
    folder.mkdir()  # noqa: ASYNC240 (nothing else is going on yet)
    mount = await asyncio.create_subprocess_exec("mount", "-t", "tmpfs", "-o", options, "tmpfs", folder, stderr=PIPE)
    _, said = await mount.communicate()
    if mount.returncode:
        pytest.skip(f"mounting a small disk needs root: {said.decode().strip()}")
    try:
        yield folder
    finally:
        unmount = await asyncio.create_subprocess_exec("umount", folder)
        assert await unmount.wait() == 0


def on(rig: Rig, folder: Path) -> Rig:
    """Let the ledger lie on a disk."""
    rig.ledger = folder / "worker.db"
    rig.environment["WORKER_STORE_URL"] = f"sqlite:///{rig.ledger}"
    return rig


def fill(folder: Path, leaving: int = 0) -> Path:
    """Fill a disk up to the last byte, or nearly."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            file.truncate(max(0, file.tell() - leaving))
    return ballast


def refused(told: Told) -> str:
    """Return the one sentence with which a worker ended that could not work."""
    (sentence,) = told.err.splitlines()
    assert (told.code, told.out, sentence.startswith("worker: ")) == (3, "", True)
    assert "WORKER_STORE_URL" in sentence
    return sentence


@pytest.mark.parametrize("leaving", [0, 40_960])
async def test_a_disk_that_is_full_at_start_is_named(tmp_path: Path, leaving: int) -> None:
    async with disk(tmp_path / "disk", "size=1m") as folder:
        rig = on(Rig(tmp_path), folder)
        fill(folder, leaving)
        assert "full" in refused(await rig.command("run"))


async def test_a_read_only_disk_is_named(tmp_path: Path) -> None:
    async with disk(tmp_path / "disk", "size=1m,ro") as folder:
        assert "Read-only" in refused(await on(Rig(tmp_path), folder).command("run"))


async def test_a_disk_that_fills_up_ends_the_worker_and_once_there_is_room_nothing_is_lost(tmp_path: Path) -> None:
    async with disk(tmp_path / "disk", "size=48m") as folder:
        rig = on(Rig(tmp_path), folder)
        async with rig.api():
            async with rig.daemon() as daemon:
                await until_it(daemon.is_ready, lambda: daemon.log)
                ballast = fill(folder)
                rig.world.arrive(100, "outbreak")
                assert await daemon.ended() == 3
                assert "is full: free some space or move WORKER_STORE_URL" in daemon.log.splitlines()[-1]
            ballast.unlink()
            async with rig.daemon() as daemon:
                await until(lambda: len(set(rig.ours())) == 100 and not rig.unsettled(), lambda: daemon.log)
                assert (await rig.command("audit", "verify")).code == 0
        assert len(rig.ours()) == 100


async def test_a_ledger_of_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    async with rig.api(), rig.daemon() as daemon:
        await daemon.logged("listening")
    with closing(sqlite3.connect(rig.ledger)) as ledger, ledger:
        ledger.execute("UPDATE alembic_version SET version_num = '9999'")
    for words in (("run",), ("run", "--once"), ("status",)):
        assert "newer version" in refused(await rig.command(*words))


async def test_a_ledger_that_another_daemon_holds_is_left_to_it(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    async with rig.api(), rig.daemon() as daemon:
        await daemon.logged("listening")
        for words in (("run",), ("run", "--once")):
            assert f"another worker (process {daemon.process.pid})" in refused(await rig.command(*words))
        assert (await rig.command("status")).code == 0
