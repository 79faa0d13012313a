"""What waits for a person: of what nobody was told yet, what people are told of once more, and what lapses."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, and_, distinct, func, or_, select, update

from worker.language.actions import AnyAction
from worker.ledger.db.dialects import chunks
from worker.ledger.db.tables import entries
from worker.ledger.entries import Entry
from worker.ledger.unit_of_work import UnitOfWork

UNDECIDED = (entries.c.state == "waiting") & (entries.c.approved_by == "")
"""What a person has approved waits for nobody but what is on its way to the same target."""
DECISIONS = func.count(distinct(entries.c.item))


class Waiting(Struct, frozen=True, kw_only=True):
    """An entry that waits for a person, as people are told of it."""

    id: str
    item: str
    action: AnyAction
    rules: tuple[str, ...]
    because: str
    said: str
    cause: str
    sender: str
    recipients: tuple[str, ...]
    subject: str
    created_at: float
    waits_since: float
    announced_at: float

    @property
    def is_told_again(self) -> bool:
        """Whether people were told before that it waits."""
        return self.announced_at >= self.waits_since


def name_decision(named: Entry | Waiting, same: Iterable[Entry | Waiting]) -> str:
    """Return what a person types for an entry and what waits with it because of the same event.

    An id alone stands for what it asked when it was entered. What it asks since a later moment is named with the
    seconds in between, so that nobody approves another question than the one that was shown.
    """
    later = int(max(one.waits_since for one in same) - named.created_at)
    return f"{named.id}@{later}" if later > 0 else named.id


COLUMNS = [entries.c[name] for name in Waiting.__struct_fields__]


def list_unannounced(conn: Connection, account: str, now: float, again_after: float) -> tuple[Waiting, ...]:
    """Return what waits without anybody being told, and what has waited so long that people are told once more."""
    query = select(*COLUMNS).where(_is_unannounced(account, now, again_after)).order_by(entries.c.id)
    return tuple(Waiting(**row._mapping) for row in conn.execute(query))  # noqa: SLF001 (public, in spite of its name)


def count_unannounced(conn: Connection, account: str, now: float, again_after: float) -> int:
    """Return how many decisions are to be announced."""
    return conn.scalar(select(DECISIONS).where(_is_unannounced(account, now, again_after))) or 0


def _is_unannounced(account: str, now: float, again_after: float) -> ColumnElement[bool]:
    again_at = entries.c.waits_since + again_after
    new = entries.c.announced_at < entries.c.waits_since
    due = or_(new, (again_at <= now) & (entries.c.announced_at < again_at))
    return and_(entries.c.account == account, UNDECIDED, due)


def mark_announced(conn: Connection, told: Sequence[Waiting], now: float) -> None:
    """Write down that people were told of these; what waits with another question by now is left alone."""
    by_time: dict[float, list[str]] = defaultdict(list)
    for one in told:
        by_time[one.waits_since].append(one.id)
    for since, ids in by_time.items():
        for chunk in chunks(ids):
            theirs = entries.c.id.in_(chunk), entries.c.waits_since == since
            conn.execute(update(entries).where(*theirs).values(announced_at=max(now, since)))


def count_undecided(conn: Connection, account: str) -> int:
    """Return how many decisions wait for a person."""
    return conn.scalar(select(DECISIONS).where(entries.c.account == account, UNDECIDED)) or 0


def lapse(work: UnitOfWork, after: float) -> int:
    """End what has waited for a person longer than ``after`` seconds; return how many."""
    old = work.load(UNDECIDED & (entries.c.waits_since < work.now - after))
    for entry in old:
        work.move(entry, "lapsed", "lapsed", said="nobody decided in time")
    return len(old)
