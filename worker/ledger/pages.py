"""Entering a page: its sights, entries and records, and how far the slice is read, in one transaction."""

from collections.abc import Collection, Iterable

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection, Select, Text, bindparam, delete, func, insert, select, update

from worker.ledger.cascade import see_through
from worker.ledger.crowding import divide, leave_open
from worker.ledger.db.dialects import chunks, upsert
from worker.ledger.db.statements import Statement
from worker.ledger.db.tables import broken, entries, held, intervals, meta, mishaps, slices
from worker.ledger.entering import place, retire
from worker.ledger.mails import keep_mails
from worker.ledger.records import about, instant
from worker.ledger.renewing import WANTED, renew
from worker.ledger.settling import settle
from worker.ledger.sights import complete, keep
from worker.ledger.slices import keep_slices
from worker.ledger.spending import keep_spent
from worker.ledger.unit_of_work import UnitOfWork
from worker.ledger.unreadable import (
    AGAIN,
    HALF_HEARD,
    end_half_heard,
    end_legible,
    find_half_heard,
    list_unread,
    name_gap,
)
from worker.ledger.values import REREAD, Coverage, Entered, Held, Page, Sight, Slice, thing_of

FAILED = "move_failed"
WHY = "the API shows a failed move of this message, after it had shown that it was moved"
AT_ONCE = 50
"""Held events handed out at a time."""
SOON, DAY = 60.0, 86400.0
"""Seconds by which coverage may be ahead of the time, and which are read again when it was further."""
READING = frozenset({"head", "gap"})
"""The kinds of slices that make coverage grow."""


ACCOUNT, SOURCE = bindparam("account", type_=Text), bindparam("source", type_=Text)
_mine = (intervals.c.account == ACCOUNT, intervals.c.source == SOURCE)
CLOSED = Statement[tuple[float, float]](
    select(intervals.c.start, intervals.c.end).where(*_mine).order_by(intervals.c.start)
)
PARTS = Slice.__struct_fields__
_in_hand = select(*(slices.c[name] for name in PARTS)).order_by(slices.c.start)
IN_HAND = Statement[tuple[object, ...]](_in_hand.where(slices.c.account == ACCOUNT, slices.c.source == SOURCE))
SINCE = Statement[tuple[str]](select(meta.c.value).where(meta.c.name == bindparam("name", type_=Text)))
DROP_SLICE = Statement[tuple[()]](
    delete(slices).where(*(column == bindparam(column.name) for column in slices.primary_key))
)
_met = (intervals.c.start <= bindparam("until"), intervals.c.end >= bindparam("since"))
READ_MET = Statement[tuple[float, float]](select(intervals.c.start, intervals.c.end).where(*_mine, *_met))
DROP_MET = Statement[tuple[()]](delete(intervals).where(*_mine, *_met))
CLOSE = Statement[tuple[()]](insert(intervals))


def coverage(conn: Connection, account: str, source: str) -> Coverage:
    """Return what is read of a source, and what is being read."""
    in_hand = [dict(zip(PARTS, row, strict=True)) for row in IN_HAND.run(conn, account=account, source=source)]
    return Coverage(
        closed=tuple(CLOSED.run(conn, account=account, source=source)),
        open=msgspec.convert(in_hand, tuple[Slice, ...]),
        since=read_since(conn, account, source),
        unread=list_unread(conn, account, source),
    )


def find_newest_end(conn: Connection) -> float:
    """Return up to when anything has been read, of any account: it is later than that; 0 when nothing has."""
    return float(conn.scalar(select(func.max(intervals.c.end))) or 0.0)


def mend_future(work: UnitOfWork, source: str) -> bool:
    """Take back what was noted as read of a time to come, with the day before it: nobody knows how far it was read."""
    mine = (intervals.c.account == work.account, intervals.c.source == source, intervals.c.end > work.now + SOON)
    ahead = work.conn.execute(select(intervals.c.start, intervals.c.end).where(*mine)).all()
    key = {"account": work.account, "source": source}
    since = read_since(work.conn, work.account, source)
    if not ahead and since <= work.now + SOON:
        return False
    kept = [{**key, "start": one.start, "end": work.now - DAY} for one in ahead if one.start < work.now - DAY]
    work.conn.execute(delete(intervals).where(*mine))
    begun = (slices.c.account == work.account, slices.c.source == source, slices.c.end > work.now + SOON)
    work.conn.execute(delete(slices).where(*begun))
    if kept:
        work.conn.execute(insert(intervals), kept)
    if since > work.now + SOON:
        work.conn.execute(delete(meta).where(meta.c.name == _since(work.account, source)))
    work.chain.add("future mended", source=source, until=instant(max([since, *(one.end for one in ahead)])))
    return True


