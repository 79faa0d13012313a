"""Typed columns for what was read out of sentences; their words are read here for the last time."""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from math import inf

from alembic import op
from sqlalchemy import Column, Connection, Double, Row, Text, text

revision = "0002"
down_revision = "0001"

TEXTS = {"item_kind": "decision", "item_of": "", "why": "", "why_ref": "", "shown": "[]", "fault": ""}
TIMES = ("shown_before", "drifted_at")
ORDER = ("item_kind", "item_of", "why", "why_ref", "shown", "shown_before", "fault", "drifted_at")
DRIFT = "drift: "
ASKED = "somebody let this mail through: "
BLOCKED = re.compile(r"(?:list entry (\S+)|entry (\S+) of the ledger, which is on its way) blocks this sender: ")
LINE = re.compile(
    r"(MOVE|RELEASE|QUARANTINE_RELEASE)(?: to (.{1,59}?))? by (.{1,79}?)"
    r"(?: at (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)Z)?(?: \((.{1,79})\))?"
)
"""One line of an action log as a ledger of revision 0001 tells it; a part that fills its bound may have been cut."""


def upgrade() -> None:
    """Add the columns, and fill them from the sentences of revision 0001."""
    for name in ORDER:
        op.add_column("entries", _column(name))
    for name in ("item_kind", "item_of"):
        op.add_column("reasons", _column(name))
    conn = op.get_bind()
    for table in ("entries", "reasons"):
        _type_items(conn, table)
    conn.execute(text("UPDATE entries SET item_kind = 'end', item_of = substr(cause, 5) WHERE cause LIKE 'end/%'"))
    _mark_drift(conn)
    unclear = "state = 'sent' AND kind = 'Move' AND said != ''"
    conn.execute(text(f"UPDATE entries SET why = 'answer_unclear' WHERE {unclear}"))  # noqa: S608 (our own words)
    _type_questions(conn)


def _column(name: str) -> "Column[str] | Column[float]":
    if name in TIMES:
        return Column(name, Double, nullable=False, server_default=text("0"))
    return Column(name, Text, nullable=False, server_default=TEXTS[name])


def _type_items(conn: Connection, table: str) -> None:
    """Say of each item what it is, and of what."""
    typed = "item LIKE 'dispute/%' OR item LIKE 'limit/%'"
    found = conn.execute(text(f"SELECT DISTINCT account, item FROM {table} WHERE {typed}"))  # noqa: S608
    for account, item in found.all():
        kind, _, rest = item.partition("/")
        of = rest.rpartition("#" if kind == "dispute" else "/")[0]
        mine = "account = :account AND item = :item"  # as the index has it
        change = text(f"UPDATE {table} SET item_kind = :kind, item_of = :of WHERE {mine}")  # noqa: S608
        conn.execute(change, {"kind": kind, "of": of, "item": item, "account": account})


def _mark_drift(conn: Connection) -> None:
    """Keep when a contradiction was noted, and what was said before."""
    noted = "SELECT max(at) FROM records WHERE records.account = entries.account AND records.entry = entries.id"
    change = f"drifted_at = coalesce(({noted}), settled_at), said = substr(said, {len(DRIFT) + 1})"
    conn.execute(text(f"UPDATE entries SET {change} WHERE state = 'done' AND said LIKE '{DRIFT}%'"))  # noqa: S608


def _type_questions(conn: Connection) -> None:
    """Keep what people were asked about what is not settled yet, or have decided on."""
    unsettled = "state IN ('held', 'waiting', 'ready', 'claimed', 'sent', 'unsure')"
    rows = conn.execute(text(f"SELECT id, account, said, approved_by FROM entries WHERE {unsettled}")).all()  # noqa: S608
    for row in rows:
        if found := BLOCKED.match(row.said):
            change = "UPDATE entries SET why = 'blocked_elsewhere', why_ref = :ref WHERE id = :id"
            conn.execute(text(change), {"ref": found[1] or found[2], "id": row.id})
        elif row.said.startswith(ASKED):
            keys = _keys(row.said.removeprefix(ASKED))
            before = 0.0 if keys else _decided_at(conn, row)
            change = "UPDATE entries SET shown = :shown, shown_before = :before WHERE id = :id"
            conn.execute(
                text(change), {"shown": json.dumps(keys, separators=(",", ":")), "before": before, "id": row.id}
            )


def _keys(told: str) -> list[str]:
    """Return the keys of the lines that a person was told; none when a line was cut, left out or cannot be read."""
    lines = [LINE.fullmatch(line) for line in told.split("; ")]
    try:
        return [_key(line) for line in lines if line] if all(map(_is_exact, lines)) else []
    except ValueError:  # what looks like a time is a part of somebody's name
        return []


def _is_exact(line: "re.Match[str] | None") -> bool:
    """Tell whether a line was told as it stood in the log: nothing was cut, or escaped."""
    return line is not None and "…" not in line[0] and "\\" not in line[0] and " at " not in line[3]


def _key(line: "re.Match[str]") -> str:
    """Return the key that later versions give to this line."""
    operation, folder, by, at, status = line[1], line[2], line[3], line[4], line[5]
    time = int(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()) if at else 0
    told = json.dumps([operation, folder or "", by, time, status or ""], separators=(",", ":"), ensure_ascii=False)
    return sha256(told.encode()).hexdigest()[:16]


def _decided_at(conn: Connection, row: "Row[tuple[str, str, str, str]]") -> float:
    """Return when a person decided: up to then, all that the log shows counts as shown; never, while nobody has."""
    if not row.approved_by:
        return inf
    lines = text("SELECT at, line FROM records WHERE account = :account AND entry = :entry ORDER BY number DESC")
    found = conn.execute(lines, {"account": row.account, "entry": row.id})
    approved = next(_approvals(found), None)
    newest = text("SELECT max(at) FROM records WHERE account = :account")
    return approved or conn.scalar(newest, {"account": row.account}) or inf


def _approvals(records: "Iterable[Row[tuple[float, bytes]]]") -> Iterator[float]:
    """Yield when records tell of an approval."""
    for row in records:
        if json.loads(row.line)["verb"] == "approved":
            yield row.at
