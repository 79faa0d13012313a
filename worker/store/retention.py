"""What is kept for how long; pruning leaves a checkpoint, so that the chain of records still verifies."""

from sqlalchemy import delete, func, select

from worker.store.entry import FINAL
from worker.store.pen import Pen
from worker.store.records import head
from worker.store.tables import broken, counts, entries, maybes, mishaps, orders, records, sights

KINDS = ("Message", "Report", "Submission", "BlockedSender")


def prune(pen: Pen, sights_before: float, keep_before: float) -> None:
    """Delete sights of things older than one time, and what was settled and recorded before another."""
    for table in (sights, maybes):
        old = (table.c.account == pen.account, table.c.kind.in_(KINDS), table.c.time < sights_before)
        pen.conn.execute(delete(table).where(*old))
    settled = (entries.c.state.in_(FINAL), entries.c.settled_at < keep_before)
    pen.conn.execute(delete(entries).where(entries.c.account == pen.account, *settled))
    for table in (counts, mishaps, broken, orders):
        pen.conn.execute(delete(table).where(table.c.account == pen.account, table.c.at < keep_before))
    _prune_records(pen, keep_before)


def _prune_records(pen: Pen, keep_before: float) -> None:
    """Cut off the beginning of the chain; a new record at its end tells the hash at the cut."""
    mine = records.c.account == pen.account
    kept = pen.conn.scalar(select(func.min(records.c.number)).where(mine, records.c.at >= keep_before))
    through = (kept or head(pen.conn, pen.account)[0]) - 1
    cut = pen.conn.scalar(select(records.c.hash).where(mine, records.c.number == through))
    if cut:
        pen.conn.execute(delete(records).where(mine, records.c.number <= through))
        pen.chain.add("pruned", through=through, cut=cut)