def enter(work: UnitOfWork, page: Page) -> Entered:
    """Enter a page; raise Temporary, with nothing entered, when another page told of the same things first."""
    work.context = {"generation": page.generation} if page.generation else {}
    keep(work.conn, page)
    complete(work.conn, page)
    keep_mails(work.conn, page)
    _overtake(work, page)
    renew(work, page.readings)
    see_through(work)  # before anything new is entered: it must meet what has its turn again
    fitting, left = divide(work, page.held)
    late = _hold(work, replace(page, held=tuple(fitting)))
    _conclude(work, page, late)
    place(work, [draft for draft in page.drafts if draft.cause not in late])
    _keep_mishaps(work, page)
    read_again = end_legible(work, page.source, page.legible, page.legible_since)
    read_again += end_half_heard(work, page.source, page.verdicts, page.legible_since)
    _keep_broken(work, page)
    note_drift(work, page.failing)
    settle(work, page.outcomes)
    _advance(work, leave_open(work, page, left))
    keep_spent(work.conn, page.account, page.spent, page.now)
    return Entered(dict(work.entered), read_again, len(left))


def due_held(conn: Connection, account: str, now: float, in_hand: Collection[str] = ()) -> tuple[Held, ...]:
    """Return the held events that are to be tried again and are not being tried, longest waiting first."""
    mine = held.c.account == account, held.c.key.not_in(in_hand)
    due = *mine, held.c.next_at > WANTED, held.c.next_at <= now
    return _read_held(conn, select(held).where(*due).order_by(held.c.next_at).limit(AT_ONCE))


def find_wanted(conn: Connection, account: str) -> tuple[Held, ...]:
    """Return held events of which a person wants the records to be read again, longest held first."""
    mine = held.c.account == account, held.c.next_at == WANTED
    return _read_held(conn, select(held).where(*mine).order_by(held.c.since).limit(AT_ONCE))


def list_held(conn: Connection, account: str, limit: int) -> tuple[Held, ...]:
    """Return the held events, the newest first."""
    return _read_held(conn, select(held).where(held.c.account == account).order_by(held.c.since.desc()).limit(limit))


def hasten_held(conn: Connection, account: str, now: float, keys: Iterable[str] = ()) -> None:
    """Let all held events be tried again now, or only some, whatever a person wanted."""
    mine = held.c.account == account
    if not keys:
        conn.execute(update(held).where(mine, held.c.next_at > now).values(next_at=now))
    for chunk in chunks(keys):
        conn.execute(update(held).where(mine, held.c.key.in_(chunk)).values(next_at=now))


def _read_held(conn: Connection, query: Select[*tuple[object, ...]]) -> tuple[Held, ...]:
    return tuple(
        Held(
            sight=msgspec.msgpack.decode(row.sight, type=Sight),
            why=row.why,
            since=row.since,
            tries=row.tries,
            next_at=row.next_at,
            pending=row.pending,
        )
        for row in conn.execute(query)
    )


def _overtake(work: UnitOfWork, page: Page) -> None:
    """Let newer sights take the place of what older sights of the same things asked for, or were held for."""
    newest = {thing_of(sight.key): sight for sight in page.news.sights if sight.number > 1}
    retire(work, newest, page.drafts, page.held)
    for chunk in chunks(newest):
        mine = (held.c.account == page.account, held.c.thing.in_(chunk))
        for row in work.conn.execute(select(held.c.key, held.c.thing, held.c.why).where(*mine)):
            work.chain.add("overtaken", cause=row.key, by=newest[row.thing].key, why=row.why)
        work.conn.execute(delete(held).where(*mine))


def _conclude(work: UnitOfWork, page: Page, late: Collection[str]) -> None:
    """Take back what is not wanted any more of things that are judged again, once the last rule has answered."""
    open_ = {*late, *(item.sight.key for item in page.held), *(sight.key for sight in page.news.sights)}
    over = [one.sight for one in page.judgements if one.sight.lacked and one.sight.key not in open_]
    retire(work, {thing_of(sight.key): sight for sight in over}, page.drafts)


def _hold(work: UnitOfWork, page: Page) -> set[str]:
    """Keep events that cannot be judged yet, drop those that are; return the ones overtaken by a newer sight."""
    known = {*page.judged, *(item.sight.key for item in page.held if item.tries)}
    alive = _read_held_keys(work, known)
    rows = [_make_held_row(page.account, item) for item in page.held if _lives(item, alive) and not item.last]
    upsert(work.conn, held, rows, ("why", "tries", "next_at", "pending"))
    given_up = [item for item in page.held if item.last and item.sight.key in alive]
    for item in given_up:
        work.chain.add("given up", cause=item.sight.key, why=item.why, tries=item.tries)
    for chunk in chunks((*page.judged, *(item.sight.key for item in given_up))):
        work.conn.execute(delete(held).where(held.c.account == page.account, held.c.key.in_(chunk)))
    return known - alive


def _lives(item: Held, alive: set[str]) -> bool:
    return not item.tries or item.sight.key in alive


def _read_held_keys(work: UnitOfWork, keys: set[str]) -> set[str]:
    found: set[str] = set()
    for chunk in chunks(keys):
        found.update(work.conn.scalars(select(held.c.key).where(held.c.account == work.account, held.c.key.in_(chunk))))
    return found


