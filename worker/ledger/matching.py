"""What people look for: entries by rule, sender, recipient and subject, said in SQL."""

from collections.abc import Iterator

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Text, func, or_, true, type_coerce

from worker.ledger.db.tables import entries
from worker.ledger.records import harmless


class MailFilter(Struct, frozen=True, kw_only=True):
    """What entries are looked for; what is empty lets every entry through."""

    rule: str = ""
    sender: str = ""
    """An address, or a domain."""
    recipient: str = ""
    """An address, or a domain."""
    subject: str = ""
    """A part of it, in any case."""


def match(wanted: MailFilter) -> ColumnElement[bool]:
    """Say in SQL which entries a filter lets through."""
    found: ColumnElement[bool] = true()
    for condition in _list_conditions(wanted):
        found &= condition
    return found


def _list_conditions(wanted: MailFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.rule:
        yield by_rule(wanted.rule)
    if wanted.sender:
        domain = f"@{harmless(wanted.sender)}"
        ending = func.lower(func.substr(entries.c.sender, -len(domain))) == func.lower(domain)
        yield or_(func.lower(entries.c.sender) == func.lower(domain[1:]), ending)
    if wanted.recipient:
        # The column is a list in JSON: only there do quotation marks stand without a backslash.
        name = msgspec.json.encode(wanted.recipient).decode()[1:]
        yield or_(*(_holds(type_coerce(entries.c.recipients, Text), mark + name) for mark in ('["', ',"', "@")))
    if wanted.subject:
        yield _holds(entries.c.subject, harmless(wanted.subject))


def _holds(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    """Say in SQL that a text is a part of a column, in any case."""
    return func.instr(func.lower(column), func.lower(text)) > 0


def by_rule(rule: str) -> ColumnElement[bool]:
    """Say in SQL that a rule is among those an entry stands on."""
    return type_coerce(entries.c.rules, Text).contains(f'"{rule}"', autoescape=True)
