"""What a budget has spent lately, kept for the next start."""

import msgspec
from sqlalchemy import Connection, select

from worker.ledger.db.dialects import upsert
from worker.ledger.db.tables import spent
from worker.ledger.values import Spent


def keep_spent(conn: Connection, credential: str, buckets: Spent, now: float) -> None:
    """Write down what a budget has spent lately."""
    if buckets:
        row = {"credential": credential, "buckets": msgspec.json.encode(buckets).decode(), "at": now}
        upsert(conn, spent, [row], ("buckets", "at"))


def read_spent(conn: Connection, credential: str) -> tuple[tuple[float, int], ...]:
    """Return what a budget had spent when it was last written down."""
    text = conn.scalar(select(spent.c.buckets).where(spent.c.credential == credential))
    return msgspec.json.decode(text, type=tuple[tuple[float, int], ...]) if text else ()
