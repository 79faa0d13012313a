"""The lock is tied to the file: whatever the file is called, and whatever takes its place."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cells import each
from worker.errors import StoreError
from worker.ledger.db.lock import LedgerFile, find_lock, hold_lock, prepare_file, refuse_held


def test_the_lock_file_names_the_process_and_the_file_that_it_has(tmp_path: Path) -> None:
    ledger = tmp_path / "worker.db"
    prepare_file(ledger, exclusive=True)
    state = ledger.stat()
    with hold_lock(ledger):
        told = find_lock(ledger).read_text()
    assert told.split() == [str(os.getpid()), str(state.st_dev), str(state.st_ino)]
    assert told[:20].strip() == str(os.getpid())  # as much as older versions read
    assert find_lock(ledger).exists()


def put_in_place(path: Path) -> None:
    path.with_name("other").write_bytes(path.read_bytes())
    path.with_name("other").rename(path)


def lead_elsewhere(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("third"))


@each("name", ["worker.db", "worker.db.lock", "link.db"])
@each("happens", [Path.unlink, put_in_place, lead_elsewhere])
def test_what_takes_the_place_of_the_ledger_or_its_lock_is_noticed(
    tmp_path: Path, name: str, happens: Callable[[Path], None]
) -> None:
    for file in tmp_path.iterdir():
        file.unlink()
    (tmp_path / "third").touch()
    (tmp_path / "link.db").symlink_to(tmp_path / "worker.db")
    prepare_file(tmp_path / "link.db", exclusive=True)
    with hold_lock(tmp_path / "link.db"):
        held = LedgerFile(tmp_path / "link.db")
        held.check()
        happens(tmp_path / name)
        with pytest.raises(StoreError, match=r"removed or replaced.*WORKER_STORE_URL"):
            held.check()


def test_a_ledger_is_told_from_its_lock_whatever_its_name_ends_with(tmp_path: Path) -> None:
    ledger = tmp_path / "mail.lock"
    prepare_file(ledger, exclusive=True)
    with hold_lock(ledger):
        held = LedgerFile(ledger)
        ledger.unlink()
        with pytest.raises(StoreError, match=r"^the ledger .*mail\.lock was removed or replaced"):
            held.check()


def test_a_ledger_with_two_names_is_opened_by_that_of_its_daemon_only(tmp_path: Path) -> None:
    ledger, other = tmp_path / "worker.db", tmp_path / "other.db"
    prepare_file(ledger, exclusive=True)
    with hold_lock(ledger):
        other.hardlink_to(ledger)
        prepare_file(ledger, exclusive=False)
        for name, exclusive in ((ledger, True), (other, True), (other, False)):
            with pytest.raises(StoreError, match=r"has 2 names \(hard links\).*-samefile.*WORKER_STORE_URL"):
                prepare_file(name, exclusive=exclusive)
    other.unlink()
    prepare_file(ledger, exclusive=True)


def test_a_ledger_that_another_worker_has_is_refused_before_anything_is_opened(tmp_path: Path) -> None:
    ledger = tmp_path / "worker.db"
    for free in (None, ledger):
        refuse_held(free)
    assert list(tmp_path.iterdir()) == []
    with hold_lock(ledger), pytest.raises(StoreError, match=rf"another worker \(process {os.getpid()}\) holds"):
        refuse_held(ledger)
    refuse_held(ledger)
    with hold_lock(ledger):
        pass
