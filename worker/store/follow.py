"""What follows when entries end: the next in line has its turn, notices leave, a block for a time gets its end."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from msgspec.structs import replace
from sqlalchemy import Connection, delete, select, text

from worker.actions import BlockSender, Unblock
from worker.store.dialects import chunks
from worker.store.entry import FINAL, OPEN, Entry, State
from worker.store.pen import Mint, Pen, in_order, last_of
from worker.store.records import about, instant
from worker.store.tables import BEHIND_ROWS, entries, reasons

END = "end/"
"""How the cause of a block's end begins; the block's id follows."""
NOT_OURS = "no block of ours stands on this pattern"


class Fate(NamedTuple):
    """What a wish that could be carried out becomes, given what else is wanted or was done on its target."""

    state: State
    behind: str = ""
    why: str = ""
    remote: str = ""
    """The API's id of the block that is to be taken back."""


@contextmanager
def writing(conn: Connection, account: str, now: float, mint: Mint) -> Iterator[Pen]:
    """Open a pen for one transaction, and see to everything that follows from what was written with it."""
    pen = Pen(conn, account, now, mint)
    yield pen
    while (ended := pen.take_ended()) or pen.free_items:
        pen.flush()
        final = [entry for entry in ended if entry.state in FINAL]
        _give_blocks_their_end(pen, final)
        _release_notices(pen, _freed_items(pen, final))
        _next_in_line(pen, ended)
    pen.close()


def ends(entry: Entry) -> bool:
    """Tell whether this entry is the end of a block that was made for a time: the way back, which nothing lowers."""
    return entry.cause.startswith(END)


def fate(pen: Pen, wish: Entry) -> Fate:
    """Say what becomes of a wish that is to be ready; its lane and target must have been surveyed."""
    others = [entry for entry in pen.on(wish.lane, wish.target) if entry.id != wish.id]
    rival = next((entry for entry in others if entry.state in OPEN), None)
    if rival and ends(rival) and rival.state == "ready":
        return _meet_end(pen, rival, wish)
    if rival:
        return Fate("held", rival.id, f"waits behind {rival.id}, which wants something else")
    last = last_of(entry for entry in others if took_effect(entry))
    if isinstance(wish.action, Unblock):
        return Fate("ready", remote=last.remote) if last and _blocks(last) else Fate("moot", why=NOT_OURS)
    if last and (last.action == wish.action or (_blocks(last) and _blocks(wish))):
        return Fate("moot", why=f"was done already, see {last.id}")
    return Fate("ready")


def _blocks(entry: Entry) -> bool:
    return isinstance(entry.action, BlockSender)


def took_effect(entry: Entry) -> bool:
    """Tell what has changed the target: also a block that was found gone at its end."""
    return entry.state == "done" or (entry.state == "moot" and ends(entry) and entry.settled_at >= entry.ready_at)


def _meet_end(pen: Pen, end: Entry, wish: Entry) -> Fate:
    """Let a later block move the end out, never in; an earlier unblock takes its place."""
    if not isinstance(wish.action, BlockSender):
        pen.move(end, "moot", "retired", said=f"taken back earlier, see {wish.id}")
        return Fate("ready", remote=end.remote)
    if wish.action.for_ is None:
        pen.move(end, "moot", "retired", said=f"blocked without end, see {wish.id}")
        return Fate("moot", why="is blocked already; the block now has no end")
    until = max(end.ready_at, pen.now + wish.action.for_.total_seconds())
    if until > end.ready_at:
        pen.touch(replace(end, ready_at=until, next_at=until))
        pen.chain.add(
            "extended", entry=end.id, target=end.target, until=instant(until), by=wish.id, rules=about(wish)["rules"]
        )
    return Fate("moot", why=f"is blocked already; the block now ends {instant(until)}")


def _give_blocks_their_end(pen: Pen, final: Iterable[Entry]) -> None:
    """Enter the unblock of each block that was made for a time; it becomes ready when that time is over."""
    for block in final:
        action = block.action
        if block.state != "done" or not isinstance(action, BlockSender) or action.for_ is None:
            continue
        until = pen.now + action.for_.total_seconds()
        end = Entry(
            id=pen.mint(pen.now),
            account=pen.account,
            lane=block.lane,
            target=block.target,
            cause=END + block.id,
            action=Unblock(pattern=action.pattern, pattern_type=action.pattern_type),
            state="ready",
            mode=block.mode,
            rules=block.rules,
            fingerprints=block.fingerprints,
            because=f"the block {block.id} was made for {action.for_}",
            item=f"end/{block.id}",
            created_at=pen.now,
            known_at=until,
            ready_at=until,
            next_at=until,
            remote=block.remote,
        )
        pen.enter(end, until=instant(until))


def _freed_items(pen: Pen, final: Iterable[Entry]) -> set[str]:
    """Take away what the settled entries stood for; return the sentences of which nothing is left."""
    items, pen.free_items = pen.free_items, set()
    for chunk in chunks(entry.id for entry in final):
        mine = reasons.c.entry.in_(chunk)
        items.update(pen.conn.scalars(select(reasons.c.item).where(mine).distinct()))
        pen.conn.execute(delete(reasons).where(mine))
    for chunk in chunks(tuple(items)):
        still = select(reasons.c.item).where(reasons.c.account == pen.account, reasons.c.item.in_(chunk))
        items.difference_update(pen.conn.scalars(still))
    return items


def _release_notices(pen: Pen, items: Iterable[str]) -> None:
    """Let the notices of settled sentences leave."""
    for chunk in chunks(items):
        theirs = entries.c.item.in_(chunk) & (entries.c.lane == "notice") & (entries.c.state == "held")
        for notice in pen.load(theirs):
            pen.move(notice, "ready", "released", said="")


def _next_in_line(pen: Pen, ended: Iterable[Entry]) -> None:
    """Give what waited behind these entries its turn; the first that is still to be done goes, the others stay."""
    behind: list[Entry] = []
    for chunk in chunks(entry.id for entry in ended):
        behind += pen.load(text(BEHIND_ROWS) & entries.c.behind.in_(chunk))
    pen.survey((entry.lane, entry.target) for entry in behind)
    for entry in sorted(behind, key=in_order):
        go_on(pen, pen.now_of(entry), "released")


def go_on(pen: Pen, entry: Entry, verb: str, told: dict[str, Any] | None = None) -> Entry:
    """Make a held or waiting entry ready if nothing else is on its way to its target; else it stays, behind that."""
    found = fate(pen, entry)
    seen = entry.said if verb == "approved" else ""  # what the person was told stays known until the claim
    if found.state != "held":
        return pen.move(
            entry, found.state, verb, told=told, said=found.why or seen, remote=found.remote or entry.remote
        )
    stays = replace(entry, behind=found.behind)
    pen.touch(stays)
    if told:
        pen.chain.add(verb, entry=entry.id, lane=entry.lane, target=entry.target, why=found.why, **told)
    return stays
