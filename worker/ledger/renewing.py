"""Renewing: a held event waits for a field that could not be read, until its record is read again with that field."""

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace
from sqlalchemy import bindparam, select, update

from worker.language.models import TRIGGERS
from worker.language.reading import Unreadable, read
from worker.ledger.db.dialects import chunks
from worker.ledger.db.statements import Statement
from worker.ledger.db.tables import held
from worker.ledger.entries import Order
from worker.ledger.unit_of_work import UnitOfWork
from worker.ledger.values import Reading, Sight, thing_of, write_key

WANTED = 0.0
"""When an event is tried again of which a person wants the record to be read first."""
FEW = 200
"""Held events of which the ids are looked for in a page, before the keys of all its records are written."""
SOME = Statement[tuple[str]](select(held.c.thing).where(held.c.account == bindparam("account")).limit(FEW + 1))


def renew(work: UnitOfWork, readings: Iterable[Reading]) -> None:
    """Let held events go on from records in which the fields can be read that rules wait for, and try them at once.

    A record that tells of another state is news, and overtakes what is held.
    """
    some = SOME.run(work.conn, account=work.account)
    ids = {thing.split("/", 2)[2] for (thing,) in some}
    met = (one for one in readings if len(some) > FEW or one.thing.id in ids)
    by_thing = {thing_of(write_key(one.thing, 1)): one for one in met}
    for chunk in chunks(by_thing):
        mine = held.c.account == work.account, held.c.thing.in_(chunk)
        for row in work.conn.execute(select(held.c.key, held.c.thing, held.c.sight, held.c.pending).where(*mine)):
            found = by_thing[row.thing]
            if row.pending.fields and not row.pending.fields & _list_unread(found):
                _renew(work, row.key, msgspec.msgpack.decode(row.sight, type=Sight), found)


def _renew(work: UnitOfWork, key: str, sight: Sight, found: Reading) -> None:
    if found.state != sight.reading.state or found.raw == sight.reading.raw:
        return
    new = msgspec.msgpack.encode(replace(sight, reading=found))
    mine = held.c.account == work.account, held.c.key == key
    work.conn.execute(update(held).where(*mine).values(sight=new, next_at=work.now))


def _list_unread(found: Reading) -> frozenset[str]:
    """Return the fields of a record that cannot be read by the rules: all, where they cannot be given it."""
    kind = TRIGGERS[found.thing.kind]
    try:
        return frozenset(read(kind, found.raw).unread)
    except Unreadable:
        return frozenset(kind.__struct_fields__)


def retry(work: UnitOfWork, wanted: Order) -> str:
    """Let held events be tried again at once, those that wait for a field from a new record; return what is said."""
    found = 0
    for chunk in chunks(sorted(wanted.covers)):
        mine = held.c.account == work.account, held.c.key.in_(chunk)
        for row in work.conn.execute(select(held.c.key, held.c.pending).where(*mine)).all():
            at, one = WANTED if row.pending.fields else work.now, held.c.key == row.key
            work.conn.execute(update(held).where(held.c.account == work.account, one).values(next_at=at))
            found += 1
    return f"{found} to be tried again" if found else "nothing of this is held any more: `worker held` lists what is"
