"""`worker audit query`: what was done, by whom and why."""

import sys
from collections.abc import Collection, Iterable, Mapping
from contextlib import aclosing
from datetime import datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from worker.cli import context, output
from worker.cli.audit_key import key
from worker.cli.audit_verify import verify
from worker.cli.filters import Recipient, Rule, Sender, Since, Subject, make_filter, parse_since
from worker.cli.help import WithArguments
from worker.errors import SettingsError
from worker.wording import name_state

if TYPE_CHECKING:
    from worker.ledger.ledger import Ledger
    from worker.settings import Settings

app = typer.Typer(help="Search the audit records: what was done, by whom and why.")
ELSEWHERE = (
    "check the spelling; no rule may have acted on it: worker show tells what is known of a mail, worker held what "
    "waits, and worker gaps what cannot be read"
)
COLUMNS = ("number", "at", "verb", "what")
AFTER = "Only records after this number, this time ago (2h) or this UTC time (2026-11-20T17:22)."
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


app.command(cls=WithArguments)(verify)
app.command(cls=WithArguments)(key)


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
            raise SettingsError(f"no record names the {what} {id_!r}: {ELSEWHERE}")


async def _list_rules(ledger: "Ledger", accounts: Iterable[str]) -> set[str]:
    from worker.audit.query import list_rules
    from worker.audit.query import query as query_account

    records = [query_account(ledger, account) for account in accounts]
    return {rule for lines in records async for line in lines for rule in list_rules(msgspec.json.decode(line))}


def _describe_record(record: dict[str, Any]) -> output.Row:
    """Describe a record: what happened, who wanted it, the action, its target and the reason."""
    from worker.audit.query import list_rules

    verb, to = record["verb"], record.get("to")
    why = record.get("because") or record.get("why") or record.get("said")
    on = record.get("target") or record.get("id") or record.get("subject") or record.get("in_lane")
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
