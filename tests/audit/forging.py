"""What somebody can do who may write the ledger, knows the code, and has no key."""

from collections.abc import Callable
from datetime import datetime
from itertools import count
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection

from tests.audit.test_verify import sealed
from tests.ledger.desk import ME
from worker.audit.heads import SignedHead, hash_head, seal
from worker.audit.keys import KeyPair
from worker.ledger.heads import KeptHead, keep_head
from worker.ledger.records import NOTHING, hash_record

PAIR, STRANGER = KeyPair.make(), KeyPair.make()
EVERY = 10
"""Records between two heads."""
Said = dict[str, Any]


class Book:
    """The records of a ledger as a forger sees them, within a transaction; ``heads`` are kept elsewhere."""

    def __init__(self, conn: Connection) -> None:
        """Sign what is there, and keep the last head and a cursor in the ledger, as the worker does."""
        self.conn = conn
        self.heads = sign(self.lines())
        keep_head(conn, ME, KeptHead(len(self.heads), self.heads[-1]))
        self.do("INSERT INTO meta VALUES (?, ?)", f"cursor/{ME}/stdout", str(self.said()[-1]["number"]))

    def do(self, statement: str, *values: object) -> None:
        """Run a statement, which must change something."""
        assert self.conn.exec_driver_sql(statement, values).rowcount, statement

    def lines(self) -> list[bytes]:
        """Return the lines, in order."""
        return list(self.conn.exec_driver_sql("SELECT line FROM records ORDER BY number").scalars())

    def said(self) -> list[Said]:
        """Return the records, in order."""
        return [msgspec.json.decode(line) for line in self.lines()]

    def write(self, records: list[Said]) -> None:
        """Write the whole chain anew, with numbers and hashes that fit, and columns that say the same."""
        number, previous = records[0]["number"], records[0]["previous"] if records[0]["number"] > 1 else NOTHING
        self.conn.exec_driver_sql("DELETE FROM records")
        for place, record in zip(count(number), records, strict=False):
            body = {**record, "number": place, "previous": previous}
            body.pop("hash", None)
            previous = hash_record(previous, body)
            at = datetime.fromisoformat(body["at"]).timestamp()
            row = (ME, place, at, body.get("entry", ""), previous, sealed(body, previous))
            self.do("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)", *row)
        self.follow()

    def change(self, at: int, **change: object) -> None:
        """Change one record, and write everything after it anew."""
        records = self.said()
        records[at] |= change
        self.write(records)

    def follow(self) -> None:
        """Let whatever says how far the records were go."""
        self.conn.exec_driver_sql("DELETE FROM meta WHERE name LIKE 'cursor/%' OR name LIKE 'head/%'")


def sign(lines: list[bytes], pair: KeyPair = PAIR, key: str = "") -> list[bytes]:
    """Sign each tenth record and the last one."""
    heads: list[bytes] = []
    for line in [*lines[EVERY - 1 : -1 : EVERY], lines[-1]]:
        record = msgspec.json.decode(line)
        body = SignedHead(
            account=ME,
            at=record["at"],
            hash=record["hash"],
            head=len(heads) + 1,
            key=key or pair.public.id,
            number=record["number"],
            previous=hash_head(heads[-1]) if heads else NOTHING,
            recorded=record["at"],
        ).to_body()
        heads.append(seal(body, pair.sign(body)))
    return heads


class Kind(NamedTuple):
    """A way of tampering at the place of a record, and which words name it where no head can find it."""

    name: str
    tamper: Callable[[Book, int], object]
    named: str = ""
    """Words of the command; empty where it is found without heads."""
