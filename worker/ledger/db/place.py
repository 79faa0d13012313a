"""Where a ledger lies, and what this user may do with it there."""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from worker.errors import StoreError

VERBS = {os.X_OK: "search", os.R_OK: "read", os.W_OK: "write to"}
PARTS_IN_USE = 3
"""A ledger in use has two files beside it; those that are missing are made in its folder."""
Need = tuple[Path, int]
"""A file or folder, and the right that is needed there."""


def place_of(url: str) -> Path | None:
    """Return the file of a store URL, None for a ledger in memory; raise StoreError for any other URL."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreError(f"WORKER_STORE_URL {url!r} is not a URL; write sqlite:///worker.db") from error
    if parsed.drivername != "sqlite" or parsed.host or parsed.query:
        shown = parsed.render_as_string(hide_password=True)
        raise StoreError(f"WORKER_STORE_URL {shown} is not supported; write sqlite:/// and the path of a file")
    if parsed.database in {None, "", ":memory:"}:
        return None
    return _check_path(_find_whole_path(str(parsed.database)))


def _find_whole_path(name: str) -> Path:
    try:
        return Path(name).absolute()
    except OSError as error:
        raise StoreError(
            f"WORKER_STORE_URL names {name}, and the folder that this command was started in is gone: change to "
            "another folder, or write the whole path"
        ) from error


def _check_path(ledger: Path) -> Path:
    """Return a path at which a ledger is or can be made; raise StoreError for any other."""
    for path in (ledger, _find_file(ledger)):
        _require(ledger, ((folder, os.X_OK) for folder in reversed(path.parents) if folder.is_dir()))
    if ledger.is_dir():
        raise StoreError(f"WORKER_STORE_URL names the folder {ledger}; name a file in it, such as {ledger}/worker.db")
    if not ledger.parent.is_dir():
        raise StoreError(f"WORKER_STORE_URL names {ledger}, but {ledger.parent} is not a folder; make it first")
    if ledger.exists() and not ledger.is_file():
        raise StoreError(f"WORKER_STORE_URL names {ledger}, which is a device or a pipe; name a file")
    return ledger


def _find_file(ledger: Path) -> Path:
    """Follow links: SQLite keeps its other files beside the file itself."""
    return Path(os.path.realpath(ledger))


def check_rights(ledger: Path, *, writes: bool) -> None:
    """Raise StoreError when this user may not read the ledger, or not write it."""
    _require(ledger, _list_needs(_find_file(ledger), writes=writes))


def may_write(ledger: Path) -> bool:
    """Tell whether this user may write the ledger, and the files beside it."""
    return all(os.access(path, right) for path, right in _list_needs(_find_file(ledger), writes=True))


def _list_needs(file: Path, *, writes: bool) -> Iterator[Need]:
    """Yield each right that is needed of what is there."""
    parts = [part for part in (file, _beside(file, "wal"), _beside(file, "shm")) if part.exists()]
    yield from ((part, os.R_OK) for part in parts)
    if writes:
        yield from ((part, os.W_OK) for part in parts)
        if len(parts) < PARTS_IN_USE:
            yield file.parent, os.W_OK


def _require(ledger: Path, needs: Iterable[Need]) -> None:
    """Raise StoreError for the first right that this user lacks."""
    for path, right in needs:
        if not os.access(path, right):
            raise StoreError(_explain_lack(ledger, path, right))


def _explain_lack(ledger: Path, path: Path, right: int) -> str:
    """Say what is in the way of a ledger, and what to do."""
    hindered = _describe_hindrance(ledger, right)
    if right == os.W_OK and os.statvfs(path).f_flag & os.ST_RDONLY:
        why = "its disk is mounted so (Read-only file system); make it writable or change WORKER_STORE_URL"
        return f"the ledger {ledger} {hindered}: {why}"
    state = path.stat()
    return (
        f"the ledger {ledger} {hindered}: this user (uid {os.geteuid()}) may not {VERBS[right]} {path}, which belongs "
        f"to uid {state.st_uid} and has the mode {stat.S_IMODE(state.st_mode):04o}; run the command as another user, "
        "change that mode, or change WORKER_STORE_URL"
    )


def _describe_hindrance(ledger: Path, right: int) -> str:
    if right == os.W_OK:
        return "is read-only" if ledger.exists() else "cannot be made"
    return "cannot be read"


def choose_reading(ledger: Path) -> str:
    """Return how SQLite is to open a ledger that must not be written to; raise StoreError when it cannot.

    A ledger in use has files beside it that tell what is in force. One without them is read as it stands.
    """
    file = _find_file(ledger)
    changes = _beside(file, "wal")
    if changes.exists() and _beside(file, "shm").exists():
        return "mode=ro"
    if changes.exists() and changes.stat().st_size:
        raise StoreError(
            f"the ledger {ledger} cannot be read where this user may not write, because its newest changes are still "
            f"in {changes}: copy both files into a folder of your own, and set WORKER_STORE_URL to the copy"
        )
    return "mode=ro&immutable=1"


def _beside(file: Path, suffix: str) -> Path:
    return file.with_name(f"{file.name}-{suffix}")
