"""The audit records: canonical JSON, chained per account, so that an edit shows to anyone who kept a later one.

A record's hash is sha256 over the 32 bytes of the previous record's hash (zeros before the first) followed by the bytes
of the record: canonical JSON (sorted keys, no spaces, UTF-8) without its ``hash``, which is written last.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Literal, NamedTuple, TypeAlias, get_args

import msgspec
from sqlalchemy import Connection, Text, bindparam, select

from worker.escaping import escape
from worker.ledger.db.dialects import add
from worker.ledger.db.statements import Statement
from worker.ledger.db.tables import records
from worker.ledger.entries import Entry

Verb = Literal[
    "started",
    "stopped",
    "bundle taken",
    "bundle refused",
    "entered",
    "joined",
    "withdrawn",
    "claimed",
    "answered",
    "accepted",
    "settled",
    "released",
    "extended",
    "postponed",
    "put behind",
    "record read",
    "retired",
    "approved",
    "refused",
    "lapsed",
    "ordered",
    "braked",
    "unbraked",
    "circuit opened",
    "circuit closed",
    "abandoned",
    "rule failed",
    "broken record",
    "drift",
    "future mended",
    "field back",
    "gap closed",
    "overtaken",
    "given up",
    "pruned",
]
"""Everything that a record may say has happened."""
VERBS: tuple[Verb, ...] = get_args(Verb)
Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"
NOTHING = "0" * 64
"""What the first record of a chain names as its previous one."""
TEXT_LIMIT = 1000
PLAIN_LIMIT = 2000
"""Bytes up to which a record cannot hold a text that is too long to be shown."""
_encoder = msgspec.json.Encoder(order="deterministic")


def canonical(value: Mapping[str, Json]) -> bytes:
    """Return the one way to write a record."""
    return _encoder.encode(value)


def hash_record(previous: str, body: Mapping[str, Json]) -> str:
    """Return the hash of a record, given the hash before it and the record without its own."""
    return hash_bytes(previous, canonical(body))


def hash_bytes(previous: str, body: bytes) -> str:
    """Return the hash of a record that is written already, without its own."""
    return sha256(bytes.fromhex(previous) + body).hexdigest()


def harmless(text: str, limit: int = TEXT_LIMIT) -> str:
    """Bound a text that strangers wrote, and show what would steer a terminal."""
    return escape(text, limit)


def make_harmless(value: Json) -> Json:
    """Make every text inside a value harmless."""
    if isinstance(value, str):
        return harmless(value)
    if isinstance(value, Mapping):
        return {harmless(str(key)): make_harmless(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [make_harmless(item) for item in value]
    return value


def instant(at: float) -> str:
    """Write a time for people and programs alike, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def about(entry: Entry) -> dict[str, Json]:
    """Say who wanted what, on which target, because of which event."""
    action: dict[str, Json] = msgspec.to_builtins(entry.action)
    action.pop("because", None)
    return {
        "entry": entry.id,
        "lane": entry.lane,
        "target": entry.target,
        "action": action,
        "mode": entry.mode.name.lower(),
        "rules": tuple(zip(entry.rules, entry.fingerprints, strict=True)),
        "cause": entry.cause,
        "item": entry.item,
    }


class NewRecord(NamedTuple):
    """A record that belongs to no entry, to be chained."""

    verb: Verb
    said: Mapping[str, Json] = {}


SAID_EMPTY = frozenset({"authenticated"})
"""Keys that are written also when they are empty, because without one an older version wrote the record."""


class Chain:
    """The records of one transaction, in order; ``write`` puts them behind the last one of the account."""

    def __init__(self, conn: Connection, account: str, now: float) -> None:
        """Begin with nothing to write."""
        self._conn = conn
        self._account = account
        self._now = now
        self._new: list[dict[str, Json]] = []

    def add(self, verb: Verb, **said: Json) -> None:
        """Note a record; empty texts are left out, except for ``SAID_EMPTY``."""
        told = {name: value for name, value in said.items() if value not in ("", None) or name in SAID_EMPTY}
        self._new.append({"verb": verb, **told})

    def write(self) -> None:
        """Chain and insert what was noted."""
        if not self._new:
            return
        last, previous = head(self._conn, self._account)
        rows, at = [], instant(self._now)
        for number, said in enumerate(self._new, last + 1):
            said |= {"account": self._account, "number": number, "at": at, "previous": previous}
            body = _encode_bounded(said)
            previous = hash_bytes(previous, body)
            rows.append(
                {
                    "account": self._account,
                    "number": number,
                    "at": self._now,
                    "entry": said.get("entry", ""),
                    "hash": previous,
                    "line": body[:-1] + b',"hash":"' + previous.encode() + b'"}',
                }
            )
        add(self._conn, records, rows)
        self._new.clear()


def _encode_bounded(body: dict[str, Json]) -> bytes:
    """Write a record with its texts made harmless; most are, which shows in the short, plain JSON they give."""
    try:
        line = canonical(body)
    except UnicodeEncodeError:  # half a character
        line = b"\x7f"
    plain = len(line) <= PLAIN_LIMIT and line.isascii() and b"\x7f" not in line
    return line if plain else canonical({name: make_harmless(value) for name, value in body.items()})


_MINE = bindparam("account", type_=Text)
_LAST = select(records.c.number, records.c.hash).where(records.c.account == _MINE)
LAST = Statement[tuple[int, str]](_LAST.order_by(records.c.number.desc()).limit(1))


def head(conn: Connection, account: str) -> tuple[int, str]:
    """Return number and hash of an account's last record."""
    last = LAST.run(conn, account=account)
    return last[0] if last else (0, NOTHING)
