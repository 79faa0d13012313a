"""Lives of mails: finding one by what it is called, and everything that is on record of it. Nothing here writes."""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import NamedTuple

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Select, between, func, select

from worker.ledger.db.dialects import chunks
from worker.ledger.db.tables import entries, held, mails, mishaps, names, reasons, records, rule_tables, sights
from worker.ledger.entries import Entry
from worker.ledger.mails import day_of, normalize
from worker.ledger.sights import find_lacked, list_absences
from worker.ledger.unit_of_work import SELECT_ENTRIES, entry_of
from worker.ledger.values import RuleAnswer, RuleTable, Thing, thing_of, write_key

MOST_ENTRIES = 100
"""Entries of one mail that are read, the newest first."""


class MailSearch(NamedTuple):
    """Which mail is looked for: by one of its ids, by exact addresses, by a part of its subject; newest first."""

    id: str = ""
    """The message's id, its postfix id, the beginning of the id up to a dash, or its Message-ID."""
    sender: str = ""
    recipient: str = ""
    subject: str = ""
    since: float = 0.0
    limit: int = 50
    scanned_at: float = 0.0
    """When a message was scanned of which the whole id is given, 0 for any other name."""


class SeenMail(Struct, frozen=True, kw_only=True):
    """A mail as the ledger knows it; a ledger of an earlier version may know no more than its id."""

    account: str
    time: float
    id: str
    postfix_id: str = ""
    message_id: str = ""
    sender: str = ""
    recipients: tuple[str, ...] = ()
    more: int = 0
    """Recipients beyond those that are kept."""
    subject: str = ""

    @property
    def thing(self) -> str:
        """What all causes begin with that are sights of this mail."""
        return thing_of(write_key(Thing("Message", self.time, self.id), 1))


class SeenSight(Struct, frozen=True, kw_only=True):
    """A state of a mail as it was seen, and what the rules said of it; what is not known is 0."""

    number: int
    state: str
    verdict: str
    quarantined: bool
    seen_at: float
    rule_table: int
    answers: tuple[RuleAnswer, ...]
    lacked: tuple[str, ...] = ()
    """Fields that were missing when it was judged; once they are back, it is judged again."""


class RuleProblem(Struct, frozen=True, kw_only=True):
    """A rule that failed, why and when."""

    rule: str
    number: int
    """The sight on which it failed."""
    problem: str
    at: float


class HeldSight(Struct, frozen=True, kw_only=True):
    """A sight that rules cannot judge yet, and what is in the way."""

    number: int
    why: str
    since: float
    tries: int
    next_at: float


class Life(Struct, frozen=True, kw_only=True):
    """Everything that is on record of a mail."""

    mail: SeenMail
    sights: tuple[SeenSight, ...]
    rule_tables: dict[int, RuleTable]
    failures: tuple[RuleProblem, ...]
    held: tuple[HeldSight, ...]
    entries: tuple[Entry, ...]
    records: tuple[bytes, ...]


_MAIL = [mails.c[name] for name in SeenMail.__struct_fields__]
_SIGHT = [sights.c[name] for name in SeenSight.__struct_fields__ if name != "lacked"]
_CALLED = select(*_MAIL).join_from(names, mails, mails.c.number == names.c.mail)
_CALLED = _CALLED.order_by(names.c.day.desc(), mails.c.time.desc())


def find_mails(conn: Connection, account: str, search: MailSearch) -> tuple[SeenMail, ...]:
    """Return the mail that is looked for, newest first; ids and addresses are found by an index."""
    called = _list_called(search)
    found = _find_called(conn, account, search.since, called) if called else _find_since(conn, account, search)
    found = chain(found, _find_unheard(conn, account, search))
    return tuple(islice(_take_once(mail for mail in found if is_wanted(mail, search)), search.limit))


