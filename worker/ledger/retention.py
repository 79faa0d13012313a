"""What is kept for how long; pruning leaves a checkpoint, so that the chain of records still verifies."""

from collections.abc import Mapping

from sqlalchemy import Select, delete, func, select

from worker.ledger.db.tables import (
    absences,
    broken,
    counts,
    entries,
    maybes,
    mishaps,
    orders,
    records,
    rule_tables,
    sights,
)
from worker.ledger.entries import FINAL, STATES
from worker.ledger.mails import forget_mails
from worker.ledger.records import head, instant
from worker.ledger.unit_of_work import UnitOfWork

UNSETTLED = frozenset(STATES) - FINAL


def prune(work: UnitOfWork, sights_before: Mapping[str, float], keep_before: float) -> None:
    """Delete sights of things older than their kind's time, and what was settled and recorded before another."""
    for kind, before in sights_before.items():
        for table in (sights, maybes):
            old = (table.c.account == work.account, table.c.kind == kind, table.c.time < before)
            work.conn.execute(delete(table).where(*old))
        over = (absences.c.account == work.account, absences.c.kind == kind, absences.c.end < before)
        work.conn.execute(delete(absences).where(*over))
    work.conn.execute(delete(rule_tables).where(rule_tables.c.number.not_in(select(sights.c.rule_table))))
    # What was final from the first has never settled.
    settled = (entries.c.state.in_(FINAL), entries.c.settled_at < keep_before, entries.c.created_at < keep_before)
    needed = entries.c.id.in_(_entries_to_end(work))
    work.conn.execute(delete(entries).where(entries.c.account == work.account, *settled, ~needed))
    forget_mails(work.conn, work.account, sights_before.get("Message", 0.0), keep_before)
    for table in (counts, mishaps, broken, orders):
        work.conn.execute(delete(table).where(table.c.account == work.account, table.c.at < keep_before))
    _prune_records(work, keep_before)


def _entries_to_end(work: UnitOfWork) -> Select[str]:
    """Select the list entries whose end is still to come: it takes back only what the ledger knows for its own."""
    ends = entries.alias()
    to_come = (ends.c.item_kind == "end", ends.c.state.in_(UNSETTLED))
    return select(ends.c.item_of).where(ends.c.account == work.account, *to_come)


def _prune_records(work: UnitOfWork, keep_before: float) -> None:
    """Cut off the beginning of the chain; a new record at its end tells the hash at the cut, and how old that was."""
    mine = records.c.account == work.account
    kept = work.conn.scalar(select(func.min(records.c.number)).where(mine, records.c.at >= keep_before))
    through = (kept or head(work.conn, work.account)[0]) - 1
    cut = work.conn.execute(select(records.c.hash, records.c.at).where(mine, records.c.number == through)).first()
    if cut:
        work.conn.execute(delete(records).where(mine, records.c.number <= through))
        work.chain.add("pruned", through=through, cut=cut.hash, until=instant(cut.at), before=instant(keep_before))
