"""The tampering matrix: every kind at a record of every verb, with heads that were kept elsewhere and without."""

import sys
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import pytest
from sqlalchemy import Engine

from tests.audit.forging import PAIR, STRANGER, Book, Kind, sign
from tests.ledger.desk import ME, T0
from worker.audit.inspection import inspect
from worker.audit.proof import Proof, verify_heads
from worker.audit.verify import Age
from worker.cli.audit_verify import UNPROVED
from worker.ledger.evidence import Evidence
from worker.ledger.records import instant

KEEP = 400 * 86_400.0
ANEW, END, BEGINNING = "wrote it anew", "cut off its end", "gave it another beginning"


def edit_line(book: Book, at: int) -> None:
    number = book.said()[at]["number"]
    book.do(
        'UPDATE records SET line = CAST(replace(line, \'"at":"20\', \'"at":"19\') AS BLOB) WHERE number = ?', number
    )


def respell(old: str, new: str) -> Kind:
    """Write the same in other bytes, and leave the hash."""

    def tamper(book: Book, at: int) -> None:
        change = "UPDATE records SET line = CAST(replace(line, ?, ?) AS BLOB) WHERE number = ?"
        book.do(change, old, new, book.said()[at]["number"])

    return Kind(f"{old} written as {new}", tamper)


def fill_with_text(book: Book, at: int) -> None:
    book.do("UPDATE records SET line = replace(line, 'a', 'b') WHERE number = ?", book.said()[at]["number"])


def delete(book: Book, at: int) -> None:
    book.do("DELETE FROM records WHERE number = ?", book.said()[at]["number"])


def swap(book: Book, at: int) -> None:
    one = book.said()[at]["number"]
    other = book.said()[at - 1]["number"]
    for old, new in ((one, -1), (other, one), (-1, other)):
        book.do("UPDATE records SET number = ? WHERE number = ?", new, old)


def cut_end(book: Book, at: int) -> None:
    book.do("DELETE FROM records WHERE number >= ?", book.said()[at]["number"])


def cut_end_everywhere(book: Book, at: int) -> None:
    """Leave no trace of what came after, as an older copy of the ledger has none; the checkpoint stays."""
    records = book.said()
    at = max(at, 2)
    later = {record["entry"] for record in records[at:] if "entry" in record}
    book.conn.exec_driver_sql(f"DELETE FROM entries WHERE id IN ({', '.join('?' * len(later))})", tuple(later))  # noqa: S608
    book.write([record for record in records[:at] if record.get("entry") not in later])


def start(book: Book) -> dict[str, object]:
    return {"account": ME, "at": instant(T0), "number": 1, "verb": "started"} | {"n": len(book.heads)}


def wipe(book: Book, _: int) -> None:
    book.do("DELETE FROM records")
    book.follow()


def wipe_everything(book: Book, _: int) -> None:
    for table in ("entries", "sights", "slices", "records"):
        book.conn.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608 (names of ours)
    book.follow()


def replace_all(book: Book, at: int) -> None:
    wipe_everything(book, at)
    book.write([start(book)] * (at + 9))


def name_the_ciso(book: Book, at: int) -> None:
    book.change(at, who="ciso", why="approved by the CISO")


def put_in(book: Book, at: int) -> None:
    records = book.said()
    book.write([*records[:at], {**start(book), "verb": "ordered", "who": "ciso"}, *records[at:]])


def take_out(book: Book, at: int) -> None:
    """Take a record out that no entry needs, or with everything of its entry."""
    records, gone = book.said(), book.said()[at].get("entry", "")
    if gone:
        book.conn.exec_driver_sql("DELETE FROM entries WHERE id = ?", (gone,))
    book.write([record for n, record in enumerate(records) if n != at and (not gone or record.get("entry") != gone)])


