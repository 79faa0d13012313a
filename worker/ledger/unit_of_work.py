"""Writing entries: every change of state passes here, is held to the table of states, and leaves a record."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from itertools import count
from operator import attrgetter
from typing import Any, TypedDict, Unpack

from msgspec.structs import asdict, replace
from sqlalchemy import ColumnElement, Connection, Row, or_, select

from worker.errors import StoreError
from worker.language.actions import LISTS
from worker.language.rules import Mode
from worker.ledger.db.dialects import add, chunks, rewrite, upsert
from worker.ledger.db.tables import entries, reasons
from worker.ledger.entries import (
    FINAL,
    FOLLOWS,
    OPEN,
    Entry,
    ItemKind,
    Look,
    Proof,
    Review,
    State,
    WantedEffect,
    Why,
    is_under_way,
)
from worker.ledger.records import Chain, Json, NewRecord, Verb, about, harmless

Spot = tuple[str, str]
"""A lane and a target."""
MODES = tuple(Mode)
"""By number: looking a member up by its value is an eighth of what reading an entry costs."""
DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
SELECT_ENTRIES = select(entries)
"""The beginning of every query for entries: naming forty columns anew takes longer than most of them run."""
NAMES = tuple(entries.c.keys())
FIXED = frozenset({*WantedEffect.__struct_fields__, "id", "account", "created_at"}) - {
    *("state", "cause", "because", "mode", "rules", "fingerprints", "item", "item_kind", "item_of"),
    *("known_at", "ready_at", "authenticated"),
}
"""What of an entry never changes."""
CHANGING = tuple(name for name in Entry.__struct_fields__ if name not in FIXED)
_changing = attrgetter(*CHANGING)
NEVER_YET = frozenset({"why_ref", "shown", "shown_before", "fault", "review", "drifted_at", "announced_at"})
"""Columns of which no entry that is just entered has anything to say."""
REASON_CHANGES = ("cause", "because", "mode", "rules", "fingerprints", "authenticated")
STANDING = or_(
    entries.c.state.in_((*OPEN, "waiting", "held", "done")),
    (entries.c.state == "moot") & entries.c.lane.in_(LISTS),
)
"""What matters to a new wish: what is not settled, what was done, and list entries that ended."""


class Change(TypedDict, total=False):
    """What of an entry may change with its state."""

    said: str
    remote: str
    proof: Proof
    look: Look | None
    why: Why
    why_ref: str
    shown: tuple[str, ...]
    shown_before: float
    fault: str
    review: Review
    item: str
    item_kind: ItemKind
    item_of: str
    behind: str
    approved_by: str
    owner: str
    attempts: int
    claimed_at: float
    reached_by: float
    answered_at: float
    next_at: float


class Mint:
    """Makes entry ids: 26 characters that sort by time, then by owner and order; ``owner`` is this process's token."""

    def __init__(self, owner: str) -> None:
        """Begin counting; the owner's token must be another one in every process."""
        self.owner = owner
        self._mark = _digits(int.from_bytes(sha256(owner.encode()).digest()[:7]), 10)
        self._count = count()

    def __call__(self, now: float) -> str:
        """Return a new id."""
        return _beginning(int(now * 1000)) + self._mark + _digits(next(self._count), 6)


@lru_cache(maxsize=8)
def _beginning(milliseconds: int) -> str:
    """Write the time in an id; a page's thousand ids share it."""
    return _digits(milliseconds, 10)


def _digits(number: int, width: int) -> str:
    """Write a number in base 32, which sorts like the number."""
    return "".join(DIGITS[number >> 5 * place & 31] for place in reversed(range(width)))


def entry_of(row: Row[Any]) -> Entry:  # type: ignore[explicit-any]  # a row's columns have no types
    """Read an entry from its row."""
    values = dict(zip(NAMES, row, strict=True))
    del values["kind"]  # which is the type of the action
    values["mode"] = MODES[values["mode"]]
    return Entry(**values)


def _new_row(entry: Entry) -> dict[str, object]:
    """Return the columns of an entry that is entered; those that the database fills are left to it."""
    row = {name: value for name, value in asdict(entry).items() if name not in NEVER_YET}
    return row | {"kind": type(entry.action).__name__}


def in_order(entry: Entry) -> tuple[float, str]:
    """Sort entries by key: by the time their thing was scanned."""
    return entry.scanned_at, entry.id


def last_of(found: Iterable[Entry]) -> Entry | None:
    """Return the entry that settled last."""
    # What was found gone was never claimed; of those that settled together, it is as late as it was entered.
    return max(found, key=lambda one: (one.settled_at, max(one.claimed_at, one.created_at), one.id), default=None)