def read_life(conn: Connection, mail: SeenMail) -> Life:
    """Return everything that is on record of a mail."""
    seen = tuple(_read_sights(conn, mail))
    tables = _read_tables(conn, {one.rule_table for one in seen})
    wanted = tuple(_read_entries(conn, mail))
    return Life(
        mail=mail,
        sights=seen,
        rule_tables=tables,
        failures=tuple(_read_failures(conn, mail, seen, tables)),
        held=tuple(_read_held(conn, mail, seen)),
        entries=wanted,
        records=tuple(_read_records(conn, mail.account, [entry.id for entry in wanted])),
    )


def _take_once(found: Iterable[SeenMail]) -> Iterator[SeenMail]:
    """Yield each mail once, although several names may lead to it."""
    known = set[str]()
    for mail in found:
        if mail.id not in known:
            known.add(mail.id)
            yield mail


def _list_called(search: MailSearch) -> list[tuple[str, str]]:
    """Return the names that lead to the mail: those of its id, else one address, which others narrow down."""
    if name := normalize(search.id):
        return [("id", name), ("id", name.partition("-")[0]), ("message_id", name)]
    by_address = [("sender", normalize(search.sender)), ("recipient", normalize(search.recipient))]
    return [(role, address) for role, address in by_address if address][:1]


def _find_called(conn: Connection, account: str, since: float, called: Iterable[tuple[str, str]]) -> Iterator[SeenMail]:
    """Yield mail by its names, which are kept by day."""
    for role, name in dict.fromkeys(called):
        for days in chunks(_list_days(conn, role, since)):
            mine = names.c.role == role, names.c.day.in_(days), names.c.name == name, mails.c.account == account
            yield from _read_mails(conn, _CALLED.where(*mine, mails.c.time >= since))


def _find_unheard(conn: Connection, account: str, search: MailSearch) -> Iterator[SeenMail]:
    """Yield mail that no rule hears: nothing is kept of it but that it was seen, under its whole id."""
    key = sights.c.account == account, sights.c.kind == "Message", sights.c.time == search.scanned_at
    if search.scanned_at and conn.scalar(select(sights.c.id).where(*key, sights.c.id == search.id.strip()).limit(1)):
        yield SeenMail(account=account, time=search.scanned_at, id=search.id.strip())


def _list_days(conn: Connection, role: str, since: float) -> range:
    """Return the days of which names are kept, the newest first."""
    last = conn.scalar(select(func.max(names.c.day)).where(names.c.role == role))
    first = conn.scalar(select(func.min(names.c.day)).where(names.c.role == role))
    return range(0) if last is None or first is None else range(last, max(first, day_of(since)) - 1, -1)


def _find_since(conn: Connection, account: str, search: MailSearch) -> Iterator[SeenMail]:
    """Yield mail by a part of its subject; whatever is not ASCII is compared later."""
    like = f"%{''.join(map(_escape_like, search.subject))}%"
    mine = mails.c.account == account, mails.c.time >= search.since, mails.c.subject.like(like, escape="\\")
    return _read_mails(conn, select(*_MAIL).where(*mine).order_by(mails.c.time.desc()))


def _escape_like(character: str) -> str:
    """Return what matches a character in any case: outside of ASCII, the database does not know cases."""
    if not character.isascii():
        return "%"
    return f"\\{character}" if character in "%_\\" else character


def is_wanted(mail: SeenMail, search: MailSearch) -> bool:
    """Tell whether a mail is what is looked for in every respect."""
    id_, sender, recipient = normalize(search.id), normalize(search.sender), normalize(search.recipient)
    return (
        (not id_ or _is_called(mail, id_))
        and sender in {"", normalize(mail.sender)}
        and (not recipient or recipient in map(normalize, mail.recipients))
        and search.subject.casefold() in mail.subject.casefold()
    )


def _is_called(mail: SeenMail, name: str) -> bool:
    known = normalize(mail.id)
    return name in {known, mail.postfix_id.lower(), normalize(mail.message_id)} or known.startswith(f"{name}-")


