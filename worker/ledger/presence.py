"""What is remembered of the fields that records have, so that one that has gone is missed after a restart, too."""

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, select

from worker.ledger.db.dialects import upsert
from worker.ledger.db.tables import meta


class Track(Struct, omit_defaults=True):
    """What the records of a source had of one field, as far as they were looked at. Times are those of the records."""

    kept: int = 0
    """Records in a row that had it; 0 when the last one had not."""
    minutes: int = 0
    """Minutes in which at least one of these came."""
    stood: float = 0.0
    """How many records those stand for that came after ``marked``, as not all are looked at."""
    marked: float = 0.0
    began: float = 0.0
    """The first of these."""
    last: float = 0.0
    """The last record that was looked at."""
    looked: int = 0
    lacked: int = 0
    """How many were looked at, and how many of them lacked it: lately, as both are halved now and then."""
    usual: bool = False
    """Whether it is in practically every record."""
    pace: float = 0.0
    """Seconds from one such minute to the next, while it was there."""
    gap: float = 0.0
    """Seconds from one record to the next, of the last fifty that had it."""
    missed: int = 0
    """Records in a row that lacked it; 0 when the last one had it."""
    since: float = 0.0
    """The first of these."""
    doubted: float = 0.0
    """The first that lacked it since it was last found to be usual; 0 when none did."""


class FieldMemory(Struct):
    """The tracks of the fields of one kind of record, by their path: is it there at all, and is it more than null?"""

    there: dict[str, Track] = {}
    filled: dict[str, Track] = {}


Memories = dict[str, FieldMemory]
"""By the name of the group of records."""
_decode = msgspec.json.Decoder(Memories).decode


def read_presence(conn: Connection, account: str) -> Memories:
    """Return what is remembered of the fields of each group of records."""
    kept = conn.scalar(select(meta.c.value).where(meta.c.name == _name(account)))
    return _decode(kept) if kept else {}


def keep_presence(conn: Connection, account: str, memories: Memories) -> None:
    """Write down what is remembered of the fields of each group of records."""
    upsert(conn, meta, [{"name": _name(account), "value": msgspec.json.encode(memories).decode()}], ("value",))


def _name(account: str) -> str:
    return f"presence/{account}"
