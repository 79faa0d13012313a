"""What people order: rows of whoever can write the ledger, which the owner of the account takes up and records."""

from collections import defaultdict
from collections.abc import Callable, Sequence

from msgspec.structs import replace
from sqlalchemy import Connection, delete, exists, insert, or_, select, update

from worker.ledger import renewing, unreadable
from worker.ledger.cascade import go_on
from worker.ledger.db.dialects import add, chunks
from worker.ledger.db.tables import brakes, covered, entries, orders, reasons
from worker.ledger.entries import Brake, Entry, Item, Order
from worker.ledger.matching import by_rule
from worker.ledger.records import harmless
from worker.ledger.settling import put_brake
from worker.ledger.unit_of_work import UnitOfWork

COLUMNS = [orders.c[name] for name in Order.__struct_fields__ if name != "covers"]


def order(conn: Connection, account: str, wanted: Order) -> int:
    """Write down an order; return its number."""
    row = {
        "account": account,
        "verb": wanted.verb,
        "subject": wanted.subject,
        "who": harmless(wanted.who, 200),
        "because": harmless(wanted.because, 500),
        "at": wanted.at,
        "taken_at": 0.0,
        "answer": harmless(wanted.answer, 500),
    }
    number = int(conn.execute(insert(orders).returning(orders.c.id), row).scalar_one())
    add(conn, covered, [{"order": number, "entry": entry} for entry in sorted(wanted.covers)])
    return number


def take_orders(work: UnitOfWork, *, may_approve: bool) -> tuple[Order, ...]:
    """Carry out what was ordered since the last time; each order is answered and recorded.

    Where the ceiling lets nothing be carried out, nothing is approved: it would wait again, for another reason.
    """
    taken = []
    for wanted in list_pending(work.conn, work.account):
        done = replace(wanted, taken_at=work.now, answer=_obey(work, wanted, may_approve=may_approve))
        change = update(orders).where(orders.c.id == done.id)
        work.conn.execute(change.values(taken_at=done.taken_at, answer=done.answer))
        work.chain.add(
            "ordered",
            order=done.id,
            what=done.verb,
            subject=done.subject,
            who=done.who,
            because=done.because,
            answer=done.answer,
        )
        taken.append(done)
    return tuple(taken)


def list_pending(conn: Connection, account: str) -> tuple[Order, ...]:
    """Return what was ordered and is not taken up yet, oldest first."""
    pending = orders.c.account == account, orders.c.taken_at == 0.0
    covers: dict[int, set[str]] = defaultdict(set)
    for number, entry in conn.execute(select(covered).join(orders).where(*pending)):
        covers[number].add(entry)
    query = select(*COLUMNS).where(*pending).order_by(orders.c.id)
    return tuple(Order(**row._mapping, covers=frozenset(covers[row.id])) for row in conn.execute(query))  # noqa: SLF001


def read_brakes(conn: Connection, account: str) -> tuple[Brake, ...]:
    """Return the brakes that are on."""
    columns = [brakes.c[name] for name in Brake.__struct_fields__]
    return tuple(Brake(**row._mapping) for row in conn.execute(select(*columns).where(brakes.c.account == account)))  # noqa: SLF001


def list_braked(conn: Connection, account: str) -> frozenset[str]:
    """Return what is braked once all that was ordered is taken up, as orders name it."""
    on = {_subject(brake) for brake in read_brakes(conn, account)}
    mine = orders.c.account == account, orders.c.taken_at == 0.0, orders.c.verb.in_(("brake", "unbrake"))
    for row in conn.execute(select(orders.c.verb, orders.c.subject).where(*mine).order_by(orders.c.id)):
        (on.add if row.verb == "brake" else on.discard)(row.subject)
    return frozenset(on)


def _subject(brake: Brake) -> str:
    """Return what an order that takes this brake off is about."""
    return f"rule:{brake.rule}" if brake.rule else f"lane:{brake.lane}" if brake.lane else ""


def _obey(work: UnitOfWork, wanted: Order, *, may_approve: bool) -> str:
    """Carry out one order; return what is said to who gave it."""
    if wanted.verb == "approve" and not may_approve:
        return "WORKER_CEILING is observe: nothing was approved, so approve it again under approve or enforce"
    if obey := OBEY.get(wanted.verb):
        return obey(work, wanted)
    return f"{wanted.verb!r} is not an order that this version knows: nothing was done"


def _decide(work: UnitOfWork, wanted: Order) -> str:
    """Approve or refuse what waits under the subject of an order."""
    waiting = _find_waiting(work, wanted)
    if not waiting:
        return f"nothing waits under {wanted.subject!r}; worker waiting lists what does"
    if wanted.verb == "refuse":
        for entry in waiting:
            _refuse(work, entry, wanted.who, wanted.because)
        return f"{len(waiting)} refused"
    return _approve(work, waiting, wanted)


