"""Evidence: records and entries exactly as they lie in the file, whatever somebody has put into its cells.

SQLite keeps any value in any column. What is read here is never decoded on the way, so that a cell of the wrong type is
found, and stops nobody.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple, TypeAlias

from sqlalchemy import Connection

from worker.ledger.heads import KeptHead, list_heads
from worker.ledger.views import read_cursor

AT_ONCE = 200
"""Entries whose records are looked up together."""
RAW_TEXTS = (
    *("id", "state", "lane", "target", "action", "rules", "fingerprints", "cause", "item", "because"),
    *("sender", "recipients", "subject", "verdict", "approved_by", "authenticated", "kind"),
)
RAW_NUMBERS = ("mode", "created_at", "settled_at")
RawEntry: TypeAlias = Mapping[str, str | float | None]
"""An entry's cells: text for people or JSON, or a number, None when it is none."""


class RecordRow(NamedTuple):
    """A row of records as it is; what has not the type of its column is None."""

    number: int | None
    at: float | None
    entry: str
    hash: str
    line: bytes | None


class Evidence:
    """What a ledger holds of an account, read within one transaction and row by row."""

    def __init__(self, conn: Connection, account: str) -> None:
        """Keep the connection, which must be in a transaction."""
        self._conn = conn
        self.account = account

    def list_records(self) -> Iterator[RecordRow]:
        """Yield every record, in order."""
        query = f"SELECT {_number('number')}, {_number('at')}, {_text('entry')}, {_text('hash')}, {_blob('line')} "
        query += "FROM records WHERE account = ? ORDER BY number"
        for number, at, entry, told, line in self._conn.exec_driver_sql(query, (self.account,)):
            whole = number if isinstance(number, int) else None
            yield RecordRow(whole, at, _decode(entry), _decode(told), line)

    def list_entries(self) -> Iterator[tuple[RawEntry, list[bytes]]]:
        """Yield every entry with the lines of its records, in order."""
        columns = ", ".join([*map(_text, RAW_TEXTS), *map(_number, RAW_NUMBERS)])
        rows = self._conn.exec_driver_sql(f"SELECT {columns} FROM entries WHERE +account = ? ORDER BY id", self._mine)  # noqa: S608 (names of our own)
        found = (_read_entry(tuple(row)) for row in rows)
        while chunk := list(islice(found, AT_ONCE)):
            lines = self._find_lines([str(entry["id"]) for entry in chunk])
            yield from ((entry, lines[str(entry["id"])]) for entry in chunk)

    def list_lost(self) -> Iterator[tuple[str, list[bytes]]]:
        """Yield the lines of each entry that is on record and not in the ledger, with its id."""
        query = "SELECT DISTINCT CAST(entry AS BLOB) FROM records WHERE account = ? AND entry != '' AND NOT EXISTS "
        query += "(SELECT 1 FROM entries WHERE entries.id = records.entry AND +entries.account = records.account)"
        found = (_decode(row[0]) for row in self._conn.exec_driver_sql(query, self._mine))
        while ids := list(islice(found, AT_ONCE)):
            yield from self._find_lines(ids).items()

    def read_cursor(self, sink: str) -> int:
        """Return the number of the last record that a sink has taken, 0 when that is unknown."""
        try:
            return read_cursor(self._conn, self.account, sink)
        except ValueError:
            return 0

    def list_heads(self) -> tuple[KeptHead, ...]:
        """Return the signed heads that the ledger itself keeps, in order."""
        return list_heads(self._conn, self.account)

    def was_used(self) -> bool:
        """Tell whether anything was ever read or entered for the account, which is on record from its first moment."""
        queries = [f"SELECT 1 FROM {name} WHERE account = ?" for name in ("entries", "sights", "slices")]  # noqa: S608 (names of our own)
        found = self._conn.exec_driver_sql(f"{' UNION ALL '.join(queries)} LIMIT 1", self._mine * len(queries))
        return found.first() is not None

    @property
    def _mine(self) -> tuple[str, ...]:
        return (self.account,)

    def _find_lines(self, ids: Sequence[str]) -> dict[str, list[bytes]]:
        """Return the lines of the records of some entries, in order."""
        query = f"SELECT CAST(entry AS BLOB), {_blob('line')} FROM records WHERE account = ? "  # noqa: S608 (names of our own)
        # The plus lets the database find them by entry; by number it would read every record for them.
        query += f"AND entry IN ({', '.join('?' * len(ids))}) ORDER BY +number"
        lines: dict[str, list[bytes]] = {id_: [] for id_ in ids}
        for entry, line in self._conn.exec_driver_sql(query, (self.account, *ids)):
            lines.setdefault(_decode(entry), []).append(line or b"")
        return lines


def list_chains(conn: Connection) -> tuple[str, ...]:
    """Return every account that has records."""
    found, after = [], ""
    query = "SELECT min(account) FROM records WHERE account > ?"
    while (account := conn.exec_driver_sql(query, (after,)).scalar()) is not None:
        after = str(account)
        found.append(after)
    return tuple(found)


def _read_entry(row: Sequence[object]) -> RawEntry:
    texts, numbers = row[: len(RAW_TEXTS)], row[len(RAW_TEXTS) :]
    read: dict[str, str | float | None] = {name: _decode(cell) for name, cell in zip(RAW_TEXTS, texts, strict=True)}
    return read | {name: _to_number(cell) for name, cell in zip(RAW_NUMBERS, numbers, strict=True)}


def _decode(cell: object) -> str:
    return cell.decode("utf-8", "replace") if isinstance(cell, bytes) else ""


def _to_number(cell: object) -> float | None:
    return cell if isinstance(cell, int | float) else None


def _text(name: str) -> str:
    return f'CAST("{name}" AS BLOB)'


def _number(name: str) -> str:
    return f"""CASE WHEN typeof("{name}") IN ('integer', 'real') THEN "{name}" END"""


def _blob(name: str) -> str:
    return f"""CASE typeof("{name}") WHEN 'blob' THEN "{name}" END"""
