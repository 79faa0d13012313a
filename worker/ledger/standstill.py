"""What stands still in the ledger: events that wait for facts, and entries that something keeps back."""

from collections import Counter
from collections.abc import Collection
from typing import Literal, NamedTuple

from msgspec import Struct
from sqlalchemy import Connection, bindparam, func, select

from worker.ledger.claiming import NOTHING_BRAKED, Braked, find_braked
from worker.ledger.crowding import find_crowded_since
from worker.ledger.db.tables import entries, held
from worker.ledger.notices import Untaken, find_untaken
from worker.ledger.unreadable import count_half_heard, count_open
from worker.ledger.values import HeldCause
from worker.ledger.waiting import UNDECIDED

Keeper = Literal["everything", "lane", "rule", "lowered"]
"""What keeps entries back: a brake on everything, on a lane or on a rule, or that the host has lowered the rule."""


LATE = 3600.0
"""Seconds by which the end of a list entry may be overdue because clocks disagree before anybody is told."""
OVERDUE = select(func.count(), func.min(entries.c.known_at)).where(
    entries.c.account == bindparam("account"),
    entries.c.state == "ready",
    entries.c.item_kind == "end",
    entries.c.known_at <= bindparam("before"),
    entries.c.ready_at > bindparam("past"),
)


class KeptBack(NamedTuple):
    """How many entries something keeps back; ``of`` names the lane, or the rules."""

    by: Keeper
    of: str
    entries: int


class Standstill(Struct, frozen=True, kw_only=True):
    """How many events are held and why; and how many ready entries what keeps back."""

    causes: tuple[HeldCause, ...] = ()
    """Why events are held: first the cause of the oldest, then what holds most."""
    braked: Braked = NOTHING_BRAKED
    kept_back: tuple[KeptBack, ...] = ()
    waiting: int = 0
    """Entries that wait for a person."""
    waiting_since: float = 0.0
    unreadable: int = 0
    """Records that nobody has judged."""
    half_heard: int = 0
    """Messages with a verdict that nobody knows, which rules that name dispositions did not hear."""
    overdue: int = 0
    """Ends of list entries that were due an hour ago by the API's time, and not by the clock of this machine."""
    overdue_since: float = 0.0
    untaken: tuple[Untaken, ...] = ()
    """Notices that channels do not take."""
    crowded_since: float = 0.0
    """Since when there are events that could not be held, because too many are; 0 when there are none."""

    @property
    def held(self) -> int:
        """How many events are held."""
        return sum(cause.events for cause in self.causes)

    @property
    def since(self) -> float:
        """Since when the oldest event is held, 0 when none is."""
        return min((cause.since for cause in self.causes), default=0.0)


def find_standstill(conn: Connection, account: str, now: float, lowered: Collection[str], past: float) -> Standstill:
    """Return what stands still in an account."""
    braked = find_braked(conn, account)
    waits = select(func.count(), func.min(entries.c.waits_since)).where(entries.c.account == account, UNDECIDED)
    waiting, waiting_since = conn.execute(waits).one()
    overdue, overdue_since = conn.execute(OVERDUE, {"account": account, "before": now - LATE, "past": past}).one()
    return Standstill(
        causes=_find_causes(conn, account),
        braked=braked,
        kept_back=_count_kept_back(conn, account, now, braked, lowered),
        waiting=waiting,
        waiting_since=waiting_since or 0.0,
        unreadable=count_open(conn, account),
        half_heard=count_half_heard(conn, account),
        overdue=overdue,
        overdue_since=overdue_since or 0.0,
        untaken=find_untaken(conn, account, now),
        crowded_since=find_crowded_since(conn, account),
    )


def _find_causes(conn: Connection, account: str) -> tuple[HeldCause, ...]:
    """Return why events are held: first the cause of the oldest, then what holds most."""
    is_new = (held.c.tries == 0).label("is_new")
    query = select(held.c.why, func.count(), func.min(held.c.since), is_new).where(held.c.account == account)
    found = [
        HeldCause(why, events, since, bool(new))
        for why, events, since, new in conn.execute(query.group_by(held.c.why, is_new))
    ]
    oldest = min((cause.since for cause in found), default=0.0)
    return tuple(sorted(found, key=lambda cause: (cause.since > oldest, -cause.events, cause.why)))


def _count_kept_back(
    conn: Connection, account: str, now: float, braked: Braked, lowered: Collection[str]
) -> tuple[KeptBack, ...]:
    """Count the ready entries that wait for a brake to be taken off, and what waits for a rule to be mended."""
    found = Counter[tuple[Keeper, str]]()
    mine, count = entries.c.account == account, func.count().label("number")
    # By rules first: an index that begins with the lane would lead the database through every entry of the account.
    query = select(entries.c.lane, entries.c.rules, count).where(mine).group_by(entries.c.rules, entries.c.lane)
    if lowered or braked != NOTHING_BRAKED:
        for lane, rules, number in conn.execute(query.where(entries.c.state == "ready", entries.c.ready_at <= now)):
            if keeper := _find_keeper(braked, lowered, lane, rules):
                found[keeper] += number
    if lowered:
        waiting = entries.c.state == "waiting", entries.c.why == "rule_lowered"
        for _, rules, number in conn.execute(query.where(*waiting)):
            if set(lowered).issuperset(rules):
                found["lowered", ", ".join(rules)] += number
    return tuple(KeptBack(by, of, number) for (by, of), number in found.items())


def _find_keeper(
    braked: Braked, lowered: Collection[str], lane: str, rules: Collection[str]
) -> tuple[Keeper, str] | None:
    """Say what keeps ready entries of a lane and of some rules back."""
    if braked.everything:
        return "everything", ""
    if lane in braked.lanes:
        return "lane", lane
    if braked.rules.issuperset(rules):
        return "rule", ", ".join(rules)
    return ("lowered", ", ".join(rules)) if set(lowered).issuperset(rules) else None
