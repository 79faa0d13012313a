"""Claiming: the intent is written before a byte leaves, and everything that may have changed is asked again."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from msgspec.structs import replace
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    and_,
    bindparam,
    exists,
    func,
    not_,
    or_,
    select,
)

from worker.language.rules import APPROVE, ENFORCE, OBSERVE
from worker.ledger.cascade import is_end
from worker.ledger.db.dialects import chunks
from worker.ledger.db.statements import Statement
from worker.ledger.db.tables import brakes, entries, held
from worker.ledger.doubts import find_doubt
from worker.ledger.entries import FRESH, Claim, Entry, Look, Standing, Why
from worker.ledger.limits import Room
from worker.ledger.records import Json, instant
from worker.ledger.unit_of_work import SELECT_ENTRIES, Change, UnitOfWork, entry_of

PAUSE = 60.0
"""Seconds until the end of a list entry asks again under a ceiling that lets nothing be done."""


ACCOUNT: BindParameter[str] = bindparam("account")
_mine, _at = entries.c.account == ACCOUNT, entries.c.next_at.label("at")
_braked = exists().where(
    brakes.c.account == ACCOUNT, brakes.c.rule == "", or_(brakes.c.lane == entries.c.lane, brakes.c.lane == "")
)
_sent = or_(entries.c.state == "sent", entries.c.state == "unsure")
# Written once, because these questions are asked all the time.
NEXT_CLAIM = Statement[tuple[float | None]](select(func.min(_at)).where(_mine, entries.c.state == "ready", ~_braked))
NEXT_LOOK = Statement[tuple[float | None]](select(func.min(_at)).where(_mine, _sent))
NEXT_HELD = Statement[tuple[float | None]](select(func.min(held.c.next_at)).where(held.c.account == ACCOUNT))
BRAKES = Statement[tuple[str, str]](select(brakes.c.rule, brakes.c.lane).where(brakes.c.account == ACCOUNT))
ASKING = entries.c.lane == "verdict"
NOW: BindParameter[float] = bindparam("now")
PAST: BindParameter[float] = bindparam("past")
DUE_KINDS = (
    select(entries.c.kind)
    .where(_mine, entries.c.state == "ready", entries.c.next_at <= NOW, entries.c.ready_at <= PAST)
    .distinct()
)
OPEN_ENTRIES = SELECT_ENTRIES.where(_mine, entries.c.state.in_(bindparam("states", expanding=True)))
OPEN_ENTRIES = OPEN_ENTRIES.order_by(entries.c.scanned_at, entries.c.id)
DUE_ENTRIES = OPEN_ENTRIES.where(entries.c.next_at <= NOW)
ON_TARGETS = SELECT_ENTRIES.where(_mine, entries.c.lane == bindparam("lane"))
ON_TARGETS = ON_TARGETS.where(entries.c.target.in_(bindparam("targets", expanding=True)))
TRIED = ON_TARGETS.where(entries.c.attempts > 0)
TRIED_OR_READY = ON_TARGETS.where(or_(entries.c.attempts > 0, entries.c.state == "ready"))


class Braked(NamedTuple):
    """What nothing may be claimed of: everything, some lanes, some rules."""

    everything: bool
    lanes: frozenset[str]
    rules: frozenset[str]

    def holds(self, entry: Entry) -> bool:
        """Tell whether an entry stays as it is; of several rules that agree, each alone would have done it."""
        return self.everything or entry.lane in self.lanes or self.rules.issuperset(entry.rules)


NOTHING_BRAKED = Braked(everything=False, lanes=frozenset(), rules=frozenset())


def find_braked(conn: Connection, account: str) -> Braked:
    """Read the brakes of an account."""
    on = BRAKES.run(conn, account=account)
    return Braked(
        everything=any(not rule and not lane for rule, lane in on),
        lanes=frozenset(lane for _, lane in on if lane),
        rules=frozenset(rule for rule, _ in on if rule),
    )


def due_kinds(conn: Connection, account: str, now: float, past: float | None) -> frozenset[str]:
    """Return the kinds of actions of which something may be claimed now: most of the time, none."""
    times = {"now": now, "past": now if past is None else past}
    return frozenset(conn.scalars(DUE_KINDS, {"account": account, **times}))


def due(
    conn: Connection, account: str, now: float, limit: int, kinds: Collection[str], *, past: float | None
) -> tuple[Entry, ...]:
    """Return the entries that may be claimed now, of some kinds of actions or of all, in key order."""
    begun = entries.c.ready_at <= (now if past is None else past)
    query = SELECT_ENTRIES.where(_claimable(conn, account), entries.c.next_at <= now, begun)
    query = query.where(entries.c.kind.in_(kinds)) if kinds else query
    return tuple(map(entry_of, conn.execute(query.order_by(entries.c.scanned_at, entries.c.id).limit(limit))))


def open_entries(conn: Connection, account: str, states: Sequence[str], now: float | None) -> tuple[Entry, ...]:
    """Return entries of some states in key order; with ``now``, only those that are due."""
    query = OPEN_ENTRIES if now is None else DUE_ENTRIES
    return tuple(map(entry_of, conn.execute(query, {"account": account, "states": states, "now": now})))


def find_tried(
    conn: Connection, account: str, lane: str, targets: Sequence[str], *, ready: bool = False
) -> tuple[Entry, ...]:
    """Return every entry of a lane on some targets that was ever claimed, or is ``ready`` to be, oldest first."""
    found: list[Entry] = []
    for chunk in chunks(targets):
        asked = {"account": account, "lane": lane, "targets": chunk}
        found += map(entry_of, conn.execute(TRIED_OR_READY if ready else TRIED, asked))
    return tuple(sorted(found, key=lambda entry: entry.claimed_at))


def find_asked(conn: Connection, account: str, remotes: Collection[str]) -> tuple[Entry, ...]:
    """Return requests for another verdict that are under way: those on record as some submissions, or as none yet."""
    asking, found = _mine & ASKING & entries.c.state.in_(("sent", "unsure")), dict[str, Entry]()
    for chunk in chunks(remotes):
        query = SELECT_ENTRIES.where(asking, entries.c.remote.in_(("", *chunk)))
        found |= {row.id: entry_of(row) for row in conn.execute(query, {"account": account})}
    return tuple(found.values())


def is_asking(conn: Connection, account: str) -> bool:
    """Tell whether any request for another verdict is under way, or waits for Cloudflare's decision."""
    query = select(exists().where(_mine, ASKING, entries.c.state.in_(("claimed", "sent", "unsure"))))
    return bool(conn.scalar(query, {"account": account}))


