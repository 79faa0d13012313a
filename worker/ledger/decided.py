"""What became of something that waited for a person: who decided about it and when, found without reading the chain."""

from collections.abc import Iterator, Sequence
from itertools import chain

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, select, union

from worker.ledger.db.tables import entries, orders, reasons, records

DECIDED = {"approve": "approved", "refuse": "refused"}
"""Orders that decide, and what they make of an entry."""


NEWEST = 100
"""Entries of a decision that are looked at."""


class Decided(Struct, frozen=True, kw_only=True):
    """What became of it: what a person decided, or where nobody did, the state that it is in."""

    verb: str
    at: float
    who: str = ""


class _Line(Struct, frozen=True):
    verb: str
    who: str = ""


_LINE = msgspec.json.Decoder(_Line)


def find_decided(conn: Connection, account: str, name: str) -> Decided | None:
    """Return what became of an entry or a decision, or of what an order names; None for what nobody knows."""
    ids = _list_entries(conn, account, name)
    found = chain(_find_words(conn, account, ids), _find_orders(conn, account, name), _find_states(conn, account, ids))
    return next(found, None)


def _list_entries(conn: Connection, account: str, name: str) -> list[str]:
    """Return the newest entries of a name: of their own id, or that of a decision for which they stand."""
    of_item = select(entries.c.id).where(entries.c.account == account, entries.c.item == name)
    standing = select(reasons.c.entry).where(reasons.c.account == account, reasons.c.item == name)
    return [name, *sorted(conn.scalars(union(of_item, standing)))[-NEWEST:]]


def _find_words(conn: Connection, account: str, ids: Sequence[str]) -> Iterator[Decided]:
    """Yield what people decided about entries, the last first."""
    mine = records.c.account == account, records.c.entry.in_(ids)
    rows = conn.execute(select(records.c.number, records.c.line, records.c.at).where(*mine)).all()
    for row in sorted(rows, key=lambda row: row.number, reverse=True):
        told = _LINE.decode(row.line)
        if told.who and told.verb in DECIDED.values():
            yield Decided(verb=told.verb, who=told.who, at=row.at)


def _find_orders(conn: Connection, account: str, name: str) -> Iterator[Decided]:
    """Yield the orders that named it, the last first."""
    given = orders.c.account == account, orders.c.verb.in_(DECIDED), orders.c.subject == name
    columns = orders.c.verb, orders.c.who, orders.c.at
    for row in conn.execute(select(*columns).where(*given).order_by(orders.c.id.desc())):
        yield Decided(verb=DECIDED[row.verb], who=row.who, at=row.at)


def _find_states(conn: Connection, account: str, ids: Sequence[str]) -> Iterator[Decided]:
    """Yield the states of entries, that of the newest first."""
    columns = entries.c.state, entries.c.settled_at
    mine = entries.c.account == account, entries.c.id.in_(ids)
    for row in conn.execute(select(*columns).where(*mine).order_by(entries.c.id.desc())):
        yield Decided(verb=row.state, at=row.settled_at)
