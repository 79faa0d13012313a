"""New files are for their owner, or for the group of a shared folder; what is there keeps its mode."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from sqlite3 import connect
from stat import S_IMODE

import pytest

from tests.cells import each
from worker.audit.sinks import FileSink
from worker.ledger.ledger import open_ledger
from worker.walls.private_files import make_private, open_private

UMASKS = (0o000, 0o022, 0o077, 0o777)


@contextmanager
def masked(umask: int) -> Iterator[None]:
    """Let new files lack these rights."""
    before = os.umask(umask)
    try:
        yield
    finally:
        os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    """Return the mode of each file, and remove it."""
    found = {file.name: S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
    for name in found:
        (folder / name).unlink()
    return found


@each("umask", UMASKS)
@each(("folder", "mode"), [(0o700, 0o600), (0o755, 0o600), (0o2770, 0o660), (0o2755, 0o660)])
async def test_whatever_the_worker_makes_is_private(tmp_path: Path, umask: int, folder: int, mode: int) -> None:
    os.chmod(tmp_path, folder)  # noqa: PTH101 (nothing else is going on)
    with masked(umask):
        async with open_ledger(f"sqlite:///{tmp_path}/worker.db", owner="x", exclusive=True):
            await FileSink(tmp_path / "heads").write(b"{}")
            names = {"worker.db", "worker.db-wal", "worker.db-shm", "worker.db.lock", "heads"}
            assert modes(tmp_path) == dict.fromkeys(names, mode)
        os.close(make_private(tmp_path / "key", shared=False))
        assert modes(tmp_path)["key"] == 0o600


@each("umask", UMASKS)
@each("mode", [0o600, 0o640, 0o644, 0o666])
def test_a_file_that_is_there_keeps_its_mode_and_sqlite_gives_it_to_its_own(
    tmp_path: Path, umask: int, mode: int
) -> None:
    ledger = tmp_path / "worker.db"
    ledger.touch()
    ledger.chmod(mode)
    with masked(umask), closing(connect(ledger)) as database:
        os.close(open_private(ledger))
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE one (two)")
        assert modes(tmp_path) == dict.fromkeys(["worker.db", "worker.db-wal", "worker.db-shm"], mode)


def test_a_link_to_nothing_leads_to_a_private_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.close(open_private(tmp_path / "link"))
    assert S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        make_private(tmp_path / "link")
