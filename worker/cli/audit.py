"""`worker audit`: what was done, by whom and why, and whether the records are intact."""

import sys
from collections.abc import Collection, Iterable, Mapping
from contextlib import aclosing
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
import typer

from worker.cli import context, output
from worker.cli.filters import Recipient, Rule, Sender, Since, Subject, make_filter, parse_since
from worker.cli.help import WithArguments
from worker.errors import SettingsError
from worker.wording import name_state

if TYPE_CHECKING:
    from worker.audit.verify import Verdict
    from worker.ledger.ledger import Ledger
    from worker.settings import Settings

app = typer.Typer(help="Search the audit records: what was done, by whom and why.")
COLUMNS = ("number", "at", "verb", "what")
AFTER = "Only records after this number, this time ago (2h) or this UTC time (2026-11-20T17:22)."
FILES = "Files of records, one JSON object per line, the oldest file first. Default: the ledger."
SQLITE = b"SQLite format 3\0"
"""How a ledger begins."""
DIGITS = 18
"""Most digits of a record's number."""
RECORDS = 50
"""Records in a table without --limit."""
EVERYTHING = sys.maxsize


@app.command()
def query(
    *,
    rule: Rule = "",
    entry: Annotated[str, typer.Option("--entry", metavar="ID", help="Only records of this entry of the ledger.")] = "",
    target: Annotated[
        str,
        typer.Option("--target", metavar="ID", help="Only records about this message, address, domain, IP or channel."),
    ] = "",
    verb: Annotated[
        str,
        typer.Option(
            "--verb", metavar="WORD", help="Only records of this kind, such as entered, claimed, settled or ordered."
        ),
    ] = "",
    sender: Sender = "",
    recipient: Recipient = "",
    subject: Subject = "",
    after: Annotated[str, typer.Option("--after", metavar="WHEN", help=AFTER)] = "",
    since: Since = "",
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="COUNT", min=1, help="Most records. Default: 50 in a table, all with --json."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each record as it is chained, one JSON object per line.")
    ] = False,
) -> None:
    """List audit records, newest first; with --json, in the order of the chain.

    Use it to find out why something was done, or not done. Options can be combined; --sender, --recipient and --subject
    find the records of entries about such mail. The table shows the rules, the action, its target, the reason and the
    person; --json has everything that a record says.

    Example: worker audit query --rule malicious_mail --after 2h
    """
    from worker.ledger.records import VERBS

    _check_name("verb", verb, VERBS)
    wanted = {"rule": rule, "entry": entry, "target": target, "verb": verb, **_parse_after(after)}
    wanted |= {"since": parse_since(since)} if since else {}
    wanted |= {"mail": make_filter("", sender, recipient, subject)}
    most = limit or (EVERYTHING if as_json else RECORDS)
    records = context.wait(_find_records(context.read_settings(), wanted, most + 1))
    if as_json:
        for record in reversed(records[:most]):
            typer.echo(record)
        return
    rows = [_describe_record(msgspec.json.decode(record)) for record in records[:most]]
    output.print_rows(rows, COLUMNS, as_json=False, empty="no records match")
    if len(records) > most:
        typer.echo(f"\nolder records match, too: --limit lists more than {most:,}")


@app.command(cls=WithArguments)
def verify(
    files: Annotated[list[Path] | None, typer.Argument(metavar="FILE", help=FILES)] = None,
    *,
    as_json: context.Json = False,
) -> None:
    """Check that no record was changed, left out or added.

    Checks the ledger, or files of records such as collected logs. Files may begin after the first record, as after a
    log rotation; the command says what is missing. A chain that was rewritten from its beginning passes: to detect
    that, keep a hash in another place and compare it. Ends with 1 if the chain is broken or the last line of a file is
    incomplete.

    Example: worker audit verify records.1.jsonl records.jsonl
    """
    records, torn = _read_files(files) if files else (context.wait(_read_ledger(context.read_settings())), [])
    verdicts = {account: each.verify(cut=bool(files)) for account, each in records.items()}
    if as_json:
        _print_json(verdicts, torn)
    else:
        _print_verdicts(verdicts)
        for problem in torn:
            typer.echo(problem)
    context.exit_on_finding([*torn, *(verdict for verdict in verdicts.values() if verdict.problem)])


def _check_name(what: str, name: str, names: Collection[str]) -> None:
    """Refuse a name that no record has: an empty table would look as if nothing had happened."""
    if name and name not in names:
        near = get_close_matches(name, names, n=1)
        others = f"the {what}s are {', '.join(sorted(names))}" if names else f"there are no {what}s on record yet"
        advice = f"; did you mean {near[0]}?" if near else f": {others}"
        raise SettingsError(f"no record has the {what} {name!r}{advice}")


def _parse_after(after: str) -> dict[str, float]:
    """Read the number of a record, a duration back from now, or a time."""
    if not after:
        return {}
    if after.isdecimal() and len(after) <= DIGITS:
        return {"after": int(after)}
    return {"since": parse_since(after, "--after takes the number of a record, ")}


async def _find_records(settings: "Settings", wanted: dict[str, Any], limit: int) -> list[bytes]:
    """Find the newest records of all accounts that match; refuse a rule or an id that no record names."""
    async with context.read_ledger(settings) as (ledger, accounts):
        found = [line for account in accounts for line in await _find_newest(ledger, account, limit, wanted)]
        if wanted["rule"] and not found:
            _check_name("rule", wanted["rule"], await _list_rules(ledger, accounts))
        if not found:
            await _check_ids(ledger, accounts, {what: wanted[what] for what in ("entry", "target") if wanted[what]})
    return found


