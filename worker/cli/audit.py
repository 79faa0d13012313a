"""`worker audit`: what was done, by whom and why; and whether that record is whole."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from worker.cli import edge, show
from worker.errors import SettingsError

if TYPE_CHECKING:
    from worker.audit import Verdict
    from worker.settings import Settings

app = typer.Typer(help="Ask what was done, by whom and why.")
COLUMNS = ("number", "at", "verb", "to", "rule", "action", "target")
VERDICT = ("account", "records", "first", "last", "hash", "problem")


@app.command()
def query(
    *,
    rule: Annotated[str, typer.Option("--rule", metavar="NAME", help="What this rule had a part in.")] = "",
    entry: Annotated[str, typer.Option("--entry", metavar="ID", help="What became of one entry.")] = "",
    target: Annotated[str, typer.Option("--target", metavar="ID", help="What was done to a message or pattern.")] = "",
    verb: Annotated[str, typer.Option("--verb", metavar="WORD", help="entered, claimed, done, ordered …")] = "",
    after: Annotated[int, typer.Option("--after", metavar="NUMBER", help="Only records after this one.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print each record as it is chained, one per line.")] = False,
) -> None:
    """List audit records, oldest first.

    Example: worker audit query --rule malicious_mail --json
    """
    wanted = {"rule": rule, "entry": entry, "target": target, "verb": verb}
    records = edge.wait(_records(edge.settings(), wanted, after))
    if as_json:
        for record in records:
            typer.echo(record)
    else:
        rows = [_row(msgspec.json.decode(record)) for record in records]
        show.listing(rows, COLUMNS, as_json=False, empty="no record fits")


@app.command()
def verify(
    file: Annotated[Path | None, typer.Argument(help="Records as JSON lines; the ledger's without it.")] = None,
    *,
    as_json: edge.Json = False,
) -> None:
    """Prove that no record was changed, left out or added.

    Keep a hash somewhere else: only that shows a chain that was written anew from its beginning. Ends with 1 when the
    chain is broken.

    Example: worker audit verify records.jsonl
    """
    from worker.audit import verify as verified

    chains = _of_file(file) if file else edge.wait(_of_ledger(edge.settings()))
    verdicts = [(account, verified(lines)) for account, lines in chains.items()]
    rows = [_verdict(account, verdict) for account, verdict in verdicts]
    show.listing(rows, VERDICT, as_json=as_json, empty="there are no records")
    edge.found([verdict for _, verdict in verdicts if verdict.problem])


async def _records(settings: "Settings", wanted: dict[str, str], after: int) -> list[bytes]:
    """Gather the records of all accounts that fit."""
    from worker.audit import query as asked

    async with edge.ledger(settings) as (ledger, accounts):
        return [line for account in accounts async for line in asked(ledger, account, after=after, **wanted)]


async def _of_ledger(settings: "Settings") -> dict[str, list[bytes]]:
    """Read the chain of each account."""
    from worker.audit import query as asked

    async with edge.ledger(settings) as (ledger, accounts):
        return {account: [line async for line in asked(ledger, account)] for account in accounts}


def _of_file(file: Path) -> dict[str, list[bytes]]:
    """Read the chains in a file, each with its own account."""
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}") from None
    chains: dict[str, list[bytes]] = {}
    for line in lines:
        chains.setdefault(_account(line), []).append(line)
    return chains


def _account(line: bytes) -> str:
    """Say whose record a line is; one that cannot be read is nobody's, and breaks nobody else's chain."""
    try:
        record = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return ""
    return str(record.get("account", "")) if isinstance(record, dict) else ""


def _row(record: dict[str, Any]) -> show.Row:
    """Describe a record; the pattern of a block is its target already."""
    action = record.get("action") or {}
    wish = [action[name] for name in ("type", "destination", "expected_disposition") if name in action]
    rules = [each[0] for each in record.get("rules", ())]
    at = datetime.fromisoformat(record["at"])
    return {**record, "at": at, "rule": rules, "action": " ".join(wish)}


def _verdict(account: str, verdict: "Verdict") -> show.Row:
    """Describe what came of verifying a chain."""
    row = {name: getattr(verdict, name) for name in ("records", "first", "last", "hash")}
    return {"account": account, **row, "problem": verdict.problem or "whole"}
