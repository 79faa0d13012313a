"""What stands still in the ledger: events that wait for facts, and entries that something keeps back."""

from collections import Counter
from collections.abc import Collection

from msgspec import Struct
from sqlalchemy import Connection, func, select

from worker.ledger.db.tables import brakes, entries, held
from worker.ledger.unreadable import count_open


class Standstill(Struct, frozen=True, kw_only=True):
    """How many events are held, since when and why the oldest is; and how many ready entries what keeps back."""

    held: int = 0
    since: float = 0.0
    why: str = ""
    kept_back: dict[str, int] = {}
    unreadable: int = 0
    """Records that nobody has judged."""


def find_standstill(conn: Connection, account: str, now: float, lowered: Collection[str]) -> Standstill:
    """Return what stands still in an account."""
    mine = held.c.account == account
    count = conn.scalar(select(func.count()).where(mine)) or 0
    oldest = conn.execute(select(held.c.since, held.c.why).where(mine).order_by(held.c.since).limit(1)).first()
    return Standstill(
        held=count,
        since=oldest.since if oldest else 0.0,
        why=oldest.why if oldest else "",
        kept_back=_count_kept_back(conn, account, now, lowered),
        unreadable=count_open(conn, account),
    )


def _count_kept_back(conn: Connection, account: str, now: float, lowered: Collection[str]) -> dict[str, int]:
    """Count the ready entries that wait for a brake to be taken off, or for a rule to be mended."""
    on = conn.execute(select(brakes.c.rule, brakes.c.lane).where(brakes.c.account == account)).all()
    if not on and not lowered:
        return {}
    ready = entries.c.account == account, entries.c.state == "ready", entries.c.ready_at <= now
    query = select(entries.c.lane, entries.c.rules, func.count().label("number")).where(*ready)
    found: Counter[str] = Counter()
    stopped = {rule for rule, _ in on if rule}
    for lane, rules, number in conn.execute(query.group_by(entries.c.lane, entries.c.rules)):
        if any(not rule and not there for rule, there in on):
            found["the brake on everything"] += number
        elif any(there == lane for _, there in on):
            found[f"the brake on lane {lane}"] += number
        elif stopped.issuperset(rules):
            found[f"the brake on rule {', '.join(rules)}"] += number
        elif set(lowered).issuperset(rules):
            found[f"rule {', '.join(rules)}, which only observes until it is fixed"] += number
    return dict(found)
