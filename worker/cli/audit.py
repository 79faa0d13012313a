"""`worker audit`: what was done, by whom and why; and whether that record is whole."""

import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
import typer

from worker.cli import context, output
from worker.errors import SettingsError

if TYPE_CHECKING:
    from worker.audit.verify import Verdict
    from worker.ledger.ledger import Ledger
    from worker.settings import Settings

app = typer.Typer(help="Ask what was done, by whom and why.")
COLUMNS = ("number", "at", "verb", "rule", "who", "what")
AFTER = "Only records after this number, this long ago (2h), or this time (2026-11-20T17:22, UTC)."
FILES = "Records as JSON lines, the oldest file first; the ledger's without any."
DIGITS = 18
"""Digits that the number of a record has at most."""


@app.command()
def query(
    *,
    rule: Annotated[str, typer.Option("--rule", metavar="NAME", help="What this rule had a part in.")] = "",
    entry: Annotated[str, typer.Option("--entry", metavar="ID", help="What became of one entry.")] = "",
    target: Annotated[str, typer.Option("--target", metavar="ID", help="What was done to a message or pattern.")] = "",
    verb: Annotated[str, typer.Option("--verb", metavar="WORD", help="entered, claimed, settled, ordered …")] = "",
    after: Annotated[str, typer.Option("--after", metavar="WHEN", help=AFTER)] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print each record as it is chained, one per line.")] = False,
) -> None:
    """List audit records, oldest first.

    The table shows what was wanted, on what, and why; everything a record says is in --json.

    Example: worker audit query --rule malicious_mail --after 2h
    """
    from worker.ledger.records import VERBS

    _known("verb", verb, VERBS)
    wanted = {"rule": rule, "entry": entry, "target": target, "verb": verb, **_beginning(after)}
    records = context.wait(_records(context.settings(), wanted))
    if as_json:
        for record in records:
            typer.echo(record)
    else:
        rows = [_row(msgspec.json.decode(record)) for record in records]
        output.listing(rows, COLUMNS, as_json=False, empty="no record fits")


@app.command()
def verify(
    files: Annotated[list[Path] | None, typer.Argument(metavar="FILE", help=FILES)] = None,
    *,
    as_json: context.Json = False,
) -> None:
    """Prove that no record was changed, left out or added.

    Files may begin later than the first record, as after a log rotation: what is there is proved, and what is not is
    named. Keep a hash somewhere else: only that shows a chain that was written anew from its beginning. Ends with 1
    when the chain is broken, or the last line of a file is cut in the middle.

    Example: worker audit verify records.1.jsonl records.jsonl
    """
    from worker.audit.verify import Verdict
    from worker.audit.verify import verify as verified

    chains, torn = _of_files(files) if files else (context.wait(_of_ledger(context.settings())), [])
    verdicts = {
        account: verified(chain.lines, cut=bool(files), reaching=chain.reaching) for account, chain in chains.items()
    }
    if as_json:
        told = [*verdicts.items(), *(("", Verdict(problem=problem)) for problem in torn)]
        output.document([_verdict(account, verdict) for account, verdict in told])
    else:
        _tell(verdicts)
        for problem in torn:
            typer.echo(problem)
    context.found([*torn, *(verdict for verdict in verdicts.values() if verdict.problem)])


def _known(what: str, name: str, names: Collection[str]) -> None:
    """Refuse a name that no record can have: finding nothing would look as if nothing had happened."""
    if name and name not in names:
        near = get_close_matches(name, names, n=1)
        raise SettingsError(
            f"no record has the {what} {name!r}"
            + (f"; did you mean {near[0]}?" if near else f": there are {', '.join(sorted(names)) or 'none'}")
        )


