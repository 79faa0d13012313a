"""The lock file beside an SQLite ledger: one daemon at a time, said with its process id and the file that it has."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from worker.errors import StoreError
from worker.walls.private_files import make_private, open_private

HOLDER = 20
"""Bytes of the process id, filled up with blanks: that much an older version reads."""
LONGEST = 100
GONE = (
    "was removed or replaced while this worker had it open, so the worker ends: find out who did that, put back the "
    "file that WORKER_STORE_URL is to name, and start the worker again"
)
Identity = tuple[int, int]
"""Device and inode: which file it is, whatever its name."""


@contextmanager
def hold_lock(ledger: Path | None) -> Iterator[None]:
    """Hold the lock of this ledger; raise StoreError naming the process that holds it. None needs no lock.

    It lies beside the file itself, so that two links to one ledger have one lock. The system
    lets go of it when the process ends, however it ends; the file itself stays.
    """
    if ledger is None:
        yield
        return
    path = find_lock(ledger)
    try:
        handle = open_private(path)
    except OSError as error:
        raise StoreError(
            f"the lock file {path} cannot be opened for writing ({error.strerror}): let this user write it and its "
            "folder, or change WORKER_STORE_URL"
        ) from error
    try:
        _take(handle, path, ledger)
        yield
    finally:
        os.close(handle)


def refuse_held(ledger: Path | None) -> None:
    """Raise StoreError if a worker holds the lock of this ledger; nothing is made, and a free lock stays free."""
    with suppress(FileNotFoundError, PermissionError):
        if ledger and (path := find_lock(ledger)).exists():
            with path.open("rb") as file:
                _refuse_held(file.fileno(), path)


def _refuse_held(handle: int, path: Path) -> None:
    """Raise StoreError, naming the process, if somebody else holds the lock of an open file; let go of it again."""
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise _name_holder(handle, path) from error
    fcntl.flock(handle, fcntl.LOCK_UN)


def find_lock(ledger: Path) -> Path:
    """Return where the lock file of a ledger lies."""
    file = Path(os.path.realpath(ledger))
    return file.with_name(file.name + ".lock")


class LedgerFile:
    """The file that a daemon has open, and its lock file. Were another one there, orders would reach nobody."""

    def __init__(self, ledger: Path | None) -> None:
        """Remember which files they are, under the lock; None is a ledger in memory."""
        self._known: dict[Path, tuple[str, Identity | None]] = {}
        if ledger:
            lock = find_lock(ledger)
            self._known = {ledger: ("ledger", _read_identity(ledger)), lock: ("lock file", _identify(lock))}

    def check(self) -> None:
        """Raise StoreError if one of them was removed or replaced."""
        for path, (what, known) in self._known.items():
            if _identify(path) != known:
                raise StoreError(f"the {what} {path} {GONE}")


def prepare_file(ledger: Path, *, exclusive: bool) -> None:
    """Make the file when it is not there, so that nobody else can read it.

    Raises StoreError when that cannot be, and for a ledger with a second name (a hard link), unless it is opened beside
    a daemon that knows it by this one.
    """
    try:
        with suppress(FileExistsError):
            os.close(make_private(Path(os.path.realpath(ledger))))
    except OSError as error:
        raise StoreError(
            f"the ledger {ledger} cannot be made ({error.strerror}): make some space on its disk, or change "
            "WORKER_STORE_URL"
        ) from error
    names = ledger.stat().st_nlink
    if names > 1 and (exclusive or _read_identity(ledger) != _identify(ledger)):
        raise StoreError(
            f"the ledger {ledger} has {names} names (hard links), and what is written by one may be lost by another: "
            f"find them with `find / -samefile {ledger}` and remove all but one; WORKER_STORE_URL names the ledger"
        )


def _identify(path: Path) -> Identity | None:
    """Return which file has this name now; the file is not opened, as closing it would undo SQLite's locks."""
    with suppress(OSError):
        state = path.stat()
        return state.st_dev, state.st_ino
    return None


def _read_identity(ledger: Path) -> Identity | None:
    """Return which file the last daemon by this name had open, as its lock file tells."""
    with suppress(OSError, ValueError):
        device, inode = map(int, find_lock(ledger).read_bytes()[HOLDER:LONGEST].split())
        return device, inode
    return None


def _take(handle: int, path: Path, ledger: Path) -> None:
    """Lock an open file, and write our process id into it, and which file the ledger is."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _write_holder(handle, ledger)
    except BlockingIOError as error:
        raise _name_holder(handle, path) from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StoreError(f"the disk that holds {path} is full: free some space or move WORKER_STORE_URL") from error
        raise StoreError(
            f"{path} cannot be locked ({error.strerror}): WORKER_STORE_URL must lie on a disk that knows file locks"
        ) from error


def _name_holder(handle: int, path: Path) -> StoreError:
    holder = os.read(handle, HOLDER).decode("ascii", "replace").strip() or "unknown"
    return StoreError(
        f"another worker (process {holder}) holds {path}: one ledger has one worker, so stop that one first; "
        "WORKER_STORE_URL names the ledger"
    )


def _write_holder(handle: int, ledger: Path) -> None:
    device, inode = _identify(ledger) or (0, 0)
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid():<{HOLDER}}{device} {inode}\n".encode(), 0)