def _find_waiting(work: UnitOfWork, wanted: Order) -> list[Entry]:
    """Return the waiting entries that an order covers, or that its subject names: by rule, by item, or by entry."""
    waiting, subject = entries.c.state == "waiting", wanted.subject
    if wanted.covers:
        return [entry for entry in work.fetch(wanted.covers) if entry.state == "waiting"]
    if subject.startswith("rule:"):
        return work.load(waiting & by_rule(subject.removeprefix("rule:")))
    standing = select(reasons.c.entry).where(reasons.c.account == work.account, reasons.c.item == subject)
    return work.load(waiting & or_(entries.c.item == subject, entries.c.id == subject, entries.c.id.in_(standing)))


def _approve(work: UnitOfWork, waiting: Sequence[Entry], wanted: Order) -> str:
    """Let entries go on a person's word; the other sides of their disputes are refused."""
    work.survey((entry.lane, entry.target) for entry in waiting)
    items = _items(work, waiting)
    states = []
    for entry in waiting:
        now = work.now_of(entry)
        if now.state == "waiting":
            # Whatever the log showed up to now, the person has decided on it, where what they were shown was cut.
            approved = replace(now, approved_by=wanted.who, shown_before=min(now.shown_before, work.now))
            told = {"who": wanted.who, "because": wanted.because}
            states.append(go_on(work, approved, "approved", told).state)
            _refuse_others(work, now, items[entry.id], wanted)
    late = states.count("waiting")
    rest = f", {late} once another action on the same target has ended" if late else ""
    return f"{len(states) - late} approved{rest}"


def _items(work: UnitOfWork, waiting: Sequence[Entry]) -> dict[str, list[Item]]:
    """Return the decisions for which each entry stands: also those that joined it later."""
    items: dict[str, list[Item]] = defaultdict(list)
    columns = (reasons.c.entry, reasons.c.item, reasons.c.item_kind, reasons.c.item_of)
    for chunk in chunks(entry.id for entry in waiting):
        for entry, *item in work.conn.execute(select(*columns).where(reasons.c.entry.in_(chunk))):
            items[entry].append(Item._make(item))
    return items


def _refuse_others(work: UnitOfWork, entry: Entry, mine: Sequence[Item], wanted: Order) -> None:
    """Refuse the decisions that wanted something else of the same target; what others asked for as well stays."""
    names = {item.name for item in mine}
    for item in sorted(item for item in mine if item.kind == "dispute"):
        rivals = (reasons.c.item_kind == "dispute") & (reasons.c.item_of == item.of) & reasons.c.item.not_in(names)
        spot = (entries.c.account == work.account, entries.c.lane == entry.lane, entries.c.target == entry.target)
        sides = work.conn.scalars(select(reasons.c.item).join(entries).where(*spot, rivals)).all()
        by_sides = reasons.c.account == work.account, reasons.c.item.in_(sides)
        by_others = exists().where(reasons.c.entry == entries.c.id, reasons.c.item.not_in(sides))
        wanted_by = entries.c.id.in_(select(reasons.c.entry).where(*by_sides))
        for side in work.load((entries.c.state == "waiting") & wanted_by & ~by_others):
            _refuse(work, side, wanted.who, f"the other side was approved: {item.name}")


def _refuse(work: UnitOfWork, entry: Entry, who: str, because: str) -> None:
    work.move(entry, "refused", "refused", told={"who": who, "because": because}, said=because)


def _brake(work: UnitOfWork, wanted: Order) -> str:
    """Put a brake on or take it off: of a rule, of a lane, or of everything."""
    kind, _, name = wanted.subject.partition(":")
    if wanted.subject and (kind not in {"rule", "lane"} or not name):
        return f"{wanted.subject!r} cannot be braked; name rule:NAME or lane:NAME, or nothing for everything"
    rule, lane = (name if kind == "rule" else ""), (name if kind == "lane" else "")
    if wanted.verb == "brake":
        put_brake(work, rule, lane, wanted.who, wanted.because)
        return "the brake is on"
    mine = (brakes.c.account == work.account, brakes.c.rule == rule, brakes.c.lane == lane)
    gone = work.conn.execute(delete(brakes).where(*mine)).rowcount
    work.chain.add("unbraked", rule=rule, in_lane=lane, who=wanted.who, because=wanted.because)
    return "the brake is off" if gone else "there was no such brake"


OBEY: dict[str, Callable[[UnitOfWork, Order], str]] = {
    "approve": _decide,
    "refuse": _decide,
    "brake": _brake,
    "unbrake": _brake,
    "cancel": lambda _, wanted: wanted.answer,  # of a bulk job, which no entry is about: the API has answered already
    "retry gap": unreadable.retry,
    "close gap": unreadable.close,
    "retry held": renewing.retry,
}
"""What carries out an order, by its verb."""
