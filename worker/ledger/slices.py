"""Slices: the stretches of a source that are being read, or are to be read."""

from collections.abc import Iterable

from msgspec.structs import asdict
from sqlalchemy import Connection

from worker.ledger.db.dialects import upsert
from worker.ledger.db.tables import slices
from worker.ledger.values import Slice


def keep_slices(conn: Connection, account: str, kept: Iterable[Slice]) -> None:
    """Write down slices, new ones and how far those are read that are known."""
    rows = [{**asdict(one), "account": account} for one in kept]
    upsert(conn, slices, rows, ("cursor", "why", "opened", "next_at"))
