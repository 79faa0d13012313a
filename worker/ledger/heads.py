"""Signed heads: the last one of each account, and those before it that are not handed on everywhere yet."""

from typing import NamedTuple

from sqlalchemy import Connection, LargeBinary, cast, delete, select

from worker.ledger.db.dialects import upsert
from worker.ledger.db.tables import meta, records


class Newest(NamedTuple):
    """The newest record of an account; ``at`` in seconds."""

    number: int
    hash: str
    at: float


class KeptHead(NamedTuple):
    """A signed head as it was written, and its number."""

    number: int
    line: bytes


def find_newest(conn: Connection, account: str) -> Newest | None:
    """Return the newest record, None when there is none."""
    columns = records.c.number, records.c.hash, records.c.at
    query = select(*columns).where(records.c.account == account).order_by(records.c.number.desc()).limit(1)
    row = conn.execute(query).first()
    return Newest(*row) if row else None


def list_heads(conn: Connection, account: str) -> tuple[KeptHead, ...]:
    """Return the heads that are kept, in order."""
    query = select(meta.c.name, cast(meta.c.value, LargeBinary)).order_by(meta.c.name)
    rows = conn.execute(query.where(meta.c.name >= _name(account, 0), meta.c.name < f"{_prefix(account)}:"))
    found = ((name.removeprefix(_prefix(account)), line) for name, line in rows)
    return tuple(KeptHead(int(number), line) for number, line in found if number.isdecimal())


def keep_head(conn: Connection, account: str, head: KeptHead) -> None:
    """Keep a head."""
    upsert(conn, meta, [{"name": _name(account, head.number), "value": head.line.decode()}], ("value",))


def forget_heads(conn: Connection, account: str, before: int) -> None:
    """Forget the heads before a number."""
    conn.execute(delete(meta).where(meta.c.name >= _name(account, 0), meta.c.name < _name(account, before)))


def _prefix(account: str) -> str:
    return f"head/{account}/"


def _name(account: str, number: int) -> str:
    return f"{_prefix(account)}{number:012}"