def _beginning(after: str) -> dict[str, float]:
    """Read the number of a record, a duration back from now, or a time."""
    from worker.language.rules import parse_duration

    if not after:
        return {}
    if after.isdecimal() and len(after) <= DIGITS:
        return {"after": int(after)}
    with suppress(ValueError):
        return {"since": time.time() - parse_duration(after)}
    with suppress(ValueError):
        at = datetime.fromisoformat(after)
        return {"since": (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()}
    takes = "the number of a record, a duration such as 2h, or a time such as 2026-11-20T17:22"
    raise SettingsError(f"--after takes {takes}, not {after!r}")


async def _records(settings: "Settings", wanted: dict[str, Any]) -> list[bytes]:
    """Gather the records of all accounts that fit."""
    from worker.audit.query import query as asked

    async with context.ledger(settings) as (ledger, accounts):
        found = [line for account in accounts async for line in asked(ledger, account, **wanted)]
        if not found:
            _known("rule", wanted["rule"], await _rules(ledger, accounts))
            await _on_record(ledger, accounts, {what: wanted[what] for what in ("entry", "target") if wanted[what]})
    return found


async def _on_record(ledger: "Ledger", accounts: Iterable[str], ids: Mapping[str, Any]) -> None:
    """Refuse an id that no record names, as it may be mistyped; the nearest one would be another mail's."""
    from worker.audit.query import query as asked

    for what, id_ in ids.items():
        if not [line for account in accounts async for line in asked(ledger, account, **{what: id_})]:
            raise SettingsError(f"no record names the {what} {id_!r}: it is mistyped, or nothing was wanted of it yet")


async def _rules(ledger: "Ledger", accounts: Iterable[str]) -> set[str]:
    """Name every rule on record."""
    from worker.audit.query import query as asked
    from worker.audit.query import rules_of

    lines = [line for account in accounts async for line in asked(ledger, account)]
    return {rule for line in lines for rule in rules_of(msgspec.json.decode(line))}


class Chain(NamedTuple):
    """The records of an account, and the number of the last that is known to have been handed out."""

    lines: list[bytes]
    reaching: int = 0


async def _of_ledger(settings: "Settings") -> dict[str, Chain]:
    """Read the chain of each account."""
    from worker.audit.query import query as asked
    from worker.audit.stream import STDOUT

    async with context.ledger(settings) as (ledger, accounts):
        return {
            account: Chain([line async for line in asked(ledger, account)], await ledger.cursor(account, STDOUT))
            for account in accounts
        }


def _of_files(files: Iterable[Path]) -> tuple[dict[str, Chain], list[str]]:
    """Read the chains in files, each with its own account; name each file whose last line is torn, and leave it out."""
    chains: dict[str, Chain] = {}
    torn = []
    for file in files:
        try:
            lines = file.read_bytes().splitlines(keepends=True)
        except OSError as error:
            raise SettingsError(f"{file} cannot be read: {error.strerror}") from None
        if lines and _torn(lines[-1]):
            torn.append(
                f"{file} line {len(lines)} is cut in the middle, as when the process is stopped while it writes: "
                "the next start writes that record again"
            )
            lines.pop()
        for line in lines:
            chains.setdefault(_account(line), Chain([])).lines.append(line)
    return chains, torn


def _torn(line: bytes) -> bool:
    """Tell whether a line is the beginning of a record, and no more."""
    return line.startswith(b"{") and not line.endswith(b"\n") and not _account(line)


def _account(line: bytes) -> str:
    """Say whose record a line is; one that cannot be read is nobody's, and breaks nobody else's chain."""
    try:
        record = msgspec.json.decode(line)
    except (ValueError, RecursionError):
        return ""
    return str(record.get("account", "")) if isinstance(record, dict) else ""


def _row(record: dict[str, Any]) -> output.Row:
    """Describe a record: what it came to, who wanted that, and what it was, on what, and why."""
    from worker.audit.query import rules_of

    verb, to = record["verb"], record.get("to")
    why = record.get("because") or record.get("why") or record.get("said")
    on = record.get("target") or record.get("subject") or record.get("in_lane")
    return {
        **record,
        "at": datetime.fromisoformat(record["at"]),
        "verb": [verb, f"→ {to}"] if to and to != verb else verb,
        "rule": rules_of(record) or record.get("rule"),
        "what": [part for part in (_wish(record), on, why) if part],
    }


def _wish(record: dict[str, Any]) -> str:
    """Write what was wanted; the pattern of a block is its target already."""
    action = record.get("action") or {"type": record.get("what", "")}
    return " ".join(action[name] for name in ("type", "kind", "destination", "expected_disposition") if name in action)


def _verdict(account: str, verdict: "Verdict") -> output.Row:
    """Describe for programs what came of verifying a chain."""
    names = ("problem", "records", "first", "last", "hash", "previous", "unchecked")
    return {
        "account": account,
        "whole": not verdict.problem and not verdict.unchecked,
        **{name: getattr(verdict, name) for name in names},
    }


def _tell(verdicts: dict[str, "Verdict"]) -> None:
    """Say for people what came of verifying chains, in lines that keep a hash in one piece."""
    for account, verdict in verdicts.items():
        result = f"broken at record {verdict.broken_at}" if verdict.problem else f"{_span(verdict)} whole"
        result = result if verdict.records or verdict.problem else "there are no records"
        typer.echo(f"account {output.cell(account) or 'unknown'}: {result}")
        for line in _broken(verdict) if verdict.problem else _whole(verdict):
            typer.echo(f"  {line}")
    if not verdicts:
        typer.echo("there are no records")


def _span(verdict: "Verdict") -> str:
    """Name the records that hold."""
    ends = f"{verdict.first} to {verdict.last}"
    return f"records {ends} are" if verdict.records > 1 else f"record {verdict.first} is"


def _broken(verdict: "Verdict") -> list[str]:
    """Say where a chain breaks, and how much of it holds."""
    holds = [f"before that, {_span(verdict)} unchanged"] if verdict.records else []
    return [output.cell(verdict.problem), *holds]


def _whole(verdict: "Verdict") -> list[str]:
    """Say what was proved, and what could not be."""
    lines = [f"hash of record {verdict.last}: {verdict.hash}"] if verdict.records else []
    if verdict.unchecked:
        lines += [
            f"hash of record {verdict.unchecked}: {output.cell(verdict.previous)}",
            f"Records up to {verdict.unchecked} are not here and were not checked: cut off to hide something, it would",
            f"look the same. The second hash must be that of record {verdict.unchecked} in an older file; name both",
            "files, the older one first, to have that compared.",
        ]
    elif verdict.first > 1:
        lines.append(f"records up to {verdict.first - 1} were older than WORKER_KEEP; a later record tells their hash")
    return lines
