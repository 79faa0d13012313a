"""What people and metrics ask of the ledger; nothing here writes."""

from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

from msgspec import Struct
from msgspec.json import Decoder
from sqlalchemy import Connection, LargeBinary, case, cast, func, select, union

from worker.ledger.db.dialects import chunks
from worker.ledger.db.tables import broken, entries, intervals, meta, mishaps, records, slices
from worker.ledger.entries import DENIED, OPEN, Entry, Review
from worker.ledger.matching import MailFilter, by_rule, match
from worker.ledger.records import Verb
from worker.ledger.unit_of_work import SELECT_ENTRIES, entry_of
from worker.ledger.values import Broken, Mishap


class _Named(Struct):
    verb: str


_VERB = Decoder(_Named)
LINE = cast(records.c.line, LargeBinary)
"""Bytes, also where somebody has put text: that is for `worker audit verify` to find, and must stop nobody."""


class Wanted(NamedTuple):
    """Which entries are asked for; no state and no rule mean any."""

    states: tuple[str, ...]
    rule: str
    since: float
    limit: int


def list_entries(conn: Connection, account: str, wanted: Wanted) -> tuple[Entry, ...]:
    """Return the newest entries that are wanted, newest first."""
    query = SELECT_ENTRIES.where(entries.c.account == account, entries.c.created_at >= wanted.since)
    query = query.where(entries.c.state.in_(wanted.states)) if wanted.states else query
    query = query.where(by_rule(wanted.rule)) if wanted.rule else query
    return tuple(map(entry_of, conn.execute(query.order_by(entries.c.id.desc()).limit(wanted.limit))))


def list_decided(conn: Connection, account: str, items: Collection[str]) -> tuple[Entry, ...]:
    """Return the entries of some decisions, but for their notices."""
    found: list[Entry] = []
    for chunk in chunks(items):
        theirs = entries.c.item.in_(chunk), entries.c.account == account, entries.c.lane != "notice"
        found += map(entry_of, conn.execute(SELECT_ENTRIES.where(*theirs)))
    return tuple(found)


def list_unsettled(conn: Connection, account: str, now: float) -> tuple[Entry, ...]:
    """Return what is under way and due by now; what only Cloudflare decides is not."""
    under_way = entries.c.state.in_(OPEN), entries.c.review != "accepted", entries.c.ready_at <= now
    query = SELECT_ENTRIES.where(entries.c.account == account, *under_way)
    return tuple(map(entry_of, conn.execute(query.order_by(entries.c.scanned_at, entries.c.id))))


def count_entries(conn: Connection, account: str, now: float) -> dict[str, dict[str, int]]:
    """Return how many entries of each kind of action are in each state.

    Ready only after ``now`` is *later*. What Cloudflare decides, or did not grant, is told by its review: that it was
    asked for is no failure.
    """
    not_yet = (entries.c.state == "ready") & (entries.c.ready_at > now)
    reviewed = entries.c.review.in_(("accepted", *DENIED))
    state = case((not_yet, "later"), (reviewed, entries.c.review), else_=entries.c.state).label("told")
    query = select(entries.c.kind, state, func.count()).where(entries.c.account == account)
    counted: dict[str, dict[str, int]] = {}
    for kind, told, number in conn.execute(query.group_by(entries.c.kind, state)):
        counted.setdefault(kind, {})[told] = number
    return counted


def count_reviews(conn: Connection, account: str) -> dict[str, Counter[Review]]:
    """Return how many requests of each rule Cloudflare accepted, granted …; of rules that agree, each counts."""
    counted: dict[str, Counter[Review]] = {}
    query = select(entries.c.rules, entries.c.review, func.count()).where(entries.c.account == account)
    query = query.where(entries.c.lane == "verdict", entries.c.review != "")
    for rules, review, number in conn.execute(query.group_by(entries.c.rules, entries.c.review)):
        for rule in rules:
            counted.setdefault(rule, Counter())[review] += number
    return counted


def list_records(conn: Connection, account: str, after: int, limit: int) -> list[bytes]:
    """Return the records after a number as canonical JSON, in order."""
    query = select(LINE).where(records.c.account == account, records.c.number > after)
    return [bytes(line) for line in conn.scalars(query.order_by(records.c.number).limit(limit))]


class RecordQuery(NamedTuple):
    """Which audit records are asked for; what is empty or 0 means any."""

    account: str
    entry: str = ""
    mail: MailFilter = MailFilter()
    """Only records of entries about such mail, as long as the entry is kept."""
    after: int = 0
    since: float = 0.0
    newest_first: bool = False


def find_records(conn: Connection, wanted: RecordQuery, beyond: int, limit: int) -> list[bytes]:
    """Return records as canonical JSON from the one beyond this number on, in the order of the chain or against it."""
    number, mine = records.c.number, entries.c.account == wanted.account
    query = select(LINE).where(records.c.account == wanted.account, number > wanted.after)
    query = query.where(records.c.entry == wanted.entry) if wanted.entry else query
    query = query.where(records.c.at > wanted.since) if wanted.since else query
    if wanted.mail != MailFilter():
        query = query.where(records.c.entry.in_(select(entries.c.id).where(mine, match(wanted.mail))))
    if beyond:
        query = query.where(number < beyond if wanted.newest_first else number > beyond)
    return [
        bytes(line)
        for line in conn.scalars(query.order_by(number.desc() if wanted.newest_first else number).limit(limit))
    ]


def find_last(conn: Connection, account: str, verb: Verb) -> bytes:
    """Return the last record of a kind that belongs to no entry as canonical JSON, nothing when none is kept."""
    query = select(LINE).where(records.c.account == account, records.c.entry == "")
    lines = map(bytes, conn.scalars(query.order_by(records.c.number.desc())))
    return next((line for line in lines if _VERB.decode(line).verb == verb), b"")


def list_broken(conn: Connection, account: str) -> tuple[Broken, ...]:
    """Return the records that could not be read."""
    query = select(broken.c.raw, broken.c.why).where(broken.c.account == account).order_by(broken.c.at)
    return tuple(Broken(bytes(row.raw), row.why) for row in conn.execute(query))


def list_mishaps(conn: Connection, account: str) -> tuple[Mishap, ...]:
    """Return the events that rules failed on."""
    columns = [mishaps.c[name] for name in Mishap.__struct_fields__]
    query = select(*columns).where(mishaps.c.account == account).order_by(mishaps.c.at)
    return tuple(Mishap(**row._mapping) for row in conn.execute(query))  # noqa: SLF001


def list_accounts(conn: Connection) -> tuple[str, ...]:
    """Return every account that the ledger knows."""
    return tuple(sorted(conn.scalars(union(*(select(table.c.account) for table in (intervals, slices, entries))))))


def read_cursor(conn: Connection, account: str, sink: str) -> int:
    """Return the number of the last record that a sink has taken."""
    return int(conn.scalar(select(meta.c.value).where(meta.c.name == cursor_name(account, sink))) or 0)


def cursor_name(account: str, sink: str) -> str:
    """Return under which name a sink's cursor is kept."""
    return f"cursor/{account}/{sink}"
