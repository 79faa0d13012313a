"""Notices that a channel does not take: how many, since when, and what was said last."""

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, exists, func, or_, select

from worker.ledger.db.tables import entries

DAY = 86400.0
"""Seconds for which a notice that was given up is told of."""


class Untaken(NamedTuple):
    """Notices that a channel has not taken since it last took one."""

    channel: str
    notices: int
    given_up: int
    """How many of them are not tried any more."""
    since: float
    """When the oldest was decided."""
    said: str
    """Why the last one was not taken."""


def find_untaken(conn: Connection, account: str, now: float) -> tuple[Untaken, ...]:
    """Return the channels that fail, by what they have not taken."""
    return tuple(_find_untaken(conn, account, now))


def _find_untaken(conn: Connection, account: str, now: float) -> Iterator[Untaken]:
    mine = entries.c.account == account, entries.c.lane == "notice"
    gone = (entries.c.state == "failed") & (entries.c.settled_at >= now - DAY)
    lost = *mine, entries.c.attempts > 0, or_(entries.c.state.in_(("ready", "claimed", "unsure")), gone)
    columns = func.count(), func.sum(entries.c.state == "failed"), func.min(entries.c.created_at)
    query = select(entries.c.target, *columns, func.max(entries.c.claimed_at)).where(*lost, entries.c.said != "")
    # Grouped by no plain column: its index would lead the database through every entry of the account.
    grouped = query.group_by(entries.c.target.concat(""))
    for channel, notices, given_up, since, tried_at in conn.execute(grouped).all():
        works = *mine, entries.c.target == channel, entries.c.state == "done", entries.c.settled_at > tried_at
        if not conn.scalar(select(exists().where(*works))):
            last = select(entries.c.said).where(*lost, entries.c.target == channel, entries.c.said != "")
            said = conn.scalar(last.order_by(entries.c.claimed_at.desc()).limit(1)) or ""
            yield Untaken(channel, notices, int(given_up), since, said)