def next_due(conn: Connection, account: str) -> float | None:
    """Return when the first entry or held event wants attention, brakes of single rules left aside."""
    times = [query.run(conn, account=account)[0][0] for query in (NEXT_CLAIM, NEXT_LOOK, NEXT_HELD)]
    return min((at for at in times if at is not None), default=None)


def next_claim(conn: Connection, account: str) -> float | None:
    """Return when the first entry that is ready may be claimed, brakes of single rules left aside."""
    return NEXT_CLAIM.run(conn, account=account)[0][0]


def next_look(conn: Connection, account: str) -> float | None:
    """Return when the first entry that is sent or unsure is to be looked at."""
    return NEXT_LOOK.run(conn, account=account)[0][0]


def claim(work: UnitOfWork, claims: Sequence[Claim], standing: Standing, reached_by: float) -> tuple[Entry, ...]:
    """Claim entries, in key order but where a limit is scarce.

    What may not be carried out now waits for a person, or stays as it is.
    """
    looks = {claim.id: claim.look for claim in claims}
    brake = find_braked(work.conn, work.account)
    ready = [
        entry
        for entry in work.fetch(looks)
        if entry.state == "ready" and entry.ready_at <= work.now and _was_looked_at(work, entry, looks[entry.id])
    ]
    room = Room(work, standing.rules, [entry for entry in ready if not brake.holds(entry)])
    claimed = []
    for entry in room.put_in_turn():
        granted = _grant(work, entry, standing, room)
        if granted is not None:
            counted = granted if entry.attempts == 0 else ()
            room.take(entry, counted)
            claimed.append(_write_claim(work, entry, looks[entry.id], reached_by, counted))
    room.write()
    return tuple(claimed)


def _was_looked_at(work: UnitOfWork, entry: Entry, look: Look | None) -> bool:
    """Tell whether somebody has looked lately enough; entries about no message have nothing to look at."""
    return not entry.action.about_message or (look is not None and work.now - look.at <= FRESH)


