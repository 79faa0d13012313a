"""Crowding: how many events may be held, and the stretches of time that are read again when there is room for more."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace
from sqlalchemy import Connection, delete, func, select

from worker.language.models import URGENT
from worker.language.rules import Ask
from worker.ledger.db.dialects import chunks
from worker.ledger.db.tables import entries, held, sights, slices
from worker.ledger.sights import is_same
from worker.ledger.slices import keep_slices
from worker.ledger.unit_of_work import UnitOfWork
from worker.ledger.values import Held, Page, Pending, Reading, Sight, Slice

MOST_HELD = 10_000
"""Events of an account that are held at a time."""
AGAIN, NEAR = 300.0, 60.0
"""Seconds until a stretch is read again, and within which two are read as one."""
WHY = f"{MOST_HELD:,} events are held already, and no more: see worker held"
Key = tuple[str, float, str]
"""Kind, time and id of a thing."""
UNHEARD = "#unheard"
"""What the decision about an event ends with that rules could not judge in a day."""


def divide(work: UnitOfWork, items: Sequence[Held]) -> tuple[list[Held], list[Held]]:
    """Return what may be held, and the new events for which there is no room; the worst have theirs first."""
    known, new = [item for item in items if item.tries], [item for item in items if not item.tries]
    if not new:
        return known, []
    count = work.conn.scalar(select(func.count()).where(held.c.account == work.account)) or 0
    room = max(0, MOST_HELD - count)
    new.sort(key=lambda item: item.sight.reading.verdict not in URGENT)
    return [*known, *new[:room]], new[room:]


def leave_open(work: UnitOfWork, page: Page, left: Sequence[Held]) -> Page:
    """Let the time of events that cannot be held be read again; return the page as far as it is read by that."""
    if not left:
        return page
    if page.slice and page.slice.kind == "unheard":
        again = replace(page.slice, cursor=None, next_at=work.now + AGAIN)
        return replace(page, slice=again, closes=False, instead=())
    times = [item.sight.reading.thing.time for item in left]
    _add(work, page.source, min(times), max(times))
    return page


def _add(work: UnitOfWork, source: str, first: float, last: float) -> None:
    """Let a stretch be read again, as one with those near it. It differs from each, one of which may be in hand."""
    mine = (slices.c.account == work.account, slices.c.source == source, slices.c.kind == "unheard")
    near = (*mine, slices.c.start <= last + NEAR, slices.c.end >= first - NEAR)
    rows = work.conn.execute(select(slices.c.start, slices.c.end, slices.c.opened, slices.c.next_at).where(*near)).all()
    work.conn.execute(delete(slices).where(*near))
    whole = Slice(
        source=source,
        kind="unheard",
        start=min([first, *(row.start for row in rows)]) - 1,
        end=max([last + 1, *(row.end for row in rows)]),
        why=WHY,
        opened=min([work.now, *(row.opened for row in rows)]),
        next_at=min([work.now + AGAIN, *(row.next_at for row in rows)]),
    )
    keep_slices(work.conn, work.account, [whole])


def find_crowded_since(conn: Connection, account: str) -> float:
    """Return since when there are events that could not be held; 0 when there are none."""
    mine = (slices.c.account == account, slices.c.kind == "unheard")
    return conn.scalar(select(func.min(slices.c.opened)).where(*mine)) or 0.0


def find_unheard(conn: Connection, account: str, readings: Iterable[Reading], now: float) -> tuple[Held, ...]:
    """Return, as they are to be held, the sights about which rules have not been heard and that are not held."""
    latest = {(one.thing.kind, one.thing.time, one.thing.id): one for one in readings}
    found = [item for chunk in chunks(sorted(latest)) for item in _find_open(conn, account, chunk, latest, now)]
    gone = set[str]()
    for keys in chunks([item.sight.key for item in found]):
        gone.update(conn.scalars(select(held.c.key).where(held.c.account == account, held.c.key.in_(keys))))
        asked = entries.c.item.in_([f"{key}{UNHEARD}" for key in keys])  # a person has been asked instead
        gone.update(conn.scalars(select(entries.c.cause).where(entries.c.account == account, asked)))
    return tuple(item for item in found if item.sight.key not in gone)


def _find_open(
    conn: Connection, account: str, keys: Sequence[Key], latest: Mapping[Key, Reading], now: float
) -> Iterator[Held]:
    """Yield readings that are as they were seen last, while rules have not been heard about that, to be held."""
    times, ids = [time for _, time, _ in keys], [id_ for _, _, id_ in keys]
    near = (sights.c.account == account, sights.c.kind.in_({kind for kind, _, _ in keys}), sights.c.id.in_(ids))
    query = select(sights).where(*near, sights.c.time.between(min(times), max(times))).order_by(sights.c.number)
    last = {(row.kind, row.time, row.id): row for row in conn.execute(query)}
    for key in keys:
        row = last.get(key)
        asks = tuple(Ask(rule=one.rule) for one in row.answers if one.result == "held") if row else ()
        if row and asks and is_same(row.state, latest[key].state):
            sight, since = Sight(latest[key], row.number), row.seen_at or now
            yield Held(sight=sight, why="", since=since, tries=0, next_at=now, pending=Pending(asks=asks))
