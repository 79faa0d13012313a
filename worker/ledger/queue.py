"""What waits for a person, in groups that are decided alike: one outbreak is one group, however many mails it has.

What waits of one decision because of one event counts as one. A group is what the same rules want, with the same
actions, and what waits for the same reason.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    Connection,
    Subquery,
    Text,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    tuple_,
    type_coerce,
)

from worker.ledger.db.dialects import chunks
from worker.ledger.db.tables import entries, reasons
from worker.ledger.entries import Entry
from worker.ledger.matching import MailFilter, match
from worker.ledger.unit_of_work import SELECT_ENTRIES, entry_of

DOMAINS, EXAMPLES = 2, 3
"""How many domains of senders, and how many decisions, tell what a group is about."""
KEY = ("rules", "actions", "question", "approved_by")
"""What decisions of one group have in common."""
ALIKE = "rules", "question", "approved_by", "sender"
"""What is the same for all that waits of one decision because of one event."""
OF_ONE = "$.because", "$.pattern", "$.submission_id"
"""What of an action differs from mail to mail."""
Key = tuple[str, ...]
NEWEST_FIRST = entries.c.waits_since.desc(), entries.c.id.desc()


class WaitingQuery(NamedTuple):
    """What is asked about an account: what a filter lets through, began to wait after a time, or is of one group."""

    account: str
    filter: MailFilter = MailFilter()
    since: float = 0.0
    newest: str = ""
    """The id of a group's newest decision, when only that group is meant: nothing that came later."""


class WaitingGroup(Struct, frozen=True, kw_only=True):
    """Decisions that are alike: how many, since when, of which senders, and the newest few."""

    newest: str
    """The id of the newest decision; no later one belongs to the group."""
    decisions: int
    oldest: float
    senders: int
    domains: tuple[tuple[str, int], ...]
    """The commonest domains of senders, each with its number of decisions."""
    examples: tuple[Entry, ...]
    """What waits of the newest few decisions, the newest first."""


class WaitingSummary(Struct, frozen=True, kw_only=True):
    """What waits: how many decisions in how many groups, since when, and the groups with the newest decisions."""

    decisions: int = 0
    groups: int = 0
    oldest: float = 0.0
    newest_groups: tuple[WaitingGroup, ...] = ()


def find_groups(conn: Connection, wanted: WaitingQuery, limit: int) -> WaitingSummary:
    """Return how much waits, and the groups with the newest decisions, the newest first."""
    decisions = _select_decisions(wanted)
    key = [decisions.c[name] for name in KEY]
    of_group = func.count().label("decisions"), func.min(decisions.c.oldest).label("oldest")
    in_all = (
        func.count().over().label("groups"),
        func.sum(func.count()).over().label("all_decisions"),
        func.min(func.min(decisions.c.oldest)).over().label("oldest_of_all"),
    )
    senders, newest = func.count(decisions.c.sender.distinct()).label("senders"), func.max(decisions.c.since)
    query = select(*key, *of_group, senders, *in_all).group_by(*key).order_by(newest.desc(), *key).limit(limit)
    rows = {tuple(row[: len(KEY)]): row for row in conn.execute(query)}
    if not rows:
        return WaitingSummary()
    examples, domains = _find_examples(conn, decisions, rows), _find_domains(conn, decisions, rows)
    found = tuple(
        WaitingGroup(
            newest=examples[group][0].id,
            decisions=row.decisions,
            oldest=row.oldest,
            senders=row.senders,
            domains=tuple(domains[group]),
            examples=tuple(examples[group]),
        )
        for group, row in rows.items()
    )
    first = next(iter(rows.values()))
    return WaitingSummary(
        decisions=first.all_decisions, groups=first.groups, oldest=first.oldest_of_all, newest_groups=found
    )


def list_waiting(conn: Connection, wanted: WaitingQuery, limit: int) -> tuple[Entry, ...]:
    """Return the newest entries that wait, newest first."""
    query = SELECT_ENTRIES.where(_waits(wanted)).order_by(*NEWEST_FIRST).limit(limit)
    if wanted.newest:
        decisions = _select_decisions(wanted)
        newest = select(decisions).where(decisions.c.id == wanted.newest).subquery()
        alike = and_(*(decisions.c[name] == newest.c[name] for name in KEY), decisions.c.since <= newest.c.since)
        group = select(decisions.c.item, decisions.c.cause).join(newest, alike)
        query = query.where(tuple_(entries.c.item, entries.c.cause).in_(group))
    return tuple(map(entry_of, conn.execute(query)))


