"""Mails: what each can be found by, from its ids to its recipients."""

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import Connection, delete, func, select, update

from worker.escaping import escape
from worker.ledger.db.dialects import add, chunks, upsert
from worker.ledger.db.tables import entries, mails, meta, names
from worker.ledger.values import MailNames, Page, Sight, Thing

ROLES = ("id", "message_id", "sender", "recipient")
DAY = 86_400.0
MOST_RECIPIENTS = 500
"""Recipients of one mail that are kept; of more, only their number is."""
LONGEST_NAME = 320
"""Characters of the longest address."""
LONGEST_SUBJECT = 200
NameRow = tuple[str, int, str, int]


def normalize(name: str) -> str:
    """Return a name in the form in which names are kept and looked up: in lower case, without brackets around it."""
    bare = name.strip()
    return _make_harmless(bare[1:-1] if bare[:1] == "<" and bare[-1:] == ">" else bare).lower()


def day_of(time: float) -> int:
    """Return the day under which the names of a mail are kept."""
    return int(time // DAY)


def keep_mails(conn: Connection, page: Page) -> None:
    """Write down the messages that come with their names and are not kept yet."""
    named = [sight for sight in page.news.sights if sight.reading.names]
    kept = _find_kept(conn, page.account, [sight.reading.thing for sight in named if sight.number > 1])
    readings = [sight.reading for sight in named if sight.reading.thing.id not in kept]
    again = [sight for sight in named if sight.lacked] + [judgement.sight for judgement in page.judgements]
    _complete(conn, page.account, again)
    found = [(one.thing, _bound(one.names)) for one in readings if one.names]
    if not found:
        return
    first = (conn.scalar(select(func.max(mails.c.number))) or 0) + 1
    add(conn, mails, [_make_row(number, page.account, *mail) for number, mail in enumerate(found, first)])
    add(conn, names, _make_rows(row for number, mail in enumerate(found, first) for row in _list_names(number, *mail)))


def _complete(conn: Connection, account: str, sights: Sequence[Sight]) -> None:
    """Write down anew what is kept of messages of which something was missing before."""
    for thing, mail in ((one.reading.thing, _bound(one.reading.names)) for one in sights if one.reading.names):
        mine = mails.c.account == account, mails.c.time == thing.time, mails.c.id == thing.id
        if number := conn.scalar(select(mails.c.number).where(*mine)):
            row = _make_row(number, account, thing, mail)
            conn.execute(update(mails).where(mails.c.number == number).values(row))
            upsert(conn, names, _make_rows(_list_names(number, thing, mail)))


def _make_rows(called: Iterable[NameRow]) -> list[dict[str, object]]:
    """Return the rows of names, each once, and those beside each other that are so in the table."""
    rows = sorted(set(called))
    return [{"role": role, "day": day, "name": name, "mail": mail} for role, day, name, mail in rows]


def _find_kept(conn: Connection, account: str, things: Sequence[Thing]) -> set[str]:
    """Return the ids of those messages that are kept already."""
    kept = set[str]()
    for chunk in chunks(things):
        times, ids = {thing.time for thing in chunk}, [thing.id for thing in chunk]
        theirs = mails.c.time.in_(times), mails.c.account == account, mails.c.id.in_(ids)
        kept.update(conn.scalars(select(mails.c.id).where(*theirs)))
    return kept


def forget_mails(conn: Connection, account: str, before: float, keep_before: float) -> None:
    """Delete mails that were scanned before a time, but for those of which an entry is kept.

    Each is looked at when its time has come, and again when its entry has gone; not each time in between.
    """
    mark = f"forgotten/{account}"
    reached = float(conn.scalar(select(meta.c.value).where(meta.c.name == mark)) or 0.0)
    for start, end in ((reached, before), (0.0, min(before, keep_before))):
        _forget_between(conn, account, start, end)
    upsert(conn, meta, [{"name": mark, "value": repr(before)}], ("value",))


def _forget_between(conn: Connection, account: str, start: float, end: float) -> None:
    """Delete mails that were scanned in an interval and have no entry, and the names that lead nowhere then."""
    is_wanted = select(entries.c.id).where(entries.c.account == account, entries.c.target == mails.c.id).exists()
    theirs = mails.c.time >= start, mails.c.time < end, mails.c.account == account
    conn.execute(delete(mails).where(*theirs, ~is_wanted))
    is_there = select(mails.c.number).where(mails.c.number == names.c.mail).exists()
    days = names.c.day.between(day_of(start), day_of(end))
    conn.execute(delete(names).where(names.c.role.in_(ROLES), days, ~is_there))


def _bound(mail: MailNames) -> MailNames:
    """Make harmless what strangers wrote; the number of recipients is still what it was."""
    return MailNames(
        postfix_id=_make_harmless(mail.postfix_id),
        message_id=_make_harmless(mail.message_id),
        sender=_make_harmless(mail.sender),
        recipients=tuple(map(_make_harmless, mail.recipients)),
        subject=escape(mail.subject, LONGEST_SUBJECT),
    )


def _make_harmless(name: str) -> str:
    return escape(name, LONGEST_NAME)


def _make_row(number: int, account: str, thing: Thing, mail: MailNames) -> dict[str, object]:
    return {
        "number": number,
        "account": account,
        "time": thing.time,
        "id": thing.id,
        "postfix_id": mail.postfix_id,
        "message_id": mail.message_id,
        "sender": mail.sender,
        "recipients": mail.recipients[:MOST_RECIPIENTS],
        "more": max(0, len(mail.recipients) - MOST_RECIPIENTS),
        "subject": mail.subject,
    }


def _list_names(number: int, thing: Thing, mail: MailNames) -> Iterator[NameRow]:
    """Yield the names of a mail; its id is none of them when it begins with its postfix id."""
    day = day_of(thing.time)
    if mail.postfix_id:
        yield "id", day, mail.postfix_id.lower(), number
    if not thing.id.startswith(f"{mail.postfix_id}-") and thing.id != mail.postfix_id:
        yield "id", day, normalize(thing.id), number
    if mail.message_id:
        yield "message_id", day, normalize(mail.message_id), number
    if mail.sender:
        yield "sender", day, normalize(mail.sender), number
    for name in set(map(normalize, mail.recipients[:MOST_RECIPIENTS])):
        yield "recipient", day, name, number