def _claimable(conn: Connection, account: str) -> ColumnElement[bool]:
    """Say in SQL which ready entries no brake holds."""
    brake = find_braked(conn, account)
    ready = and_(entries.c.account == account, entries.c.state == "ready")
    if brake.everything:
        return and_(ready, entries.c.id == "")
    if brake.lanes:
        ready = and_(ready, not_(entries.c.lane.in_(brake.lanes)))
    if brake.rules:
        sets = conn.scalars(select(entries.c.rules).where(ready).distinct()).all()
        ready = and_(ready, not_(entries.c.rules.in_([rules for rules in sets if brake.rules.issuperset(rules)])))
    return ready


def _grant(work: UnitOfWork, entry: Entry, standing: Standing, room: Room) -> tuple[str, ...] | None:
    """Return the rules on whose word an entry goes now, to be counted; None when it may not, and then it waits."""
    if is_end(entry):
        return _grant_end(work, entry, standing)
    if why := _ceiling(entry, standing):
        _wait(work, entry, "ceiling", why)
        return None
    if entry.lane == "notice":
        return ()
    if entry.approved_by:
        return tuple(rule for rule in entry.rules if rule in standing.rules)
    return _grant_unasked(work, entry, standing, room)


def _grant_end(work: UnitOfWork, end: Entry, standing: Standing) -> tuple[str, ...] | None:
    """Let a list entry end whatever became of its rule; under a ceiling of observe it stays due."""
    if standing.ceiling > OBSERVE:
        return ()
    work.touch(replace(end, next_at=work.now + PAUSE))
    return None


def _grant_unasked(work: UnitOfWork, entry: Entry, standing: Standing, room: Room) -> tuple[str, ...] | None:
    """Let an entry go without a person if it is fresh, and one of its rules still says so and has room."""
    whys = {rule: _unable(rule, mark, standing) for rule, mark in zip(entry.rules, entry.fingerprints, strict=True)}
    able = [rule for rule, why in whys.items() if not why]
    granted = tuple(rule for rule in able if room.has(entry, rule))
    if work.now - entry.known_at > standing.stale:
        _wait(work, entry, "stale", f"known since {instant(entry.known_at)}, longer than WORKER_STALE")
    elif doubt := find_doubt(entry):
        _wait(work, entry, doubt.why, doubt.said)
    elif not able:
        lowered = standing.lowered.issuperset(entry.rules)
        said = next(iter(whys.values()), "no rule asks for it")
        _wait(work, entry, "rule_lowered" if lowered else "rule_changed", said)
    elif not granted:
        beyond: Change = {"item": room.queue(able[0]), "item_kind": "limit", "item_of": able[0]}
        _wait(work, entry, "limit", room.describe_spent(able[0]), beyond)
    else:
        return granted
    return None


def _ceiling(entry: Entry, standing: Standing) -> str:
    """Say why the ceiling forbids an entry; a person's word reaches above approve, none above observe."""
    if standing.ceiling <= OBSERVE:
        return "WORKER_CEILING is observe now"
    asks = standing.ceiling == APPROVE and not entry.approved_by and entry.lane != "notice"
    return "WORKER_CEILING is approve now" if asks else ""


def _unable(rule: str, mark: str, standing: Standing) -> str:
    """Say why a rule's word does not count any more; empty when it does."""
    info = standing.rules.get(rule)
    if info is None:
        return f"the rule {rule} is gone"
    if info.fingerprint != mark:
        return f"the rule {rule} was changed"
    if info.mode < ENFORCE or rule in standing.lowered:
        return f"the rule {rule} was lowered"
    return ""


def _wait(work: UnitOfWork, entry: Entry, why: Why, said: str, change: Change | None = None) -> None:
    waiting: Change = {**(change or {}), "why": why, "said": said, "approved_by": ""}
    work.move(entry, "waiting", "postponed", **waiting)


def _write_claim(work: UnitOfWork, entry: Entry, look: Look | None, reached_by: float, counted: Sequence[str]) -> Entry:
    """Write the intent."""
    seen: Json = (
        {"verdict": look.verdict, "quarantined": look.quarantined, "operations": look.operations} if look else None
    )
    told: dict[str, Json] = {"attempt": entry.attempts + 1, "owner": work.mint.owner, "look": seen, "counted": counted}
    if not entry.attempts:  # an approved entry keeps why it had waited, which other records say already
        told["said"] = ""
    return work.move(
        entry,
        "claimed",
        "claimed",
        told=told,
        owner=work.mint.owner,
        attempts=entry.attempts + 1,
        claimed_at=work.now,
        reached_by=reached_by,
        look=look,
        # What a person was told when they approved is held against what is found later: should nothing leave after all.
        said=entry.said if entry.approved_by else "",
        next_at=0.0,
    )
