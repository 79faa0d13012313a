"""Records that could not be read: kept with their bytes, and each a gap until somebody has judged it.

So is a message with a verdict that nobody knows, as not all rules can hear of it, until a person has looked at it or it
has come with another verdict, which they could hear.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Text, bindparam, exists, func, or_, select, true, update

from worker.language.actions import Keep
from worker.language.models import Message
from worker.language.reading import Unreadable, read
from worker.language.rules import APPROVE
from worker.ledger.db.dialects import chunks
from worker.ledger.db.statements import Statement
from worker.ledger.db.tables import broken
from worker.ledger.entering import place
from worker.ledger.entries import Draft, Order
from worker.ledger.records import instant
from worker.ledger.unit_of_work import UnitOfWork
from worker.ledger.values import Thing, write_key

AGAIN = (300.0, 1500.0)
"""Seconds until a record is read again, each after the one before; then hourly for a day, then daily."""
HOUR, DAY = 3600.0, 86400.0
HALF_HEARD = "half heard"
"""The state of a record that rules heard, although not those that name dispositions."""
SHORT = 12
"""Characters of a digest that name a gap."""


class OpenRecord(Struct, frozen=True, kw_only=True):
    """A record that nobody has judged, as people are told of it: where it is from, what names it, when it happened."""

    digest: str
    source: str
    id: str
    why: str
    at: float
    tries: int
    next_at: float
    start: float
    end: float
    state: str

    @property
    def is_half_heard(self) -> bool:
        """Whether it could be read, and only rules that name no dispositions heard it."""
        return self.state == HALF_HEARD

    @property
    def gap(self) -> str:
        """The id of the gap that it is."""
        return name_gap(self.digest)


class UnreadableRecord(OpenRecord, frozen=True, kw_only=True):
    """A record that nobody has judged, with its bytes."""

    raw: bytes


_unread = select(broken.c.start, broken.c.end).order_by(broken.c.start)
_unread = _unread.where(broken.c.state != "judged", broken.c.id == "", func.length(broken.c.raw) == 0)
UNREAD = Statement[tuple[float, float]](
    _unread.where(*(broken.c[name] == bindparam(name, type_=Text) for name in ("account", "source")))
)
OPEN = broken.c.state == "open"
IS_HALF_HEARD = broken.c.state == HALF_HEARD
ANY_OPEN = Statement[tuple[int]](select(exists().where(broken.c.account == bindparam("account"), OPEN)))
ANY_HALF_HEARD = Statement[tuple[int]](select(exists().where(broken.c.account == bindparam("account"), IS_HALF_HEARD)))
UNFINISHED = broken.c.state.in_(("open", HALF_HEARD))
COLUMNS = [broken.c[name] for name in UnreadableRecord.__struct_fields__]
TOLD = [broken.c[name] for name in OpenRecord.__struct_fields__]
NEWEST_FIRST = broken.c.at.desc(), broken.c.digest.desc()


def name_gap(digest: str) -> str:
    """Return the id of the gap that a record is, given the digest of its bytes."""
    return digest[:SHORT]


def list_due(conn: Connection, account: str, now: float, limit: int) -> tuple[UnreadableRecord, ...]:
    """Return the records that are to be read again, the longest waiting first."""
    return _list(conn, account, OPEN, broken.c.next_at <= now, limit=limit)


def list_open(conn: Connection, account: str) -> tuple[OpenRecord, ...]:
    """Return all records that nobody has judged, or not all rules could hear, those that came last first."""
    query = select(*TOLD).where(broken.c.account == account, UNFINISHED).order_by(*NEWEST_FIRST)
    return tuple(OpenRecord(**row._mapping) for row in conn.execute(query))  # noqa: SLF001 (public, in spite of its name)


def list_unread(conn: Connection, account: str, source: str) -> tuple[tuple[float, float], ...]:
    """Return the moments of a source of which nothing came, in order; those that a person has closed, too."""
    return tuple(UNREAD.run(conn, account=account, source=source))


def count_open(conn: Connection, account: str) -> int:
    """Return how many records nobody has judged."""
    mine = broken.c.account == account, OPEN
    return conn.scalar(select(func.count()).where(*mine)) or 0


def count_half_heard(conn: Connection, account: str) -> int:
    """Return how many records not all rules could hear, and nobody has closed."""
    return conn.scalar(select(func.count()).where(broken.c.account == account, broken.c.state == HALF_HEARD)) or 0


def find_half_heard(conn: Connection, account: str, source: str, ids: Iterable[str]) -> frozenset[str]:
    """Return which of these messages are kept as half heard, or were until a person closed them."""
    found: set[str] = set()
    for chunk in chunks(ids):
        mine = broken.c.account == account, broken.c.source == source, broken.c.id.in_(chunk)
        found.update(conn.scalars(select(broken.c.id).where(*mine, broken.c.state.in_((HALF_HEARD, "closed")))))
    return frozenset(found)


def find_settled(conn: Connection, account: str, digests: Iterable[str]) -> frozenset[str]:
    """Return which of some records are judged or closed."""
    found: set[str] = set()
    for chunk in chunks(digests):
        mine = broken.c.account == account, ~UNFINISHED, broken.c.digest.in_(chunk)
        found.update(conn.scalars(select(broken.c.digest).where(*mine)))
    return frozenset(found)


def end(work: UnitOfWork, record: UnreadableRecord) -> None:
    """Note that a record was read after all, and is judged: with it, other bytes of the same thing."""
    if _set_state(work, record, "judged"):  # else the page that told of it has ended it
        _record_end(work, record)


def end_legible(work: UnitOfWork, source: str, ids: Iterable[str], since: float) -> tuple[str, ...]:
    """Note that what could not be read of these ids up to then was read after all; return the digests of it."""
    if ANY_OPEN.run(work.conn, account=work.account) == [(0,)]:
        return ()
    ended: list[UnreadableRecord] = []
    for chunk in chunks(ids):
        mine = (broken.c.source == source) & broken.c.id.in_(chunk) & (broken.c.at <= since)
        ended += _list(work.conn, work.account, OPEN, mine)
        work.conn.execute(update(broken).where(broken.c.account == work.account, OPEN, mine).values(state="judged"))
    for record in ended:
        _record_end(work, record)
    return tuple(record.digest for record in ended)


def end_half_heard(work: UnitOfWork, source: str, verdicts: Mapping[str, str], since: float) -> tuple[str, ...]:
    """Note that messages kept by then have other, known verdicts, which all rules could hear; return their digests."""
    if ANY_HALF_HEARD.run(work.conn, account=work.account) == [(0,)]:
        return ()
    kept: list[UnreadableRecord] = []
    for chunk in chunks(verdicts):
        mine = (broken.c.source == source) & broken.c.id.in_(chunk) & (broken.c.at <= since)
        kept += _list(work.conn, work.account, IS_HALF_HEARD, mine)
    ended = [record for record in kept if _read_verdict(record.raw) != verdicts[record.id]]
    for record in ended:
        end(work, record)
    return tuple(record.digest for record in ended)


def _read_verdict(raw: bytes) -> str:
    """Return the verdict with which a message was kept: to know it by now does not mean that it was heard."""
    try:
        return read(Message, raw).final_disposition
    except Unreadable:
        return ""


def _record_end(work: UnitOfWork, record: UnreadableRecord) -> None:
    named = {"source": record.source, "digest": record.digest, "id": record.id, "gap": record.gap}
    work.chain.add("record read", why=record.why, **named)


def put_off(work: UnitOfWork, record: UnreadableRecord, leaves_at: float) -> None:
    """Note that a record still cannot be read, and when it is tried again: at the latest when it leaves the sweep."""
    tries, age = record.tries + 1, work.now - record.at
    pause = AGAIN[tries] if tries < len(AGAIN) else HOUR if age < DAY else DAY
    next_at = min(work.now + pause, max(leaves_at, work.now))
    mine = broken.c.account == work.account, broken.c.digest == record.digest
    work.conn.execute(update(broken).where(*mine).values(tries=tries, next_at=next_at))


def leave(work: UnitOfWork, record: UnreadableRecord, kind: str) -> None:
    """Put a record before a person that nobody could read while it was swept; its gap closes as not judged."""
    cause = write_key(Thing(kind, record.start, record.id or record.gap), 1)
    draft = Draft(
        lane="keep",
        target=record.id or record.gap,
        cause=cause,
        action=Keep(),
        state="waiting",
        mode=APPROVE,
        rules=(),
        fingerprints=(),
        because="look at it yourself: no rule could judge it",
        why="unreadable",
        why_waiting=f"the record of it cannot be read: {record.why}",
        item=f"{cause}#unreadable",
        scanned_at=record.start,
        known_at=record.at,
    )
    place(work, [draft])
    _close(work, record, "not judged")


def retry(work: UnitOfWork, wanted: Order) -> str:
    """Let a record be read again at once, or all; return what is said to who asked for it."""
    found = _find(work, wanted, OPEN)
    for record in found:
        mine = broken.c.account == work.account, broken.c.digest == record.digest
        work.conn.execute(update(broken).where(*mine).values(next_at=0.0))
    return f"{len(found)} to be read again" if found else _explain_none(wanted.subject)


def close(work: UnitOfWork, wanted: Order) -> str:
    """Close the gap of a record that nobody has judged, on a person's word; it is never read again."""
    found = _find(work, wanted, UNFINISHED) if wanted.subject else ()
    for record in found:
        _close(work, record, "closed", who=wanted.who, because=wanted.because)
    return f"{len(found)} closed" if found else _explain_none(wanted.subject)


