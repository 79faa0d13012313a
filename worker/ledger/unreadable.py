"""Records that could not be read: kept with their bytes, and read again until somebody can judge them."""

from msgspec import Struct
from sqlalchemy import Connection, func, select, update

from worker.ledger.db.tables import broken
from worker.ledger.unit_of_work import UnitOfWork

AGAIN = (300.0, 1800.0)
"""Seconds until a record is read again; hourly after these for a day, then daily."""
HOUR, DAY = 3600.0, 86400.0


class UnreadableRecord(Struct, frozen=True, kw_only=True):
    """A record that nobody has judged: where it is from, what names it, and its bytes."""

    digest: str
    source: str
    id: str
    raw: bytes
    why: str
    at: float
    tries: int


COLUMNS = [broken.c[name] for name in UnreadableRecord.__struct_fields__]


def list_due(conn: Connection, account: str, now: float, limit: int) -> tuple[UnreadableRecord, ...]:
    """Return the records that are to be read again, the longest waiting first."""
    mine = broken.c.account == account, broken.c.state == "open", broken.c.next_at <= now
    query = select(*COLUMNS).where(*mine).order_by(broken.c.next_at).limit(limit)
    return tuple(UnreadableRecord(**row._mapping) for row in conn.execute(query))  # noqa: SLF001


def count_open(conn: Connection, account: str) -> int:
    """Return how many records nobody has judged."""
    mine = broken.c.account == account, broken.c.state == "open"
    return conn.scalar(select(func.count()).where(*mine)) or 0


def end(work: UnitOfWork, record: UnreadableRecord) -> None:
    """Note that a record was read after all, and is judged."""
    mine = broken.c.account == work.account, broken.c.digest == record.digest
    work.conn.execute(update(broken).where(*mine).values(state="judged"))
    work.chain.add("record read", source=record.source, digest=record.digest, why=record.why)


def put_off(work: UnitOfWork, record: UnreadableRecord) -> None:
    """Note that a record still cannot be read, and when it is tried again."""
    age = work.now - record.at
    pause = AGAIN[record.tries] if record.tries < len(AGAIN) else HOUR if age < DAY else DAY
    mine = broken.c.account == work.account, broken.c.digest == record.digest
    work.conn.execute(update(broken).where(*mine).values(tries=record.tries + 1, next_at=work.now + pause))
