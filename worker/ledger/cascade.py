"""What follows when entries end: the next in line has its turn, notices leave, what was made for a time is ended."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from msgspec.structs import replace
from sqlalchemy import Connection, delete, select, text

from worker.language.actions import Adding, AnyAction, Removing
from worker.ledger.db.dialects import chunks
from worker.ledger.db.tables import BEHIND_ROWS, entries, reasons
from worker.ledger.entries import DENIED, FINAL, Entry, State, WantedEffect, is_accepted, is_under_way
from worker.ledger.records import Json, Verb, about, instant
from worker.ledger.unit_of_work import Mint, UnitOfWork, in_order, last_of

ACCEPTED = entries.c.review == "accepted"
TOLD = ("claimed", "sent", "unsure", "done")
"""States of a notice that may have been read."""
NOT_OURS = "no list entry of ours stands on this pattern"


class Fate(NamedTuple):
    """What a wish that could be carried out becomes, given what else is wanted or was done on its target."""

    state: State
    behind: str = ""
    why: str = ""
    remote: str = ""
    """The API's id of the list entry that is to be taken back."""


@contextmanager
def open_unit_of_work(
    conn: Connection, account: str, now: float, mint: Mint, latest: float = 0.0
) -> Iterator[UnitOfWork]:
    """Open a unit of work for one transaction, and see to everything that follows from what was written with it."""
    work = UnitOfWork(conn, account, now, mint, latest)
    yield work
    see_through(work)
    work.close()


def see_through(work: UnitOfWork) -> None:
    """See to everything that follows from what was written so far."""
    while (ended := work.take_ended()) or work.free_items:
        work.flush()
        final = [entry for entry in ended if entry.state in FINAL]
        _give_their_end(work, final)
        _tell_again(work, _list_items(work, (entry for entry in final if entry.review in DENIED)))
        _release_notices(work, _free_items(work, ended))
        _next_in_line(work, ended)


ALONE = {
    "notice": Fate("ready"),  # each tells of an event of its own, though all of a channel look alike
    "keep": Fate("moot", why="a person has looked at it"),  # there was nothing else to do
}
"""What becomes of wishes that nothing else on their target concerns."""


def is_end(entry: Entry) -> bool:
    """Tell whether this entry is the end of what was listed for a time: the way back, which nothing lowers."""
    return entry.item_kind == "end"


def choose_fate(work: UnitOfWork, wish: Entry) -> Fate:
    """Say what becomes of a wish that is to be ready; its lane and target must have been surveyed."""
    if wish.lane in ALONE:
        return ALONE[wish.lane]
    others = [entry for entry in work.on(wish.lane, wish.target) if entry.id != wish.id]
    rival = next((entry for entry in others if is_under_way(entry)), None)
    last = last_of(entry for entry in others if took_effect(entry))
    stands = last if last and isinstance(last.action, Adding) else None
    if rival and not (is_end(rival) and rival.state == "ready"):
        return Fate("held", rival.id, f"waits behind {rival.id}, which wants something else")
    if isinstance(wish.action, Adding) and stands and not _alike(wish, stands):
        return Fate("moot", why=f"is listed already in another form, see {stands.id}; remove that entry first")
    if rival:
        return _meet_end(work, rival, wish)
    if isinstance(wish.action, Removing):
        return Fate("ready", remote=stands.remote) if stands else Fate("moot", why=NOT_OURS)
    same = next((one for one in (*filter(is_accepted, others), last) if one and _alike(wish, one)), None)
    how = "asked for" if same and is_accepted(same) else "done"
    return Fate("moot", why=f"was {how} already, see {same.id}") if same else Fate("ready")


def _alike(wish: Entry, last: Entry) -> bool:
    """Tell whether two wishes for one target want the same; for how long, if it is for a list, is another matter."""
    return _form(wish.action) == _form(last.action)


def _form(action: AnyAction) -> AnyAction:
    """Return an action without what may differ although the list entry is the same: its case, and its end."""
    return replace(action, pattern="any", for_=None) if isinstance(action, Adding) else action


def took_effect(entry: Entry) -> bool:
    """Tell what has changed the target: also a removal of which a look showed that nothing of ours is left."""
    found_gone = entry.state == "moot" and isinstance(entry.action, Removing) and entry.proof == "seen"
    return entry.state == "done" or found_gone


def _meet_end(work: UnitOfWork, end: Entry, wish: Entry) -> Fate:
    """Let a later wish for the same entry move its end out, never in; an earlier removal goes first.

    If that removal comes to nothing, the end has its turn again, at its own time.
    """
    if not isinstance(wish.action, Adding):
        work.move(
            end, "held", "put behind", said=f"waits behind {wish.id}, which takes it back earlier", behind=wish.id
        )
        return Fate("ready", remote=end.remote)
    if wish.action.for_ is None:
        work.move(end, "moot", "retired", said=f"listed without end, see {wish.id}")
        return Fate("moot", why="is listed already, and has no end now")
    lasts = wish.action.for_.total_seconds()
    until = max(end.ready_at, work.latest + lasts)
    if until > end.ready_at:
        work.touch(replace(end, known_at=max(end.known_at, work.now + lasts), ready_at=until, next_at=until))
        work.chain.add(
            "extended", entry=end.id, target=end.target, until=instant(until), by=wish.id, rules=about(wish)["rules"]
        )
    return Fate("moot", why=f"is listed already, and ends {instant(until)} now")


