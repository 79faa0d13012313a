"""What is remembered of the fields that records have, so that one that has gone is missed after a restart, too."""

from typing import NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, select

from worker.ledger.db.dialects import upsert
from worker.ledger.db.tables import meta


class Track(Struct, omit_defaults=True):
    """What the records of a group had of one field, as far as they were looked at. Times are those of the records."""

    began: float = 0.0
    """The first record that was looked at."""
    last: float = 0.0
    """The last one."""
    looked: int = 0
    lacked: int = 0
    """How many were looked at, and how many of them lacked it: lately, as both are halved now and then."""
    usual_at: float = 0.0
    """The last record until which practically all had it; 0 when there was none."""
    read_at: float = 0.0
    """When that record was read, or a later one before which nothing that lacked it is still to be judged again."""
    had: int = 0
    """Records in a row that had it."""
    pause: float = 0.0
    """The longest pause in seconds between two records that had it; it fades with each one that comes."""
    missed: int = 0
    """Records in a row that lacked it; 0 when the last one had it. Of a list, its entries."""
    since: float = 0.0
    """The first of these."""


class Return(NamedTuple):
    """A field that had gone and is back: from when to when it was missing, as records were read."""

    start: float
    end: float


class FieldMemory(Struct):
    """The tracks of the fields of one kind of record, by their path: is it there at all, and is it more than null?"""

    there: dict[str, Track] = {}
    filled: dict[str, Track] = {}
    known: tuple[str, ...] = ()
    """Of a list: the ids of some entries that the last read showed."""
    returns: dict[str, Return] = {}
    """By path: what is back, until it has been seen to that what was judged without it is judged again."""


Memories = dict[str, FieldMemory]
"""By the name of the group of records."""
_decode = msgspec.json.Decoder(Memories).decode


def read_presence(conn: Connection, account: str) -> Memories:
    """Return what is remembered of the fields of each group of records."""
    kept = conn.scalar(select(meta.c.value).where(meta.c.name == _name(account)))
    return _decode(kept) if kept else {}


def encode(memories: Memories) -> str:
    """Write what is remembered of the fields of each group of records."""
    return msgspec.json.encode(memories).decode()


def keep_presence(conn: Connection, account: str, kept: str) -> None:
    """Write down what is remembered, as ``encode`` writes it."""
    upsert(conn, meta, [{"name": _name(account), "value": kept}], ("value",))


def _name(account: str) -> str:
    return f"presence/{account}"
