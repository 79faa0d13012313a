"""The domains whose mailboxes could be reached, and when last: a loss is told after a restart, too."""

import msgspec
from sqlalchemy import Connection, select

from worker.ledger.db.dialects import upsert
from worker.ledger.db.tables import meta


def read_integrated(conn: Connection, account: str) -> dict[str, float]:
    """Return when each domain's mailboxes could last be reached."""
    kept = conn.scalar(select(meta.c.value).where(meta.c.name == _name(account)))
    return msgspec.json.decode(kept, type=dict[str, float]) if kept else {}


def keep_integrated(conn: Connection, account: str, domains: dict[str, float]) -> None:
    """Write down when each domain's mailboxes could last be reached."""
    upsert(conn, meta, [{"name": _name(account), "value": msgspec.json.encode(domains).decode()}], ("value",))


def _name(account: str) -> str:
    return f"integrated/{account}"