async def _find_newest(ledger: "Ledger", account: str, limit: int, wanted: dict[str, Any]) -> list[bytes]:
    from worker.audit.query import query as query_account

    found: list[bytes] = []
    async with aclosing(query_account(ledger, account, newest_first=True, **wanted)) as lines:
        async for line in lines:
            found.append(line)
            if len(found) == limit:
                break
    return found


async def _query(ledger: "Ledger", accounts: Iterable[str], **wanted: Any) -> list[bytes]:  # noqa: ANN401 (as query takes it)
    from worker.audit.query import query as query_account

    return [line for account in accounts async for line in query_account(ledger, account, **wanted)]


async def _check_ids(ledger: "Ledger", accounts: Iterable[str], ids: Mapping[str, str]) -> None:
    # The nearest id is not suggested: it would be another mail's.
    for what, id_ in ids.items():
        if not await _query(ledger, accounts, **{what: id_}):
            raise SettingsError(f"no record names the {what} {id_!r}: check the spelling, or no rule has acted on it")


async def _list_rules(ledger: "Ledger", accounts: Iterable[str]) -> set[str]:
    from worker.audit.query import list_rules
    from worker.audit.query import query as query_account

    records = [query_account(ledger, account) for account in accounts]
    return {rule for lines in records async for line in lines for rule in list_rules(msgspec.json.decode(line))}


class AccountRecords(NamedTuple):
    """The records of an account, and the number of the last that is known to have been handed out."""

    lines: list[bytes]
    reaching: int = 0

    def verify(self, *, cut: bool) -> "Verdict":
        """Prove that they follow each other unchanged; with ``cut`` the beginning may be missing."""
        from worker.audit.verify import verify

        return verify(self.lines, cut=cut, reaching=self.reaching)


async def _read_ledger(settings: "Settings") -> dict[str, AccountRecords]:
    from worker.audit.stream import STDOUT

    async with context.read_ledger(settings) as (ledger, accounts):
        return {
            account: AccountRecords(await _query(ledger, [account]), await ledger.cursor(account, STDOUT))
            for account in accounts
        }


def _read_files(files: Iterable[Path]) -> tuple[dict[str, AccountRecords], list[str]]:
    """Read the records in files, by account; name each file whose last line is torn, and leave that line out."""
    records: dict[str, AccountRecords] = {}
    torn = []
    for file in files:
        lines = _read_lines(file)
        if lines and _is_torn(lines[-1]):
            torn.append(_describe_torn(file, len(lines)))
            lines.pop()
        for line in lines:
            records.setdefault(_find_account(line), AccountRecords([])).lines.append(line)
    return records, torn


def _read_lines(file: Path) -> list[bytes]:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}") from None
    if data.startswith(SQLITE):
        raise SettingsError(
            f"{file} is a ledger, not a file of records: set WORKER_STORE_URL to sqlite:///{file}, and name no file"
        )
    return data.splitlines(keepends=True)


def _describe_torn(file: Path, line: int) -> str:
    return (
        f"{file} line {line} is incomplete, as when the worker is killed while it writes: "
        "the next start writes that record again"
    )


def _is_torn(line: bytes) -> bool:
    """Tell whether a line is the beginning of a record, and no more."""
    return line.startswith(b"{") and not line.endswith(b"\n") and not _find_account(line)


def _find_account(line: bytes) -> str:
    """Return whose record a line is; one that cannot be read is nobody's, and breaks nobody else's chain."""
    try:
        record = msgspec.json.decode(line)
    except (ValueError, RecursionError):
        return ""
    return str(record.get("account", "")) if isinstance(record, dict) else ""


def _describe_record(record: dict[str, Any]) -> output.Row:
    """Describe a record: what happened, who wanted it, the action, its target and the reason."""
    from worker.audit.query import list_rules

    verb, to = record["verb"], record.get("to")
    why = record.get("because") or record.get("why") or record.get("said")
    on = record.get("target") or record.get("subject") or record.get("in_lane")
    rules, who = ", ".join(list_rules(record)), f"by {record['who']}" if "who" in record else ""
    return {
        **record,
        "at": datetime.fromisoformat(record["at"]),
        "verb": [verb, f"→ {name_state(to)}"] if to and to != verb else verb,
        "what": [part for part in (rules or record.get("rule"), _describe_action(record), on, why, who) if part],
    }


def _describe_action(record: dict[str, Any]) -> str:
    """Write the action, without the pattern of a list entry: that is its target."""
    action = record.get("action") or {"type": record.get("what", "")}
    return " ".join(action[name] for name in ("type", "kind", "destination", "expected_disposition") if name in action)


def _print_json(verdicts: dict[str, "Verdict"], torn: Iterable[str]) -> None:
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


def _print_verdicts(verdicts: dict[str, "Verdict"]) -> None:
    """Print for people what came of verifying, in lines that keep a hash in one piece."""
    for account, verdict in verdicts.items():
        typer.echo(f"account {output.format_cell(account) or 'unknown'}: {_sum_up(verdict)}")
        for line in _explain_break(verdict) if verdict.problem else _explain_proof(verdict):
            typer.echo(f"  {line}")
    if not verdicts:
        typer.echo("there are no records")


def _sum_up(verdict: "Verdict") -> str:
    if verdict.problem:
        return f"broken at record {verdict.broken_at}"
    return f"{_name_range(verdict)} intact" if verdict.records else "there are no records"


def _name_range(verdict: "Verdict") -> str:
    """Name the records that hold."""
    ends = f"{verdict.first} to {verdict.last}"
    return f"records {ends} are" if verdict.records > 1 else f"record {verdict.first} is"


def _explain_break(verdict: "Verdict") -> list[str]:
    """Say where a chain is broken, and how much of it is unchanged."""
    holds = [f"before that, {_name_range(verdict)} unchanged"] if verdict.records else []
    return [output.format_cell(verdict.problem), *holds]


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
