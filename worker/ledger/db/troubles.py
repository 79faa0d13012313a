"""What a database complains about, as one sentence for a tired person."""

from sqlalchemy.exc import DBAPIError

from worker.errors import StoreError

SENTENCES = {
    "SQLITE_FULL": "the disk that holds the ledger {place} is full: free some space or move WORKER_STORE_URL",
    "SQLITE_IOERR": "the ledger {place} could not be read or written ({said}): "
    "look at the disk behind WORKER_STORE_URL",
    "SQLITE_READONLY": "the ledger {place} is on a disk or in a folder that is read-only: make it writable or "
    "change WORKER_STORE_URL",
    "SQLITE_CANTOPEN": "the ledger {place} cannot be opened: make its folder exist and be writable, or change "
    "WORKER_STORE_URL",
    "SQLITE_PERM": "this user may not write the ledger {place}: change its permissions or WORKER_STORE_URL",
    "SQLITE_CORRUPT": "the ledger {place} is damaged ({said}): restore it from a backup, or give WORKER_STORE_URL "
    "another file",
    "SQLITE_NOTADB": "{place} is not a ledger but some other file: correct WORKER_STORE_URL",
    "SQLITE_BUSY": "the ledger {place} was kept locked by another process for 10 s: end that process and try again",
}
OTHERWISE = "the ledger {place} refused: {said}; look at WORKER_STORE_URL"
SAID_LIMIT = 300


def trouble(error: DBAPIError, place: str) -> StoreError:
    """Put what the database said into a sentence that names the ledger's place and what to do."""
    name = getattr(error.orig, "sqlite_errorname", "")
    family = "_".join(str(name).split("_")[:2])  # SQLITE_IOERR_WRITE and its sisters
    said = str(error.orig)[:SAID_LIMIT]
    return StoreError(SENTENCES.get(family, OTHERWISE).format(place=place, said=said))
