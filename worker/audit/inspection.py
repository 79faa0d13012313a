"""Inspection: whether a ledger's records are intact, and whether everything beside them agrees with them."""

from collections.abc import Iterator

from msgspec.structs import replace

from worker.audit.heads import find_last
from worker.audit.lines import RecordLine
from worker.audit.proof import Proof
from worker.audit.rebuilding import find_difference, find_loss
from worker.audit.stream import STDOUT
from worker.audit.verify import Age, ChainVerifier, Verdict
from worker.ledger.evidence import Evidence, RecordRow
from worker.ledger.reader import LedgerReader
from worker.ledger.records import instant


async def inspect_ledger(
    ledger: LedgerReader, account: str, age: Age | None = None, proof: Proof | None = None
) -> Verdict:
    """Inspect what a ledger holds of an account, as of one moment; hold it against signed heads if there are any."""
    return await ledger.examine(account, lambda evidence: inspect(evidence, age or Age(), proof))


def inspect(evidence: Evidence, age: Age, proof: Proof | None = None) -> Verdict:
    """Verify an account's chain, the columns beside its lines, and its entries, which are rebuilt from the records."""
    known = find_last(evidence.list_heads())
    reaching = max(evidence.read_cursor(STDOUT), known.number if known else 0)
    verifier = ChainVerifier(reaching=reaching, age=age, proof=proof)
    newest = 0.0
    for row in evidence.list_records():
        newest = max(newest, row.at or 0.0)
        _take(verifier, row, evidence.account)
        if known and row.number == known.number and row.hash != known.hash:
            verifier.reject(f"is not what head {known.head} signed on {known.at}, which the ledger keeps", known.number)
        if verifier.is_broken:
            break
    verdict = verifier.finish()
    if verdict.problem:
        return verdict
    if not verdict.records:
        return _miss_all(verdict) if evidence.was_used() else verdict
    return _compare(verdict, evidence, verifier.pruned_before, max(verifier.pruned_before, newest - age.keep))


def _take(verifier: ChainVerifier, row: RecordRow, account: str) -> None:
    """Take the line of a row, and hold its columns against it."""
    if row.line is None:
        verifier.reject("is not kept as bytes: its cell was changed", row.number or 0)
    elif (record := verifier.take(row.line)) and (problem := _find_odd_column(row, record, account)):
        verifier.reject(problem, record.number)


def _find_odd_column(row: RecordRow, record: RecordLine, account: str) -> str:
    """Say which column of a row says something else than its line; empty when none does."""
    columns = {
        "account": (account, record.said["account"]),
        "number": (row.number, record.number),
        "at": (_write_time(row.at), record.said["at"]),
        "entry": (row.entry, record.said.get("entry", "")),
        "hash": (row.hash, record.hash),
    }
    odd = next((name for name, (cell, told) in columns.items() if cell != told), "")
    return f"is intact, but the column {odd!r} beside it was changed" if odd else ""


def _write_time(at: float | None) -> str:
    try:
        return "" if at is None else instant(at)
    except (ValueError, OverflowError):
        return ""


def _miss_all(verdict: Verdict) -> Verdict:
    said = "record 1 is missing, and with it all others, though the ledger was written for this account"
    return replace(verdict, problem=said, broken_at=1)


def _compare(verdict: Verdict, evidence: Evidence, kept_from: float, deleted_before: float) -> Verdict:
    """Name the first entry that differs from its records, and how many more do."""
    found = list(_list_differences(evidence, kept_from, deleted_before))
    if not found:
        return verdict
    more = f"; {len(found) - 1:,} more entries differ" if len(found) > 1 else ""
    return replace(verdict, problem=found[0] + more)


def _list_differences(evidence: Evidence, kept_from: float, deleted_before: float) -> Iterator[str]:
    for entry, lines in evidence.list_entries():
        if problem := find_difference(entry, lines, kept_from):
            yield f"entry {entry['id']} {problem}"
    for id_, lines in evidence.list_lost():
        if problem := find_loss(lines, deleted_before):
            yield f"entry {id_} {problem}"
