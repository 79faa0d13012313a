"""Whatever somebody changes in the ledger's file beside its chain shows, with the record that says otherwise."""

from functools import partial

from sqlalchemy import Engine

from tests.audit.test_verify import sealed
from tests.cells import each
from tests.ledger.desk import ME, T0, Desk
from tests.ledger.plans import explain, listened
from worker.audit.inspection import inspect, inspect_ledger
from worker.audit.rebuilding import PROOF, rebuild
from worker.audit.verify import Age, Verdict
from worker.ledger.evidence import Evidence
from worker.ledger.records import hash_record, instant

DAY = 86_400.0
KEEP = 400 * DAY


def tamper(ledger: Engine, *statements: str, values: tuple[object, ...] = ()) -> Verdict:
    """Inspect the ledger after some statements, which must change something, and take them back."""
    with ledger.connect() as conn:
        for statement in statements:
            assert conn.exec_driver_sql(statement, values if "?" in statement else ()).rowcount
        found = inspect(Evidence(conn, ME), Age(KEEP))
        conn.rollback()
    return found


def test_a_ledger_that_nobody_touched_agrees_with_its_records(ledger: Engine) -> None:
    found = tamper(ledger)
    assert (found.problem, found.first) == ("", 2)


BROKEN = [
    ("update records set line = replace(line, 'a', 'b') where number = 9", "record 9 is not kept as bytes"),
    ("update records set line = cast(line as text) where number = 9", "record 9 is not kept as bytes"),
    ("update records set line = 7 where number = 9", "record 9 is not kept as bytes"),
    ("update records set line = x'' where number = 9", "is not a record"),
    ("update records set line = zeroblob(5000000) where number = 9", "is not a record"),
    ("update records set line = cast(replace(line, 'verb', 'word') as blob) where number = 9", "record 9 does not"),
    ("update records set entry = 'x' where number = 9", "record 9 is intact, but the column 'entry' beside it"),
    ("update records set entry = x'ff' where number = 9", "record 9 is intact, but the column 'entry'"),
    ("update records set at = at + 1 where number = 9", "record 9 is intact, but the column 'at'"),
    ("update records set at = 9e999 where number = 9", "record 9 is intact, but the column 'at'"),
    ("update records set at = 'noon' where number = 9", "record 9 is intact, but the column 'at'"),
    ("update records set hash = 'x' where number = 9", "record 9 is intact, but the column 'hash'"),
    ("update records set number = 9.5 where number = 9", "record 9 is intact, but the column 'number'"),
    ("update records set number = 'nine' where number = 9", "record 10 does not follow record 8"),
    ("update records set account = 'other' where number = 9", "record 10 does not follow record 8"),
    ("delete from records where number = 9", "record 10 does not follow record 8"),
    ("delete from records where number < 9", "record 9 is the first one here, and no checkpoint"),
    ("delete from records", "record 1 is missing, and with it all others"),
]


@each(("statement", "problem"), BROKEN)
def test_whatever_lies_in_a_row_of_records_is_found_and_stops_nobody(
    ledger: Engine, statement: str, problem: str
) -> None:
    found = tamper(ledger, statement)
    assert (problem in found.problem, found.broken_at > 0) == (True, True), found.problem


COLUMNS = {
    **dict.fromkeys(("lane", "target", "cause", "item", "because", "sender", "subject", "verdict"), "'x'"),
    **dict.fromkeys(("approved_by", "state", "authenticated", "kind"), "'ciso'"),
    **dict.fromkeys(("action", "recipients", "rules", "fingerprints"), "'[\"x\"]'"),
    **dict.fromkeys(("created_at", "settled_at"), "7.5e9"),
    "mode": "0",
}
ODD = ("x'ff00'", "'\ud7ff'", "'{'", "-1", "9e999")


CELLS = [(column, value) for column, best in COLUMNS.items() for value in (best, *ODD)]


@each(("column", "value"), CELLS)
def test_an_entry_that_differs_from_its_records_is_named_with_the_record(
    ledger: Engine, column: str, value: str
) -> None:
    found = tamper(ledger, f"update entries set {column} = {value} where target = 'approved'")  # noqa: S608 (ours)
    assert (found.broken_at, found.problem.startswith("entry ")) == (0, True), found
    assert "differs from record" in found.problem or "no record says" in found.problem


def test_a_proof_that_a_waiting_block_never_had_is_found_also_after_others_joined(ledger: Engine) -> None:
    for target in ("EMAIL:unproved@example.net", "EMAIL:joined@example.net", "EMAIL:b@example.net"):
        found = tamper(ledger, f"update entries set authenticated = 'x' where target = '{target}'")  # noqa: S608 (ours)
        assert "its authenticated is 'x', and was " in found.problem, (target, found)


def test_what_older_versions_did_not_record_of_a_proof_is_not_called_a_difference() -> None:
    entered = b'{"number":1,"verb":"entered","at":"","to":"ready"}'
    joined = b'{"number":2,"verb":"joined","rules":[]%b}'
    assert PROOF not in rebuild([entered, joined % b""]).said
    assert rebuild([entered, joined % b',"authenticated":"a.example"']).said[PROOF] == ("a.example", 2)


def test_an_entry_without_records_and_records_without_their_entry_are_found(ledger: Engine) -> None:
    other = "update entries set id = 'x' where target = 'approved'"
    unknown = "entry x is in the ledger, and no record says that it was entered"
    assert tamper(ledger, other).problem == f"{unknown}; 1 more entries differ"
    assert "is not in the ledger, and record" in tamper(ledger, other, "delete from entries where id = 'x'").problem


def test_a_cut_tail_shows_in_the_entries_even_without_a_cursor(ledger: Engine) -> None:
    last = tamper(ledger).last
    assert "differs from record" in tamper(ledger, f"delete from records where number = {last}").problem  # noqa: S608 (a number)


def test_young_entries_show_that_a_forged_checkpoint_cut_off_young_records(ledger: Engine) -> None:
    with ledger.connect() as conn:
        rows = conn.exec_driver_sql("SELECT number, hash FROM records ORDER BY number").fetchall()
    (last, previous), (through, cut) = rows[-1], rows[len(rows) // 2]
    said = {"through": through, "cut": cut, "until": "2022-01-01T00:00:00.000Z", "before": instant(T0 - KEEP)}
    body = {"account": ME, "at": instant(T0), "number": last + 1, "previous": previous, "verb": "pruned", **said}
    told = hash_record(previous, body)
    put_in = "INSERT INTO records VALUES (?, ?, ?, '', ?, ?)"
    row = (ME, last + 1, T0, told, sealed(body, told))
    found = tamper(ledger, f"DELETE FROM records WHERE number <= {through}", put_in, values=row)  # noqa: S608 (a number)
    assert "is in the ledger, and no record says that it was entered" in found.problem


async def test_the_records_of_entries_are_found_by_entry_and_not_by_reading_all() -> None:
    desk = Desk()
    await desk.wish()
    with listened(desk) as heard:
        assert (await inspect_ledger(desk.ledger, ME)).problem == ""
    plans = [partial(explain, statement=one, given=given) for one, given in heard]
    steps = desk.runner.transact(lambda conn: [list(plan(conn)) for plan in plans])
    assert ["SEARCH records USING INDEX records_entry (account=? AND entry=?)", "USE TEMP B-TREE FOR ORDER BY"] in steps
    assert ["SCAN entries USING INDEX sqlite_autoindex_entries_1"] in steps