def _list(
    conn: Connection, account: str, *conditions: ColumnElement[bool], limit: int | None = None
) -> tuple[UnreadableRecord, ...]:
    query = select(*COLUMNS).where(broken.c.account == account, *conditions).order_by(broken.c.next_at).limit(limit)
    return tuple(UnreadableRecord(**row._mapping) for row in conn.execute(query))  # noqa: SLF001


def _find(work: UnitOfWork, wanted: Order, kept: ColumnElement[bool]) -> list[UnreadableRecord]:
    """Return the records that an order covers or its subject names: by their gap or their own id; or all."""
    if wanted.covers:
        covered = (broken.c.digest.in_(chunk) for chunk in chunks(sorted(wanted.covers)))
        return [record for each in covered for record in _list(work.conn, work.account, kept, each)]
    named = or_(func.substr(broken.c.digest, 1, SHORT) == wanted.subject, broken.c.id == wanted.subject)
    return list(_list(work.conn, work.account, kept, named if wanted.subject else true()))


def _close(work: UnitOfWork, record: UnreadableRecord, state: str, **told: str) -> None:
    _set_state(work, record, state)
    times = {"start": instant(record.start), "end": instant(record.end), "opened": instant(record.at)}
    named = {"source": record.source, "gap": record.gap, "id": record.id, "outcome": state}
    named["reason"] = "unknown verdict" if record.is_half_heard else "unreadable"
    work.chain.add("gap closed", why=record.why, **named, **times, **told)


def _set_state(work: UnitOfWork, record: UnreadableRecord, state: str) -> int:
    """Give a state to a record, and to all others that tell of the same thing; return how many had another."""
    same = [broken.c.digest == record.digest]
    same += [(broken.c.source == record.source) & (broken.c.id == record.id)] if record.id else []
    mine = broken.c.account == work.account, broken.c.state == record.state
    # Either of them has its index; of both together, the database would read all that is open.
    return sum(work.conn.execute(update(broken).where(*mine, one).values(state=state)).rowcount for one in same)


def _explain_none(subject: str) -> str:
    return f"no unreadable record is named {subject!r}: `worker gaps` lists them"