def _give_their_end(work: UnitOfWork, final: Iterable[Entry]) -> None:
    """Enter the removal of each list entry that was made for a time; it becomes ready when that time is over."""
    for made in final:
        action = made.action
        if made.state != "done" or not isinstance(action, Adding) or action.for_ is None:
            continue
        lasts = action.for_.total_seconds()
        until = work.latest + lasts
        end = Entry(
            id=work.mint(work.now),
            account=work.account,
            lane=made.lane,
            target=made.target,
            cause=f"end/{made.id}",
            action=action.inverse(),
            state="ready",
            mode=made.mode,
            rules=made.rules,
            fingerprints=made.fingerprints,
            because=f"the list entry of {made.id} expires {instant(until)}",
            item=f"end/{made.id}",
            item_kind="end",
            item_of=made.id,
            created_at=work.now,
            known_at=work.now + lasts,
            ready_at=until,
            next_at=until,
            remote=made.remote,
        )
        work.enter(end, until=instant(until))


def _list_items(work: UnitOfWork, asked: Iterable[Entry]) -> set[str]:
    """Return the decisions that asked for entries."""
    items: set[str] = set()
    for chunk in chunks(entry.id for entry in asked):
        items.update(work.conn.scalars(select(reasons.c.item).where(reasons.c.entry.in_(chunk)).distinct()))
    return items


def _free_items(work: UnitOfWork, ended: Sequence[Entry]) -> set[str]:
    """Take away what the settled entries stood for; return the decisions of which nothing is left.

    What is only accepted counts as settled, but its reasons stay: they lead to whom its end is told.
    """
    items, work.free_items = work.free_items, set()
    items |= _list_items(work, (entry for entry in ended if entry.state in FINAL or is_accepted(entry)))
    for chunk in chunks(entry.id for entry in ended if entry.state in FINAL):
        work.conn.execute(delete(reasons).where(reasons.c.entry.in_(chunk)))
    pending = select(reasons.c.item).join(entries).where(reasons.c.account == work.account, ~ACCEPTED)
    for chunk in chunks(tuple(items)):
        items.difference_update(work.conn.scalars(pending.where(reasons.c.item.in_(chunk))))
    return items


def _release_notices(work: UnitOfWork, items: Iterable[str]) -> None:
    """Send the notices of decisions that have settled."""
    for chunk in chunks(items):
        theirs = entries.c.item.in_(chunk) & (entries.c.lane == "notice") & (entries.c.state == "held")
        for notice in work.load(theirs):
            work.move(notice, "ready", "released", said="")


def _tell_again(work: UnitOfWork, items: Iterable[str]) -> None:
    """Send a second notice where the first one has said that something was asked for, and it was not granted."""
    for chunk in chunks(items):
        theirs = entries.c.item.in_(chunk) & (entries.c.lane == "notice") & entries.c.state.in_(TOLD)
        told = {(notice.target, notice.item): notice for notice in work.load(theirs)}
        for notice in told.values():
            wanted = {name: getattr(notice, name) for name in WantedEffect.__struct_fields__}
            wanted |= {"state": "ready", "known_at": work.now, "ready_at": 0.0}
            work.enter(Entry(**wanted, id=work.mint(work.now), account=work.account, created_at=work.now))


def _next_in_line(work: UnitOfWork, ended: Iterable[Entry]) -> None:
    """Give what waited behind these entries its turn; the first that is still to be done goes, the others stay."""
    behind: list[Entry] = []
    for chunk in chunks(entry.id for entry in ended):
        behind += work.load(text(BEHIND_ROWS) & entries.c.behind.in_(chunk))
    work.survey((entry.lane, entry.target) for entry in behind)
    # The end of a list entry was never scanned and so goes first: what is wanted after it finds it in its place.
    for entry in sorted(behind, key=in_order):
        go_on(work, work.now_of(entry), "released")


def go_on(work: UnitOfWork, entry: Entry, verb: Verb, told: Mapping[str, Json] | None = None) -> Entry:
    """Make a held or waiting entry ready if nothing else is on its way to its target; else it stays, behind that."""
    found = choose_fate(work, entry)
    told_before = entry.said if entry.approved_by else ""
    if found.state != "held":
        return work.move(
            entry, found.state, verb, told=told, said=found.why or told_before, remote=found.remote or entry.remote
        )
    stays = replace(entry, behind=found.behind)
    work.touch(stays)
    if told:
        work.chain.add(verb, entry=entry.id, lane=entry.lane, target=entry.target, why=found.why, **told)
    return stays
