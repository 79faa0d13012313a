"""Mail by its names, which rules judged a sight, and what they said of it."""

import json
from collections.abc import Iterator

from alembic import op
from sqlalchemy import Column, Connection, Double, Index, Integer, Text, text

revision = "0007"
down_revision = "0006"

DAY = 86_400.0
AT_ONCE = 1000
KNOWN = """
INSERT INTO mails (number, account, time, id, postfix_id, message_id, sender, recipients, more, subject)
SELECT row_number() OVER (ORDER BY time, id, account), account, time, id,
       CASE WHEN instr(id, '-') THEN substr(id, 1, instr(id, '-') - 1) ELSE id END, '',
       coalesce((SELECT sender FROM entries WHERE {about} AND sender != '' LIMIT 1), ''),
       coalesce((SELECT recipients FROM entries WHERE {about} AND recipients != '[]' LIMIT 1), '[]'), 0,
       coalesce((SELECT subject FROM entries WHERE {about} AND subject != '' LIMIT 1), '')
FROM (SELECT account, time, id FROM sights WHERE kind = 'Message'
      UNION SELECT account, scanned_at, target FROM entries WHERE lane IN ('placement', 'verdict')) AS seen
"""
ABOUT = "entries.account = seen.account AND entries.target = seen.id"
READ = (
    "SELECT number, time, id, postfix_id, sender, recipients FROM mails WHERE number > :after ORDER BY number LIMIT :n"
)
NAME = "INSERT OR IGNORE INTO names (role, day, name, mail) VALUES (:role, :day, :name, :mail)"
NameRow = dict[str, str | int]


def upgrade() -> None:
    """Add the tables and columns, and fill them from sights and entries; who judged earlier sights is not known."""
    op.create_table(
        "mails",
        Column("number", Integer, primary_key=True, nullable=False, autoincrement=False),
        *(_text("account"), Column("time", Double, nullable=False), _text("id"), _text("postfix_id")),
        *(_text("message_id"), _text("sender"), _text("recipients"), Column("more", Integer, nullable=False)),
        _text("subject"),
        Index("mails_time", "time"),
    )
    op.create_table(
        "names",
        Column("role", Text, primary_key=True, nullable=False),
        Column("day", Integer, primary_key=True, nullable=False, autoincrement=False),
        Column("name", Text, primary_key=True, nullable=False),
        Column("mail", Integer, primary_key=True, nullable=False, autoincrement=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rule_tables",
        Column("number", Integer, primary_key=True, nullable=False, autoincrement=False),
        *(_text("fingerprint"), _text("rules")),
        Index("rule_tables_fingerprint", "fingerprint", unique=True),
    )
    op.add_column("sights", Column("rule_table", Integer, nullable=False, server_default=text("0")))
    op.add_column("sights", Column("answers", Text, nullable=False, server_default="[]"))
    op.create_index("entries_cause", "entries", ["account", "cause"])
    conn = op.get_bind()
    conn.execute(text(KNOWN.format(about=ABOUT)))
    for rows in _read_names(conn):
        conn.execute(text(NAME), rows)


def _text(name: str) -> "Column[str]":
    return Column(name, Text, nullable=False)


def _read_names(conn: Connection) -> Iterator[list[NameRow]]:
    """Yield the names of all mail, a thousand mails at a time."""
    after = 0
    while mails := conn.execute(text(READ), {"after": after, "n": AT_ONCE}).all():
        after = mails[-1].number
        yield [
            {"role": role, "day": int(mail.time // DAY), "name": name.strip().lower(), "mail": mail.number}
            for mail in mails
            for role, name in _list_names(mail.postfix_id, mail.sender, json.loads(mail.recipients))
        ]


def _list_names(postfix_id: str, sender: str, recipients: list[str]) -> Iterator[tuple[str, str]]:
    yield "id", postfix_id
    if sender:
        yield "sender", sender
    for recipient in recipients:
        yield "recipient", recipient
