"""`worker audit verify`: whether the audit records are intact, in the ledger or in files."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import msgspec
import typer

from worker.cli import context, output
from worker.errors import SettingsError

if TYPE_CHECKING:
    from worker.audit.verify import Verdict
    from worker.settings import Settings

FILES = "Files of records, one JSON object per line, the oldest file first. Default: the ledger."
SQLITE = b"SQLite format 3\0"
"""How a ledger begins."""
LONGEST = 1 << 20
"""Bytes of a line; no record is as long."""


def verify(
    files: Annotated[list[Path] | None, typer.Argument(metavar="FILE", help=FILES)] = None,
    *,
    as_json: context.Json = False,
) -> None:
    """Check that no record was changed, left out or added.

    Checks the ledger, its entries included, or files of records such as collected logs. Files may begin after the first
    record, as after a log rotation; the command says what is missing. A chain that was rewritten from its beginning
    passes: to detect that, keep a hash in another place and compare it. Ends with 1 if the chain is broken, an entry
    differs from its records, or the last line of a file is incomplete.

    Example: worker audit verify records.1.jsonl records.jsonl
    """
    verdicts, torn = _verify_files(files) if files else (context.wait(_verify_ledger(context.read_settings())), [])
    if as_json:
        _print_json(verdicts, torn)
    else:
        _print_verdicts(verdicts)
        for problem in torn:
            typer.echo(problem)
    context.exit_on_finding([*torn, *(verdict for verdict in verdicts.values() if verdict.problem)])


async def _verify_ledger(settings: "Settings") -> "dict[str, Verdict]":
    from worker.audit.inspection import inspect_ledger

    async with context.read_ledger(settings) as (ledger, accounts):
        known = accounts if settings.account_id else sorted({*accounts, *await ledger.list_chains()})
        return {account: await inspect_ledger(ledger, account, settings.keep) for account in known}


def _verify_files(files: Iterable[Path]) -> "tuple[dict[str, Verdict], list[str]]":
    """Verify the records in files, by account; name each file whose last line is torn, and leave that line out."""
    from worker.audit.verify import ChainVerifier

    verifiers: dict[str, ChainVerifier] = {}
    torn = []
    for file in files:
        for number, line in enumerate(_read_lines(file), 1):
            account = _find_account(line)
            if account or not _is_torn(line):
                verifiers.setdefault(account, ChainVerifier(cut=True)).take(line.rstrip(b"\r\n"))
            else:
                torn.append(_describe_torn(file, number))
    return {account: verifier.finish() for account, verifier in verifiers.items()}, torn


def _read_lines(file: Path) -> Iterator[bytes]:
    """Yield the lines of a file, one after the other; what is too long for one comes in parts."""
    try:
        with file.open("rb") as stream:
            _refuse_ledger(file, stream)
            while line := stream.readline(LONGEST):
                yield line
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}") from None


def _refuse_ledger(file: Path, stream: BinaryIO) -> None:
    if stream.read(len(SQLITE)) == SQLITE:
        raise SettingsError(
            f"{file} is a ledger, not a file of records: set WORKER_STORE_URL to sqlite:///{file}, and name no file"
        )
    stream.seek(0)


def _describe_torn(file: Path, line: int) -> str:
    return (
        f"{file} line {line} is incomplete, as when the worker is killed while it writes: "
        "the next start writes that record again"
    )


def _is_torn(line: bytes) -> bool:
    """Tell whether a line of nobody is the beginning of a record, and no more."""
    return line.startswith(b"{") and not line.endswith(b"\n") and len(line) < LONGEST


def _find_account(line: bytes) -> str:
    """Return whose record a line is; one that cannot be read is nobody's, and breaks nobody else's chain."""
    try:
        record = msgspec.json.decode(line)
    except (ValueError, RecursionError):
        return ""
    return str(record.get("account", "")) if isinstance(record, dict) else ""


def _print_json(verdicts: "dict[str, Verdict]", torn: Iterable[str]) -> None:
    from worker.audit.verify import Verdict

    told = [*verdicts.items(), *(("", Verdict(problem=problem)) for problem in torn)]
    output.print_json([_describe_verdict(account, verdict) for account, verdict in told])


def _describe_verdict(account: str, verdict: "Verdict") -> output.Row:
    names = ("problem", "records", "first", "last", "hash", "previous", "unchecked")
    return {
        "account": account,
        "whole": not verdict.problem and not verdict.unchecked,
        **{name: getattr(verdict, name) for name in names},
    }


def _print_verdicts(verdicts: "dict[str, Verdict]") -> None:
    """Print for people what came of verifying, in lines that keep a hash in one piece."""
    for account, verdict in verdicts.items():
        typer.echo(f"account {output.format_cell(account) or 'unknown'}: {_sum_up(verdict)}")
        for line in _explain_break(verdict) if verdict.problem else _explain_proof(verdict):
            typer.echo(f"  {line}")
    if not verdicts:
        typer.echo("there are no records")


def _sum_up(verdict: "Verdict") -> str:
    if verdict.broken_at:
        return f"broken at record {verdict.broken_at}"
    if not verdict.records:
        return "there are no records"
    return f"{_name_range(verdict)} intact" + (", but the ledger is not" if verdict.problem else "")


def _name_range(verdict: "Verdict") -> str:
    """Name the records that hold."""
    ends = f"{verdict.first} to {verdict.last}"
    return f"records {ends} are" if verdict.records > 1 else f"record {verdict.first} is"


def _explain_break(verdict: "Verdict") -> list[str]:
    """Say where a chain is broken, and how much of it is unchanged."""
    holds = [f"before that, {_name_range(verdict)} unchanged"] if verdict.records and verdict.broken_at else []
    return [output.format_line(verdict.problem), *holds]


def _explain_proof(verdict: "Verdict") -> list[str]:
    """Say what was proved, and what could not be."""
    lines = [f"hash of record {verdict.last}: {verdict.hash}"] if verdict.records else []
    if verdict.unchecked:
        return [*lines, *_explain_missing(verdict.unchecked, verdict.previous)]
    if verdict.first > 1:
        lines.append(
            f"records up to {verdict.first - 1} were older than WORKER_KEEP and deleted; a later record has their hash"
        )
    return lines


def _explain_missing(number: int, previous: str) -> list[str]:
    return [
        f"hash of record {number}: {output.format_cell(previous)}",
        f"Records up to {number} are not here and were not checked. A file truncated to hide records looks like a",
        f"rotated one: compare the second hash with that of record {number} in an older file, or name both files,",
        "the older one first.",
    ]
