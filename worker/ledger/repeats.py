"""Repeats: what an event wants once more that is judged again in the same state. It is neither asked nor done twice."""

from sqlalchemy import Row, between

from worker.ledger.db.tables import entries
from worker.ledger.entries import RETIRABLE, Draft, Entry
from worker.ledger.unit_of_work import UnitOfWork
from worker.ledger.values import thing_of

LIVE = frozenset({"ready", "waiting"})
NOTHING_CAME_OF_IT = frozenset({"observed", "moot"})


def stands_on(entry: Entry, reason: Row[tuple[object, ...]], draft: Draft) -> bool:
    """Tell whether a draft gives an entry that has not begun the very reason which it has already."""
    same = (draft.mode, draft.item_kind, set(draft.rules)) == (reason.mode, reason.item_kind, set(reason.rules))
    return draft.state in LIVE and same and _wants(draft, entry)


def find_same(work: UnitOfWork, draft: Draft) -> Entry | None:
    """Return what was entered for an earlier sight of the same event and is not to be entered again.

    What has not begun is left out, but for notices: it is met like any other wish.
    """
    thing = thing_of(draft.cause)
    earlier = work.load(between(entries.c.cause, f"{thing}/", f"{thing}0"))
    return next((one for one in earlier if _wants(draft, one) and _covers(draft, one)), None)


def _wants(draft: Draft, entry: Entry) -> bool:
    return (draft.lane, draft.target, draft.action) == (entry.lane, entry.target, entry.action)


def _covers(draft: Draft, entry: Entry) -> bool:
    """Tell whether an entry has answered what a draft of the same action would ask for."""
    if entry.cause == draft.cause or draft.item_kind != entry.item_kind or not set(draft.rules) <= set(entry.rules):
        return False
    if draft.state not in LIVE:
        return entry.state == draft.state
    return entry.state not in NOTHING_CAME_OF_IT and (entry.lane == "notice" or entry.state not in RETIRABLE)
