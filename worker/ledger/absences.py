"""Absences: what was judged while a field was missing is read and judged again once the field is back."""

from collections.abc import Sequence
from math import ceil, floor

from msgspec.structs import asdict, replace
from sqlalchemy import Integer, cast, func, select

from worker.ledger.db.dialects import upsert
from worker.ledger.db.tables import absences, sights
from worker.ledger.records import instant
from worker.ledger.sights import list_absences
from worker.ledger.slices import keep_slices
from worker.ledger.unit_of_work import UnitOfWork
from worker.ledger.values import Absence, Slice


def end_absences(work: UnitOfWork, source: str, stride: float, ended: Sequence[Absence]) -> None:
    """Let everything of a source be judged again that was seen while fields were missing which are back by now.

    All are about the events of that source. What is known of already is left out. A stretch that is read again lasts
    at most about ``stride`` seconds.
    """
    new = [one for one in ended if not _is_known(work, one)]
    stretches = _list_stretches(work, source, stride, new) if new else []
    for one in new:
        upsert(work.conn, absences, [{"account": work.account, **asdict(one)}], ("end",))
        told = {"start": instant(one.start), "end": instant(one.end)}
        work.chain.add("field back", source=source, kind=one.kind, field=one.field, **told)
    keep_slices(work.conn, work.account, stretches)


def _is_known(work: UnitOfWork, absence: Absence) -> bool:
    """Tell whether the whole of an absence has been noted before; what was judged again since was seen later."""
    known = list_absences(work.conn, work.account, absence.kind)
    return any(one.field == absence.field and one.start <= absence.start and absence.end <= one.end for one in known)


def _list_stretches(work: UnitOfWork, source: str, stride: float, new: Sequence[Absence]) -> list[Slice]:
    """Return the stretches of a source that hold what was seen meanwhile, whenever that happened."""
    start, end = min(one.start for one in new), max(one.end for one in new)
    mine = sights.c.account == work.account, sights.c.kind == new[0].kind, sights.c.seen_at.between(start, end)
    times = select(func.min(sights.c.time), func.max(sights.c.time)).where(*mine)
    rows = work.conn.execute(times.group_by(cast(sights.c.time / stride, Integer)))
    why = f"judged while {', '.join(sorted({one.field for one in new}))} was missing"
    common = Slice(source=source, kind="again", start=0.0, end=0.0, why=why, opened=work.now)
    return [replace(common, start=floor(first), end=min(ceil(last) + 1.0, work.now)) for first, last in rows]
