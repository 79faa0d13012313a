"""Exposure: which files of the worker other users of this machine can read or write, by their modes."""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from worker.ledger.db.lock import find_lock
from worker.ledger.db.place import place_of
from worker.settings import NOTIFY, SECRET, Settings

READ, WRITE = stat.S_IROTH, stat.S_IWOTH
MEND = "take that right from them (chmod o-rw), or close a folder above"


def find_exposed(settings: Settings) -> Iterator[str]:
    """Yield which files are open to others, in sentences that say what follows and what to do."""
    ledger = place_of(settings.store_url)
    if found := _describe(_list_parts(ledger) if ledger else (), READ | WRITE):
        yield f"other users of this machine can read addresses and subjects, or lock the worker out: {found}; {MEND}"
    secrets = (file for file in _list_secrets(settings) if not _is_mounted_for_us(file))
    if found := _describe(secrets, READ | WRITE):
        yield f"other users of this machine can read secrets of the worker: {found}; {MEND}, and change the secrets"
    heads = settings.audit_heads
    if found := _describe([Path(heads)] if heads and "://" not in heads else (), WRITE):
        yield f"other users of this machine can write the signed heads, which prove nothing then: {found}; {MEND}"
    if ledger and (names := _count_names(ledger)) > 1:
        yield f"the ledger {ledger} has {names} names (hard links), with which the worker will not start again"


def _list_parts(ledger: Path) -> Iterator[Path]:
    """Yield the files of a ledger: what SQLite keeps beside it, the lock, and copies from before migrations."""
    file = Path(os.path.realpath(ledger))
    yield from (file, file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm"), find_lock(file))
    yield from sorted(file.parent.glob(f"{file.name}.[0-9][0-9][0-9][0-9]"))


def _list_secrets(settings: Settings) -> Iterator[Path]:
    """Yield the files from which secrets were read."""
    if settings.secrets:
        with suppress(OSError):
            names = sorted(settings.secrets.iterdir())
            yield from (file for file in names if file.name.upper() in SECRET or file.name.upper().startswith(NOTIFY))
    if settings.accounts_file:
        yield settings.accounts_file
    key = settings.audit_key.get_secret_value() if settings.audit_key else ""
    if key and not key.lstrip().startswith("-----BEGIN"):
        yield Path(key)


def _is_mounted_for_us(file: Path) -> bool:
    """Tell whether a file lies on a mount that is read-only, as orchestrators mount secrets into a container.

    There 0644 is usual, no other user is, and nobody inside can change the mode.
    """
    try:
        return bool(os.statvfs(file).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _describe(files: Iterable[Path], rights: int) -> str:
    """Name the files of which others have one of these rights, with their modes."""
    return ", ".join(f"{file} ({mode:04o})" for file in files if (mode := _read_mode(file)) & rights)


def _read_mode(file: Path) -> int:
    """Return the mode of a file; 0 when there is none, or when others do not get to it."""
    place = Path(os.path.realpath(file))
    try:
        is_reached = all(folder.stat().st_mode & stat.S_IXOTH for folder in place.parents)
        return stat.S_IMODE(place.stat().st_mode) if is_reached else 0
    except OSError:
        return 0


def _count_names(file: Path) -> int:
    try:
        return file.stat().st_nlink
    except OSError:
        return 0