def list_decision(conn: Connection, account: str, name: str) -> tuple[Entry, ...]:
    """Return what waits of a decision, by its item or the id of one of its entries; also what joined it later."""
    named = or_(entries.c.id == name, entries.c.item == name)
    items = select(entries.c.item).where(_waits(WaitingQuery(account)), named).union(select(literal(name)))
    standing = select(reasons.c.entry).where(reasons.c.account == account, reasons.c.item.in_(items))
    theirs = or_(entries.c.item.in_(items), entries.c.id.in_(standing))
    query = SELECT_ENTRIES.where(_waits(WaitingQuery(account)), theirs).order_by(*NEWEST_FIRST)
    return tuple(map(entry_of, conn.execute(query)))


def _find_examples(  # type: ignore[explicit-any]  # columns have no types
    conn: Connection, decisions: Subquery, groups: Iterable[Key]
) -> dict[Key, list[Entry]]:
    """Return what waits of the newest few decisions of each group, the newest first."""
    key = [decisions.c[name] for name in KEY]
    newest_first = decisions.c.since.desc(), decisions.c.id.desc()
    place = func.row_number().over(partition_by=key, order_by=newest_first).label("place")
    ranked = select(*key, decisions.c.item, decisions.c.cause, place).where(tuple_(*key).in_(groups)).subquery()
    theirs = and_(entries.c.item == ranked.c.item, entries.c.cause == ranked.c.cause, entries.c.state == "waiting")
    query = (
        select(entries.c.id, *(ranked.c[name] for name in KEY)).join(ranked, theirs).where(ranked.c.place <= EXAMPLES)
    )
    rows = conn.execute(query.order_by(ranked.c.place, entries.c.id)).all()
    known = {entry.id: entry for entry in _fetch(conn, [row.id for row in rows])}
    found: dict[Key, list[Entry]] = defaultdict(list)
    for id_, *group in rows:
        found[tuple(group)].append(known[id_])
    return found


def _fetch(conn: Connection, ids: Iterable[str]) -> Iterator[Entry]:
    for chunk in chunks(ids):
        yield from map(entry_of, conn.execute(SELECT_ENTRIES.where(entries.c.id.in_(chunk))))


def _find_domains(  # type: ignore[explicit-any]  # columns have no types
    conn: Connection, decisions: Subquery, groups: Iterable[Key]
) -> dict[Key, list[tuple[str, int]]]:
    """Return the commonest domains of senders of each group, with their numbers of decisions."""
    key = [decisions.c[name] for name in KEY]
    domain = func.lower(func.substr(decisions.c.sender, func.instr(decisions.c.sender, "@") + 1)).label("domain")
    counted = select(*key, domain, func.count().label("number")).where(tuple_(*key).in_(groups)).group_by(*key, domain)
    each = counted.subquery().c
    place = func.row_number().over(
        partition_by=[each[name] for name in KEY], order_by=(each.number.desc(), each.domain)
    )
    ranked = select(*each, place.label("place")).subquery()
    found: dict[Key, list[tuple[str, int]]] = defaultdict(list)
    for *group, name, number, _ in conn.execute(
        select(ranked).where(ranked.c.place <= DOMAINS).order_by(ranked.c.place)
    ):
        found[tuple(group)].append((name, number))
    return found


def _waits(wanted: WaitingQuery) -> ColumnElement[bool]:
    waiting = entries.c.account == wanted.account, entries.c.state == "waiting", match(wanted.filter)
    return and_(*waiting, entries.c.waits_since > wanted.since)


def _select_decisions(wanted: WaitingQuery) -> Subquery:  # type: ignore[explicit-any]  # columns have no types
    """Select each decision about an event, with what waits of it added up."""
    one = entries.c
    action = func.json_remove(type_coerce(one.action, Text), *OF_ONE).label("action")
    # Of a question that has a code, the sentence may differ from mail to mail.
    question = case((one.why != "", one.why), else_=one.said).label("question")
    columns = one.id, one.item, one.cause, one.rules, one.approved_by, one.sender, one.waits_since, question, action
    each = select(*columns).where(_waits(wanted)).order_by(one.id).subquery().c
    query = select(
        func.min(each.id).label("id"),
        each.item,
        each.cause,
        func.group_concat(each.action).label("actions"),
        *(func.min(type_coerce(each[name], Text)).label(name) for name in ALIKE),
        func.max(each.waits_since).label("since"),
        func.min(each.waits_since).label("oldest"),
    )
    return query.group_by(each.item, each.cause).subquery()
