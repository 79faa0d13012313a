"""What follows when entries end: the next in line has its turn, notices leave, what was made for a time is ended."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from msgspec.structs import replace
from sqlalchemy import Connection, delete, select, text

from worker.language.actions import Adding, AnyAction, Removing
from worker.ledger.db.dialects import chunks
from worker.ledger.db.tables import BEHIND_ROWS, entries, reasons
from worker.ledger.entries import FINAL, OPEN, Entry, State
from worker.ledger.records import Json, Verb, about, instant
from worker.ledger.unit_of_work import Mint, UnitOfWork, in_order, last_of

NOT_OURS = "no list entry of ours stands on this pattern"


class Fate(NamedTuple):
    """What a wish that could be carried out becomes, given what else is wanted or was done on its target."""

    state: State
    behind: str = ""
    why: str = ""
    remote: str = ""
    """The API's id of the list entry that is to be taken back."""


@contextmanager
def open_unit_of_work(conn: Connection, account: str, now: float, mint: Mint) -> Iterator[UnitOfWork]:
    """Open a unit of work for one transaction, and see to everything that follows from what was written with it."""
    work = UnitOfWork(conn, account, now, mint)
    yield work
    see_through(work)
    work.close()


def see_through(work: UnitOfWork) -> None:
    """See to everything that follows from what was written so far."""
    while (ended := work.take_ended()) or work.free_items:
        work.flush()
        final = [entry for entry in ended if entry.state in FINAL]
        _give_their_end(work, final)
        _release_notices(work, _free_items(work, final))
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
    rival = next((entry for entry in others if entry.state in OPEN), None)
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
    return Fate("moot", why=f"was done already, see {last.id}") if last and _alike(wish, last) else Fate("ready")


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
    until = max(end.ready_at, work.now + wish.action.for_.total_seconds())
    if until > end.ready_at:
        work.touch(replace(end, ready_at=until, next_at=until))
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
        until = work.now + action.for_.total_seconds()
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
            known_at=until,
            ready_at=until,
            next_at=until,
            remote=made.remote,
        )
        work.enter(end, until=instant(until))


def _free_items(work: UnitOfWork, final: Iterable[Entry]) -> set[str]:
    """Take away what the settled entries stood for; return the sentences of which nothing is left."""
    items, work.free_items = work.free_items, set()
    for chunk in chunks(entry.id for entry in final):
        mine = reasons.c.entry.in_(chunk)
        items.update(work.conn.scalars(select(reasons.c.item).where(mine).distinct()))
        work.conn.execute(delete(reasons).where(mine))
    for chunk in chunks(tuple(items)):
        still = select(reasons.c.item).where(reasons.c.account == work.account, reasons.c.item.in_(chunk))
        items.difference_update(work.conn.scalars(still))
    return items


def _release_notices(work: UnitOfWork, items: Iterable[str]) -> None:
    """Let the notices of settled sentences leave."""
    for chunk in chunks(items):
        theirs = entries.c.item.in_(chunk) & (entries.c.lane == "notice") & (entries.c.state == "held")
        for notice in work.load(theirs):
            work.move(notice, "ready", "released", said="")


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
