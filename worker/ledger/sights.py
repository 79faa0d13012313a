"""Sights: what a page of readings holds that the ledger has not seen."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from sqlite3 import IntegrityError
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from worker.errors import Temporary
from worker.language.actions import Escalate
from worker.ledger.db.dialects import add, chunks, upsert
from worker.ledger.db.statements import Statement
from worker.ledger.db.tables import absences, entries, maybes, rule_tables, sights
from worker.ledger.values import Absence, Judgement, NewSights, Page, Reading, RuleAnswer, RuleTable, Sight, Thing

Key = tuple[float, str]
NOT_JUDGED = (RuleAnswer(result="not_judged"),)
RELEASED = ("claimed", "sent", "unsure", "done")


class Past(NamedTuple):
    """A sight as it is on record."""

    time: float
    id: str
    number: int
    state: str
    verdict: str
    quarantined: int
    rule_table: int
    seen_at: float


# Written once, because this is asked with each page. The time range lets few rows be touched.
SEEN = select(*(sights.c[name] for name in Past._fields)).order_by(sights.c.time, sights.c.id, sights.c.number)
SEEN = SEEN.where(*(sights.c[name] == bindparam(name) for name in ("account", "kind")))
SEEN = SEEN.where(sights.c.time.between(bindparam("first"), bindparam("last")))
SEEN = SEEN.where(sights.c.id.in_(bindparam("ids", expanding=True)))


PARTS = Absence.__struct_fields__
ABSENCES = Statement[tuple[str, str, float, float]](
    select(*(absences.c[name] for name in PARTS)).where(
        *(absences.c[name] == bindparam(name) for name in ("account", "kind"))
    )
)


class Doubt(NamedTuple):
    """A return to an earlier state that was seen once."""

    time: float
    id: str
    state: str
    since: float


def news(conn: Connection, account: str, readings: Sequence[Reading], now: float, settle: float) -> NewSights:
    """Tell what is new; of several readings of one thing, the last counts. Nothing is written.

    A state seen before, though not last, may be a stale read: it counts when still so ``settle`` seconds later.
    """
    by_kind: dict[str, dict[Key, Reading]] = defaultdict(dict)
    for reading in readings:
        by_kind[reading.thing.kind][reading.thing.time, reading.thing.id] = reading
    fresh: list[Sight] = []
    doubtful: list[Reading] = []
    cleared: list[Thing] = []
    echoed: list[Sight] = []
    for kind, latest in by_kind.items():
        past, missed = _history(conn, account, kind, sorted(latest)), list_absences(conn, account, kind)
        doubts = _doubts(conn, account, kind, latest)
        again: list[tuple[Past, Sight]] = []
        for key, reading in latest.items():
            if key not in past:
                fresh.append(Sight(reading, 1))
                continue
            last = past[key][-1]
            doubt = doubts.get(key)
            if is_same(last.state, reading.state):
                cleared += [reading.thing] if doubt else []
                if lacked := find_lacked(missed, _find_judged(past[key]).seen_at):
                    fresh.append(_judge_again(past[key], reading, lacked))
                    continue
                # What an earlier version kept is kept whole from now on, and not judged again for that.
                echoed += [Sight(reading, last.number + 1)] if last.state != reading.state else []
            elif _is_unseen(past[key], reading) or _stands(doubt, reading, now, settle):
                again.append((last, Sight(reading, last.number + 1)))
            elif doubt is None or doubt.state != reading.state:
                doubtful.append(reading)
        ours = _find_own(conn, account, again)
        for _, sight in again:
            (echoed if sight.reading.thing.id in ours else fresh).append(sight)
    return NewSights(tuple(fresh), tuple(echoed), tuple(doubtful), tuple(cleared))


def list_absences(conn: Connection, account: str, kind: str) -> tuple[Absence, ...]:
    """Return when fields were missing from what events of a kind were judged by, all over by now."""
    rows = ABSENCES.run(conn, account=account, kind=kind)
    return msgspec.convert([dict(zip(PARTS, row, strict=True)) for row in rows], tuple[Absence, ...])


def find_lacked(known: Sequence[Absence], seen_at: float) -> tuple[str, ...]:
    """Return the fields that were missing at a time."""
    return tuple(sorted({one.field for one in known if one.start <= seen_at <= one.end}))


def keep(conn: Connection, page: Page) -> None:
    """Write down a page's sights and doubts; raise Temporary when another page told of one of them first."""
    seen = (*page.news.sights, *page.news.echoes)
    if seen:
        try:
            add(conn, sights, _list_rows(conn, page))
        except IntegrityError as error:
            raise Temporary(
                f"{page.source}: another page told of the same things first; this one is read again"
            ) from error
    changed = [sight.reading.thing for sight in seen if sight.number > 1]
    _clear(conn, page.account, (*changed, *page.news.cleared))
    doubts = [
        {**_key(page.account, reading.thing), "state": reading.state, "since": page.now} for reading in page.news.maybes
    ]
    upsert(conn, maybes, doubts, ("state", "since"))