class UnitOfWork:
    """What one transaction knows and changes of an account's entries; ``flush`` writes it, in order."""

    def __init__(self, conn: Connection, account: str, now: float, mint: Mint, latest: float = 0.0) -> None:
        """Begin with nothing known; what is made for a time ends so long after ``latest``, and never before ``now``."""
        self.conn = conn
        self.account = account
        self.now, self.latest = now, max(now, latest)
        self.mint = mint
        self.chain = Chain(conn, account, now)
        self.context: dict[str, Json] = {}
        self.free_items: set[str] = set()
        self.entered: Counter[str] = Counter()
        self._known: dict[str, Entry] = {}
        self._spots: dict[Spot, list[str]] = {}
        self._surveyed: set[Spot] = set()
        self._changed: dict[str, frozenset[str]] = {}
        self._new: dict[str, None] = {}
        self._ended: list[Entry] = []
        self._reasons: dict[tuple[str, str, str], dict[str, object]] = {}

    def load(self, condition: ColumnElement[bool]) -> list[Entry]:
        """Return this account's entries of a condition, in key order, as they are now in this transaction."""
        return self._read(entries.c.account == self.account, condition)

    def fetch(self, ids: Iterable[str]) -> list[Entry]:
        """Return entries by id, in key order; what is unknown, or another account's, is left out."""
        # To name the account here misleads the database: it would read every entry of it.
        parts = (self._read(entries.c.id.in_(chunk)) for chunk in chunks(dict.fromkeys(ids)))
        return sorted((entry for part in parts for entry in part), key=in_order)

    def _read(self, *conditions: ColumnElement[bool]) -> list[Entry]:
        self.flush()
        found = map(entry_of, self.conn.execute(SELECT_ENTRIES.where(*conditions)).all())
        return sorted((self._learn(entry) for entry in found if entry.account == self.account), key=in_order)

    def survey(self, spots: Iterable[Spot]) -> None:
        """Learn every entry on these lanes and targets that is not settled or is done."""
        wanted = [spot for spot in dict.fromkeys(spots) if spot not in self._surveyed]
        for chunk in chunks(wanted):
            self.load(entries.c.target.in_([target for _, target in chunk]) & STANDING)
        self._surveyed.update(wanted)

    def on(self, lane: str, target: str) -> list[Entry]:
        """Return what is known on a lane and target, as it is now."""
        return [self._known[id_] for id_ in self._spots.get((lane, target), ())]

    def now_of(self, entry: Entry) -> Entry:
        """Return an entry as it is now in this transaction."""
        return self._known[entry.id]

    def enter(self, entry: Entry, **said: Json) -> Entry:
        """Add an entry, with its record."""
        self._learn(entry)
        self._new[entry.id] = None
        self.entered[entry.state] += 1
        waits = entry.said if entry.state in {"waiting", "held", "moot"} else ""
        people: dict[str, Json] = {"sender": entry.sender, "subject": entry.subject, "verdict": entry.verdict}
        people |= {"recipients": entry.recipients} if entry.recipients else {}
        people |= {"authenticated": entry.authenticated} if entry.authenticated else {}
        self.chain.add(
            "entered",
            to=entry.state,
            because=entry.because,
            why=waits,
            **people,
            **about(entry),
            **self.context,
            **said,
        )
        if entry.state in FINAL:
            self._ended.append(entry)
        return entry

    def move(
        self,
        entry: Entry,
        state: State,
        verb: Verb,
        *,
        told: Mapping[str, Json] | None = None,
        **change: Unpack[Change],
    ) -> Entry:
        """Change an entry's state, with its record; raise StoreError for a step that the table does not have."""
        if state not in FOLLOWS[entry.state]:
            raise StoreError(f"entry {entry.id} is {entry.state} and cannot become {state}: report this as a bug")
        change.setdefault("behind", "")
        change["said"] = harmless(change.get("said", entry.said), 500)
        if state == "waiting":  # what an earlier question was about does not answer this one
            change = {"why": "", "why_ref": "", "shown": (), "shown_before": 0.0, **change}
        waits_since = self.now if state == "waiting" else 0.0
        settled_at = self.now if state in FINAL else 0.0
        moved = replace(entry, state=state, waits_since=waits_since, settled_at=settled_at, **change)
        self.touch(moved)
        self.chain.add(verb, **{"from": entry.state, "to": state, "said": moved.said, **about(moved), **(told or {})})
        if state in FINAL or (is_under_way(entry) and not is_under_way(moved)):
            self._ended.append(moved)
        return moved

    def touch(self, entry: Entry) -> None:
        """Write an entry's row anew, without a record."""
        before, self._known[entry.id] = self._known[entry.id], entry
        if entry.id not in self._new:
            pairs = zip(CHANGING, _changing(entry), _changing(before), strict=True)
            names = frozenset([name for name, new, old in pairs if new is not old and new != old])
            if names:
                self._changed[entry.id] = names | self._changed.get(entry.id, frozenset())

    def give_reason(self, entry: Entry, thing: str, item: str, **values: object) -> None:
        """Note that a thing asked for an entry, in a decision; saying so again takes the place of the earlier word."""
        key = {"entry": entry.id, "thing": thing, "item": item}
        self._reasons[entry.id, thing, item] = {**key, "account": self.account, **values}

    def take_ended(self) -> list[Entry]:
        """Return what has settled, or is no longer under way for another reason, since this was last asked."""
        ended, self._ended = self._ended, []
        return ended

    def flush(self) -> None:
        """Write the rows: first what left an open place, so that it is free before it is taken again."""
        changed: dict[tuple[bool, frozenset[str]], list[Entry]] = defaultdict(list)
        for id_, names in self._changed.items():
            entry = self._known[id_]
            changed[is_under_way(entry), names].append(entry)
        new = [self._known[id_] for id_ in self._new]
        self._changed, self._new = {}, {}
        for (_, names), group in sorted(changed.items(), key=lambda item: item[0][0]):
            rewrite(self.conn, entries, [{"id": one.id, **{n: getattr(one, n) for n in names}} for one in group])
        add(self.conn, entries, [_new_row(entry) for entry in new])
        upsert(self.conn, reasons, list(self._reasons.values()), REASON_CHANGES)
        self._reasons = {}

    def close(self) -> None:
        """Write what is left, and the records."""
        self.flush()
        self.chain.write()

    def _learn(self, entry: Entry) -> Entry:
        if entry.id not in self._known:
            self._known[entry.id] = entry
            self._spots.setdefault((entry.lane, entry.target), []).append(entry.id)
        return self._known[entry.id]


def chain_records(work: UnitOfWork, records: Iterable[NewRecord]) -> None:
    """Write records that belong to no entry."""
    for record in records:
        work.chain.add(record.verb, **record.said)