def end_otherwise(book: Book, at: int) -> None:
    """Let an entry have another end, in its last record and in its row."""
    records = book.said()
    entry = records[at].get("entry") or next(one["entry"] for one in records if "entry" in one)
    last = max(n for n, one in enumerate(records) if one.get("entry") == entry and "to" in one)
    state = "failed" if records[last]["to"] == "refused" else "refused"
    settled = 0 if records[last]["verb"] == "entered" else T0
    records[last]["to"] = state
    book.write(records)
    book.do("UPDATE entries SET state = ?, settled_at = ? WHERE id = ?", state, settled, entry)


def reword(book: Book, at: int) -> None:
    """Let an entry have another reason, on record and in its row."""
    records = book.said()
    entry = records[at].get("entry") or next(one["entry"] for one in records if one["verb"] == "entered")
    for record in records:
        if record.get("entry") == entry and record["verb"] == "entered":
            record["because"] = "the CISO said so"
            book.do("UPDATE entries SET because = ? WHERE id = ?", record["because"], entry)
    book.write([{**record, "n": at} if n == at else record for n, record in enumerate(records)])


def forge_checkpoint(book: Book, at: int, *, old: bool = False) -> None:
    """Cut off the beginning, and say that it was old."""
    records = book.said()
    at = min(at + 1, len(records) - 1)
    said = {"through": records[at]["number"] - 1, "cut": records[at]["previous"]}
    age = {"until": instant(T0 - 500 * 86_400), "before": instant(T0 - KEEP if old else T0)}
    book.write([*records[at:], {"account": ME, "at": instant(T0), "verb": "pruned", **said, **age}])


def forge_old_checkpoint(book: Book, at: int) -> None:
    """Cut off the beginning with every entry, and lie about its age so that everything fits."""
    book.conn.exec_driver_sql("DELETE FROM entries")
    records = [record for record in book.said() if "entry" not in record]
    book.write(records)
    forge_checkpoint(book, at % len(records), old=True)


def move_to_another_account(book: Book, at: int) -> None:
    book.do("UPDATE records SET account = 'other' WHERE number = ?", book.said()[at]["number"])


def edit_column(book: Book, at: int, column: str, value: str = "'x'") -> None:
    book.do(f"UPDATE records SET {column} = {value} WHERE number = ?", book.said()[at]["number"])  # noqa: S608 (names of ours)


def edit_entry(book: Book, at: int, change: str) -> None:
    entry = book.said()[at].get("entry")
    where = "id = ?" if entry else "id = (SELECT min(id) FROM entries) AND ? IS NULL"
    book.do(f"UPDATE entries SET {change} WHERE {where}", entry)  # noqa: S608 (names of ours)


def edit_as_entered(book: Book, at: int, change: str) -> None:
    """Edit what only the first record of an entry says, of an entry whose first record is kept."""
    records = book.said()
    entered = [record["entry"] for record in records if record["verb"] == "entered"]
    entry = records[at].get("entry")
    book.do(f"UPDATE entries SET {change} WHERE id = ?", entry if entry in entered else entered[0])  # noqa: S608 (ours)


def drop_head(book: Book, at: int) -> None:
    """Leave one out; without the first or the last ones, heads only prove less."""
    del book.heads[1 + at % (len(book.heads) - 2)]


def edit_head(book: Book, at: int) -> None:
    at %= len(book.heads)
    book.heads[at] = book.heads[at].replace(b'"number":', b'"number":1')


def sign_as_a_stranger(book: Book, at: int) -> None:
    name_the_ciso(book, at)
    book.heads = sign(book.lines(), STRANGER, key=PAIR.public.id if at % 2 else "")