def complete(conn: Connection, page: Page) -> None:
    """Write down what rules said later of sights that are on record: it takes the place of what they waited for."""
    new = {sight.key for sight in page.news.sights}
    later = [one for one in page.judgements if one.sight.key not in new]
    table = _number_table(conn, page.rule_table) if later else 0
    for one in later:
        key = {**_key(page.account, one.sight.reading.thing), "number": one.sight.number}
        mine = [sights.c[name] == value for name, value in key.items()]
        before = conn.scalar(select(sights.c.answers).where(*mine)) or ()
        again = {answer.rule for answer in one.answers}
        stands = [answer for answer in before if answer.result != "held" and answer.rule not in again]
        conn.execute(update(sights).where(*mine).values(answers=(*stands, *one.answers), rule_table=table))


def _list_rows(conn: Connection, page: Page) -> list[dict[str, object]]:
    """Return the rows of a page's sights, with what the rules said of each; our own acts are not judged."""
    table = _number_table(conn, page.rule_table) if page.news.sights else 0
    said = {one.sight.key: one.answers for one in page.judgements}
    judged = [_row(page, Judgement(one, said.get(one.key, ())), table) for one in page.news.sights]
    return [*judged, *(_row(page, Judgement(one, NOT_JUDGED), 0) for one in page.news.echoes)]


def _number_table(conn: Connection, table: RuleTable) -> int:
    """Return the number of a table of rules, which is kept once; 0 for one that nobody knows."""
    if not table.fingerprint:
        return 0
    known = conn.scalar(select(rule_tables.c.number).where(rule_tables.c.fingerprint == table.fingerprint))
    if known:
        return int(known)
    number = (conn.scalar(select(func.max(rule_tables.c.number))) or 0) + 1
    row = {"number": number, "fingerprint": table.fingerprint, "rules": table.rules}
    conn.execute(insert(rule_tables), [row])
    return number


def _history(conn: Connection, account: str, kind: str, things: Sequence[Key]) -> dict[Key, list[Past]]:
    """Return the sights of things that are handed in by time."""
    past: dict[Key, list[Past]] = defaultdict(list)
    for chunk in chunks(things):
        near = {"first": chunk[0][0], "last": chunk[-1][0], "ids": [id_ for _, id_ in chunk]}
        for row in conn.execute(SEEN, {"account": account, "kind": kind, **near}):
            past[row.time, row.id].append(Past._make(row))
    return past


def _doubts(conn: Connection, account: str, kind: str, things: Iterable[Key]) -> dict[Key, Doubt]:
    times = [time for time, _ in things]
    query = select(*(maybes.c[name] for name in Doubt._fields)).where(
        maybes.c.account == account, maybes.c.kind == kind, maybes.c.time.between(min(times), max(times))
    )
    return {(row.time, row.id): Doubt._make(row) for row in conn.execute(query)}


def is_same(kept: str, state: str) -> bool:
    """Tell whether a state on record is this one; of submissions, earlier versions kept the first two parts only."""
    if kept == state:
        return True
    return (kept.count("|"), state.count("|")) == (1, 2) and state.startswith(f"{kept}|")


