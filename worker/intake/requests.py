"""Requests: our own for another verdict are followed by the submissions that are read anyway."""

from collections.abc import Sequence

from worker.judging.reviews import follow, id_of
from worker.ledger.entries import Outcome
from worker.ledger.ledger import Ledger
from worker.ledger.values import Reading


async def follow_requests(ledger: Ledger, account: str, readings: Sequence[Reading], at: float) -> tuple[Outcome, ...]:
    """Return what readings of submissions, begun at ``at``, show of requests under way; nothing is written."""
    submissions = [one.submission for one in readings if one.submission is not None]
    if not submissions:
        return ()
    asked = await ledger.find_asked(account, [id_of(one) for one in submissions])
    new = [entry.target for entry in asked if not entry.remote]
    tried = await ledger.find_tried(account, "verdict", new) if new else ()
    return tuple(follow(asked, submissions, at, (one.remote for one in tried)))