def _make_held_row(account: str, item: Held) -> dict[str, object]:
    return {
        "account": account,
        "key": item.sight.key,
        "thing": thing_of(item.sight.key),
        "sight": msgspec.msgpack.encode(item.sight),
        "why": item.why,
        "since": item.since,
        "tries": item.tries,
        "next_at": item.next_at,
        "pending": item.pending,
    }


def _keep_mishaps(work: UnitOfWork, page: Page) -> None:
    """Keep what a rule failed on, so that the mended rule can judge it."""
    rows = [
        {
            "account": page.account,
            "rule": mishap.rule,
            "fingerprint": mishap.fingerprint,
            "cause": mishap.cause,
            "problem": mishap.problem,
            "raw": mishap.raw,
            "at": page.now,
        }
        for mishap in page.mishaps
    ]
    upsert(work.conn, mishaps, rows)
    for mishap in page.mishaps:
        who = [[mishap.rule, mishap.fingerprint]]
        work.chain.add("rule failed", rules=who, cause=mishap.cause, why=mishap.problem, **work.context)


def _keep_broken(work: UnitOfWork, page: Page) -> None:
    """Keep records that cannot be read, each once, however often they are read again."""
    told = find_half_heard(work.conn, page.account, page.source, [one.id for one in page.broken if one.judged])
    by_digest = {one.digest(page.source): one for one in page.broken if not (one.judged and one.id in told)}
    known: set[str] = set()
    for chunk in chunks(by_digest):
        mine = broken.c.account == page.account, broken.c.digest.in_(chunk)
        known.update(work.conn.scalars(select(broken.c.digest).where(*mine)))
    for digest in by_digest.keys() - known:
        one = by_digest[digest]
        row = {
            "account": page.account,
            "digest": digest,
            "raw": one.raw,
            "why": one.why,
            "at": page.now,
            "source": page.source,
            "id": one.id,
            "state": HALF_HEARD if one.judged else "open",
            "next_at": page.now + AGAIN[0],
            "start": one.start or page.now,
            "end": one.end or page.now,
        }
        work.conn.execute(insert(broken), [row])
        gap = "" if one.judged else name_gap(digest)
        work.chain.add("broken record", source=page.source, digest=digest, why=one.why, id=one.id, gap=gap)


def _advance(work: UnitOfWork, page: Page) -> None:
    """Write down how far the slice is read; one that is read to its end becomes coverage."""
    if page.since:
        upsert(work.conn, meta, [{"name": _since(page.account, page.source), "value": repr(page.since)}])
    if page.slice is None:
        return
    done = page.slice
    if page.closes or page.instead:
        key = {"kind": done.kind, "start": done.start, "end": done.end, "account": page.account, "source": done.source}
        DROP_SLICE.run(work.conn, **key)
    going_on = page.instead or (() if page.closes else (done,))
    keep_slices(work.conn, page.account, going_on)
    if page.closes and not page.instead and done.kind in READING:
        _close(work, done)
    elif page.closes and not page.instead and done.kind in REREAD:
        _tell_closed(work, done)


def _close(work: UnitOfWork, done: Slice) -> None:
    """Merge an interval that is read to its end with those it meets; a gap's end is on record."""
    key = {"account": work.account, "source": done.source}
    rows = READ_MET.run(work.conn, **key, since=done.start, until=done.end)
    DROP_MET.run(work.conn, **key, since=done.start, until=done.end)
    start = min((done.start, *(start for start, _ in rows)))
    end = max((done.end, *(end for _, end in rows)))
    CLOSE.run(work.conn, **key, start=start, end=end)
    if done.kind == "gap":
        _tell_closed(work, done)


def _tell_closed(work: UnitOfWork, done: Slice) -> None:
    told = {"start": instant(done.start), "end": instant(done.end), "opened": instant(done.opened)}
    work.chain.add("gap closed", source=done.source, why=done.why, **told)


def read_since(conn: Connection, account: str, source: str) -> float:
    """Return from when on a source is read, 0 when nothing of it is read yet."""
    found = SINCE.run(conn, name=_since(account, source))
    return float(found[0][0]) if found else 0.0


def _since(account: str, source: str) -> str:
    return f"since/{account}/{source}"


def note_drift(work: UnitOfWork, messages: Iterable[str]) -> None:
    """Note each move that was proved done of messages that now show a failed one."""
    for chunk in chunks(tuple(messages)):
        moved = (entries.c.lane == "placement") & (entries.c.kind == "Move") & (entries.c.state == "done")
        for entry in work.load(moved & entries.c.target.in_(chunk) & (entries.c.drifted_at == 0.0)):
            if entry.look and FAILED in entry.look.status:
                continue  # it showed a failed move of somebody else's before ours was sent
            work.touch(replace(entry, drifted_at=work.now))
            work.chain.add("drift", **about(entry), why=WHY)