def _is_unseen(past: Iterable[Past], reading: Reading) -> bool:
    """Tell whether a thing was never seen so; what is kept whole too does not count by its first parts."""
    states = [row.state for row in past]
    known = [one for one in states if not any(one != other and is_same(one, other) for other in states)]
    return not any(is_same(one, reading.state) for one in known)


def _find_judged(past: Sequence[Past]) -> Past:
    """Return the last sight that rules were asked about; after it, only our own acts came back."""
    return next((one for one in reversed(past) if one.rule_table), past[-1])


def _judge_again(past: Sequence[Past], reading: Reading, lacked: tuple[str, ...]) -> Sight:
    """Return a state once more that was judged without some fields, and has been known since it was new."""
    first = past[-1]
    for one in reversed(past):
        if one.state != first.state:
            break
        first = one
    known_at = reading.thing.time if first.number == 1 else first.seen_at
    return Sight(reading, past[-1].number + 1, lacked=lacked, known_at=known_at)


def _stands(doubt: Doubt | None, reading: Reading, now: float, settle: float) -> bool:
    """Tell whether a doubt was seen again, in a read that began late enough."""
    began = reading.look.at if reading.look else now
    return doubt is not None and doubt.state == reading.state and began - doubt.since >= settle


def _has_left_quarantine(last: Past, reading: Reading) -> bool:
    left = bool(last.quarantined) and reading.look is not None and not reading.look.quarantined
    return left and reading.thing.kind == "Message" and last.verdict == reading.verdict


def _was_escalated(last: Past, reading: Reading) -> bool:
    """Tell whether nothing about a submission has changed but that it is escalated now."""
    before, _, _ = last.state.rpartition("|")
    return reading.thing.kind == "Submission" and reading.state.lower() == f"{before}|escalated".lower()


def _find_own(conn: Connection, account: str, again: Iterable[tuple[Past, Sight]]) -> set[str]:
    """Return the things whose new state is, or may be, our own act coming back."""
    changed = [(last, sight.reading) for last, sight in again]
    released = [reading.thing.id for last, reading in changed if _has_left_quarantine(last, reading)]
    escalated = {reading.thing.id for last, reading in changed if _was_escalated(last, reading)}
    return _find_released(conn, account, released) | _find_escalated(conn, account, escalated)


def _find_released(conn: Connection, account: str, candidates: Sequence[str]) -> set[str]:
    """Return the messages that we ourselves released, or may have."""
    ours: set[str] = set()
    for chunk in chunks(candidates):
        query = select(entries.c.target).where(
            entries.c.account == account,
            entries.c.target.in_(chunk),
            entries.c.kind == "Release",
            entries.c.state.in_(RELEASED),
        )
        ours.update(conn.scalars(query))
    return ours


def _find_escalated(conn: Connection, account: str, candidates: set[str]) -> set[str]:
    """Return the submissions that we ourselves escalated, or may have; how that ended does not matter."""
    if not candidates:
        return set()
    tried = entries.c.lane == "verdict", entries.c.kind == "Escalate", entries.c.attempts > 0
    actions = conn.scalars(select(entries.c.action).where(entries.c.account == account, *tried))
    return {action.submission_id for action in actions if isinstance(action, Escalate)} & candidates


def _clear(conn: Connection, account: str, things: Iterable[Thing]) -> None:
    for thing in things:
        mine = [maybes.c[name] == value for name, value in _key(account, thing).items()]
        conn.execute(delete(maybes).where(*mine))


def _key(account: str, thing: Thing) -> dict[str, object]:
    return {"account": account, "kind": thing.kind, "time": thing.time, "id": thing.id}


def _row(page: Page, judgement: Judgement, table: int) -> dict[str, object]:
    reading = judgement.sight.reading
    return {
        **_key(page.account, reading.thing),
        "number": judgement.sight.number,
        "state": reading.state,
        "verdict": reading.verdict,
        "quarantined": int(reading.look is not None and reading.look.quarantined),
        "rule_table": table,
        "answers": judgement.answers,
        "seen_at": page.now,
    }
