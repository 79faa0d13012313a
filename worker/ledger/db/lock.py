"""The lock file beside an SQLite ledger: one daemon at a time, said with its process id."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.errors import StoreError


@contextmanager
def hold_lock(ledger: Path) -> Iterator[None]:
    """Hold the lock of this ledger; raise StoreError naming the process that holds it.

    It lies beside the file itself, so that two links to one ledger have one lock. The system
    lets go of it when the process ends, however it ends; the file itself stays.
    """
    file = Path(os.path.realpath(ledger))
    path = file.with_name(file.name + ".lock")
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StoreError(
            f"the lock file {path} cannot be opened for writing ({error.strerror}): let this user write it and its "
            "folder, or change WORKER_STORE_URL"
        ) from error
    try:
        _take(handle, path)
        yield
    finally:
        os.close(handle)


class LedgerFile:
    """The file that a daemon has open. Under its name there must be no other one, or orders would reach nobody."""

    def __init__(self, ledger: Path | None) -> None:
        """Remember which file it is; None is a ledger in memory."""
        self._ledger, self._known = ledger, _identify(ledger)

    def check(self) -> None:
        """Raise StoreError if the file was removed or replaced."""
        if _identify(self._ledger) != self._known:
            raise StoreError(
                f"the ledger {self._ledger} was removed or replaced while this worker had it open, so the worker ends: "
                "find out who did that, put back the file that WORKER_STORE_URL is to name, and start the worker again"
            )


def _identify(ledger: Path | None) -> tuple[int, int] | None:
    """Return which file has this name now; the file is not opened, as closing it would undo SQLite's locks."""
    try:
        state = ledger.stat() if ledger else None
    except OSError:
        return None
    return (state.st_dev, state.st_ino) if state else None


def _take(handle: int, path: Path) -> None:
    """Lock an open file and write our process id into it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError as error:
        holder = os.read(handle, 20).decode("ascii", "replace").strip() or "unknown"
        raise StoreError(
            f"another worker (process {holder}) holds {path}: one ledger has one worker, so stop that one first; "
            "WORKER_STORE_URL names the ledger"
        ) from error
    except OSError as error:
        raise StoreError(
            f"{path} cannot be locked ({error.strerror}): WORKER_STORE_URL must lie on a disk that has some space left "
            "and knows file locks"
        ) from error