def _read_mails(conn: Connection, query: Select[*tuple[object, ...]]) -> Iterator[SeenMail]:
    for row in conn.execute(query):
        yield SeenMail(**row._mapping)  # noqa: SLF001


def _read_sights(conn: Connection, mail: SeenMail) -> Iterator[SeenSight]:
    mine = sights.c.account == mail.account, sights.c.kind == "Message", sights.c.time == mail.time
    absences = list_absences(conn, mail.account, "Message")
    for row in conn.execute(select(*_SIGHT).where(*mine, sights.c.id == mail.id).order_by(sights.c.number)):
        yield SeenSight(**row._mapping, lacked=find_lacked(absences, row.seen_at) if row.rule_table else ())  # noqa: SLF001


def _read_tables(conn: Connection, numbers: set[int]) -> dict[int, RuleTable]:
    """Return the rules that were asked, by the number of their table."""
    rows = conn.execute(select(rule_tables).where(rule_tables.c.number.in_(numbers)))
    return {row.number: RuleTable(row.fingerprint, row.rules) for row in rows}


def _read_failures(
    conn: Connection, mail: SeenMail, seen: Iterable[SeenSight], tables: dict[int, RuleTable]
) -> Iterator[RuleProblem]:
    """Yield why rules failed: their names and marks lead to it."""
    for one in seen:
        failed = {answer.rule for answer in one.answers if answer.result == "failed"}
        for rule in (rule for rule in tables.get(one.rule_table, RuleTable()).rules if rule.name in failed):
            mine = mishaps.c.account == mail.account, mishaps.c.rule == rule.name
            this = mishaps.c.fingerprint == rule.fingerprint, mishaps.c.cause == f"{mail.thing}/{one.number}"
            for row in conn.execute(select(mishaps.c.problem, mishaps.c.at).where(*mine, *this)):
                yield RuleProblem(rule=rule.name, number=one.number, problem=row.problem, at=row.at)


def _read_held(conn: Connection, mail: SeenMail, seen: Iterable[SeenSight]) -> Iterator[HeldSight]:
    for one in seen:
        mine = held.c.account == mail.account, held.c.key == f"{mail.thing}/{one.number}"
        for row in conn.execute(select(held.c.why, held.c.since, held.c.tries, held.c.next_at).where(*mine)):
            yield HeldSight(number=one.number, why=row.why, since=row.since, tries=row.tries, next_at=row.next_at)


def _read_entries(conn: Connection, mail: SeenMail) -> list[Entry]:
    """Return the entries about a mail, because of it, and those that it has joined, oldest first; and their ends."""
    mine = entries.c.account == mail.account
    causes = between(entries.c.cause, f"{mail.thing}/", f"{mail.thing}0")
    found = _load(conn, mine & (entries.c.target == mail.id)) | _load(conn, mine & causes)
    joined = select(reasons.c.entry).where(reasons.c.account == mail.account, reasons.c.thing == mail.thing)
    for chunk in chunks(set(conn.scalars(joined)) - found.keys()):
        found |= _load(conn, entries.c.id.in_(chunk))  # an id is one account's: naming that misleads the database
    for chunk in chunks(f"end/{id_}" for id_ in tuple(found)):
        found |= _load(conn, mine & entries.c.item.in_(chunk))
    return sorted(found.values(), key=lambda entry: entry.id)


def _load(conn: Connection, condition: ColumnElement[bool]) -> dict[str, Entry]:
    query = SELECT_ENTRIES.where(condition).order_by(entries.c.id.desc()).limit(MOST_ENTRIES)
    return {entry.id: entry for entry in map(entry_of, conn.execute(query))}


def _read_records(conn: Connection, account: str, ids: list[str]) -> list[bytes]:
    """Return what is on record of some entries, in order."""
    found: dict[int, bytes] = {}
    for chunk in chunks(ids):
        query = select(records.c.number, records.c.line).where(records.c.account == account, records.c.entry.in_(chunk))
        found |= {row.number: bytes(row.line) for row in conn.execute(query)}
    return [found[number] for number in sorted(found)]