CHANGES = ("state = 'x'", "target = 'x'", "approved_by = 'ciso'", "action = '{}'", "rules = '[]'", "account = 'other'")
KINDS = (
    # What a review tried.
    Kind("a line is edited", edit_line),
    Kind("a record is deleted", delete),
    Kind("two records are swapped", swap),
    Kind("the end is cut off", cut_end),
    Kind("a line becomes text", fill_with_text),
    Kind("the end is cut off, the cursor too", cut_end_everywhere, END),
    Kind("all records are gone", wipe),
    Kind("a record is changed, all after it anew", name_the_ciso, ANEW),
    Kind("a checkpoint cuts off young records", forge_checkpoint),
    respell('{"account"', '{"said":"approved by the CISO","account"'),
    respell('"verb":"', '"verb": "'),
    respell('"verb":"', '"\\u0076erb":"'),
    *(Kind(f"an entry gets {change}", partial(edit_entry, change=change)) for change in CHANGES),
    *(Kind(f"an entry gets {to}", partial(edit_as_entered, change=to)) for to in ("authenticated = 'x'", "kind = 'x'")),
    *(Kind(f"column {name} of a record", partial(edit_column, column=name)) for name in ("entry", "at", "hash")),
    # Ten of our own, and more.
    Kind("everything is gone", wipe_everything, ANEW),
    Kind("another ledger is put in place", replace_all, ANEW),
    Kind("a record is put in, all after it anew", put_in, ANEW),
    Kind("a record and its entry are taken out", take_out, ANEW),
    Kind("an entry ends otherwise, on record too", end_otherwise, ANEW),
    Kind("a checkpoint lies about the age", forge_old_checkpoint, BEGINNING),
    Kind("the reason of an entry, on record too", reword, ANEW),
    Kind("a record goes to another account", move_to_another_account),
    Kind("a number becomes a fraction", partial(edit_column, column="number", value="number + 0.5")),
    Kind("a line becomes nothing", partial(edit_column, column="line", value="x''")),
    Kind("a head is left out", drop_head, ANEW),
    Kind("a head is edited", edit_head, ANEW),
    Kind("written anew, signed by a stranger", sign_as_a_stranger, ANEW),
)


def find_places(book: Book) -> list[int]:
    """Return the last record of each verb."""
    verbs = [record["verb"] for record in book.said()]
    return sorted({len(verbs) - 1 - verbs[::-1].index(verb) for verb in verbs} - {0})


def try_cell(ledger: Engine, kind: Kind | None, at: int) -> tuple[str, str]:
    """Tamper at one place; return what is found with heads and without, and take it back."""
    with ledger.connect() as conn:
        book = Book(conn)
        if kind:
            kind.tamper(book, at)
        proof = Proof(verify_heads(book.heads, ME, [PAIR.public]))
        age, evidence = Age(KEEP, T0 + 86_400), Evidence(conn, ME)
        found = inspect(evidence, age, proof).problem, inspect(evidence, age).problem
        conn.rollback()
    return found


class Row(NamedTuple):
    """How many cells of a kind were tried, and found with heads and without."""

    name: str
    cells: int
    signed: int
    alone: int
    named: str


def try_kind(ledger: Engine, kind: Kind, places: list[int]) -> Row:
    """Try a kind at each place; whatever is found is a sentence about a record, an entry or a head."""
    signed, alone = zip(*(try_cell(ledger, kind, at) for at in places), strict=True)
    assert {problem.split()[0] for problem in (*signed, *alone) if problem} <= {"record", "entry", "head", "a"}
    return Row(kind.name[:44], len(places), sum(map(bool, signed)), sum(map(bool, alone)), kind.named)


def format_table(rows: list[Row]) -> Iterator[str]:
    yield f"\n{'tampering':44} {'cells':>5} {'signed':>6} {'alone':>5}  the command names it as\n"
    for row in rows:
        yield f"{row.name:44} {row.cells:5} {row.signed:6} {row.alone:5}  {row.named}\n"


@pytest.mark.slow
@pytest.mark.unmeasured
def test_every_tampering_is_found_with_heads_and_without_them_named(
    ledger: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    with ledger.connect() as conn:
        places = find_places(Book(conn))
    assert (len(places) >= 27, try_cell(ledger, None, 0)) == (True, ("", ""))
    rows = [try_kind(ledger, kind, places) for kind in KINDS]
    with capsys.disabled():
        sys.stdout.writelines(format_table(rows))
    told = " ".join(UNPROVED)
    assert [row for row in rows if row.signed < row.cells] == []
    assert [row for row in rows if row.alone < row.cells and not (row.named and row.named in told)] == []
