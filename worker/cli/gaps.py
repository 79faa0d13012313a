"""`worker gaps`: what has not been read yet, and why; records that nobody can read are tried again, or closed."""

import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated

import typer

from worker import wording
from worker.cli import context, missing, output
from worker.cli.held import want_held
from worker.errors import SettingsError

if TYPE_CHECKING:
    from worker.cli.missing import Missing
    from worker.ledger.ledger import Ledger
    from worker.settings import Settings

COLUMNS = ("id", "start", "end", "what")
GROUPS, RECORDS = 4, 20
"""Rows without --limit: what a screen holds."""
ORDERS = ("retry", "close")


def gaps(
    what: Annotated[
        str,
        typer.Argument(
            metavar="ID|retry|close",
            help="Id of a group or a record, to list it; or try unreadable records again now, or close them. "
            "Default: list the gaps.",
        ),
    ] = "",
    id_: Annotated[
        str, typer.Argument(metavar="ID", help="What to close, or to try again: a group or a record. Default: try all.")
    ] = "",
    *,
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="COUNT", min=1, help="Most rows. Default: 4, 20 of a group, all with --json."),
    ] = None,
    because: context.Because = "",
    who: context.As = "",
    as_json: context.Json = False,
) -> None:
    """List what has not been read yet: stretches of time, and records that cannot be read, the newest first.

    Use it after an outage, or to prove that nothing was missed: no gap means that everything up to the times printed
    has been read. Ends with 1 if a stretch of time is missing, or if nothing has ever been read.

    A record that cannot be read is a gap of the reason unreadable; those of one source with the same problem are one
    line, which its id opens. The worker tries them again by itself; retry does so now, also for events that `worker
    held` lists because a field cannot be read. Look at the message yourself,
    then close its gap, or that of a group, with a reason: the worker never tries it again. So does a message stay here
    whose verdict this version does not know: rules that name dispositions did not hear it. --json lists every gap.

    Example: worker gaps close 3f2a9c0d1e4b --because "looked at it, a newsletter"
    """
    settings = context.read_settings()
    if (what == "close" and not id_) or (id_ and what not in ORDERS):
        raise SettingsError(
            "write `worker gaps [ID]`, `worker gaps retry [ID]`, or `worker gaps close ID --because TEXT`"
        )
    if what not in ORDERS:
        _list(settings, what, limit, as_json=as_json)
        return
    person = context.find_person(settings, who, because)
    if what == "close":
        context.require_name(person, "gaps close")
    context.wait(_order(settings, what, id_, person))


def _list(settings: "Settings", id_: str, limit: int | None, *, as_json: bool) -> None:
    """List all that is missing, or what is in a group."""
    found = context.wait(missing.find_missing(settings, id_))
    if id_ and not any(found.records.values()):
        raise SettingsError(_explain_none(id_))
    if as_json:
        output.print_json(found.list_gaps()[:limit])
    elif id_:
        _print_records(found, limit or RECORDS)
    elif found.is_whole:
        typer.echo(f"no gap is open: {context.wait(_say_how_far(settings))}")
    elif not found.accounts:
        typer.echo("nothing was ever read, so nobody knows what is missing: start `worker run`")
    else:
        _print_groups(found, limit or GROUPS)
    context.exit_on_finding(found.stretches or not found.accounts)


def _print_groups(found: "Missing", limit: int) -> None:
    """Say how much is missing, and print the stretches of time and the groups of records."""
    groups = (missing.tell_group(*group) for group in found.list_groups())
    rows = [*map(missing.tell_stretch, found.stretches), *groups]
    typer.echo(f"{found.sum_up()}\n")
    output.print_rows(rows[:limit], COLUMNS, as_json=False, empty="")
    if len(rows) > limit:
        typer.echo(f"\n{len(rows) - limit:,} more: --limit {len(rows)} lists all")


def _print_records(found: "Missing", limit: int) -> None:
    """Print records one by one, and how many there are beyond a limit."""
    rows = [missing.tell_group(account, [one]) for account, records in found.records.items() for one in records]
    output.print_rows(rows[:limit], COLUMNS, as_json=False, empty="")
    if len(rows) > limit:
        typer.echo(f"\n{len(rows) - limit:,} more of {len(rows):,}: --limit lists more")


async def _order(settings: "Settings", order: str, id_: str, person: context.Person) -> None:
    """Order that unreadable records be tried again, or that their gaps be closed: those that are there now."""
    if order == "close" and not person.because:
        raise SettingsError("a gap is closed on your word: add --because TEXT, for the audit records")
    async with context.open_ledger(settings) as (ledger, accounts):
        found = {account: await missing.choose_records(ledger, account, id_) for account in accounts}
        if order == "retry":
            found = {account: [one for one in records if not one.is_half_heard] for account, records in found.items()}
        again = [await want_held(ledger, one, id_, person, unread_only=True) for one in accounts if order == "retry"]
        count = sum(map(len, found.values()))
        if not count + sum(again):
            raise SettingsError(_explain_none(id_))
        for account, records in found.items():
            if covers := [record.digest for record in records]:
                verb, now = f"{order} gap", time.time()
                await ledger.order(account, verb, id_, person.who, person.because, now, covers=covers)
    done = "Tries again" if order == "retry" else "Closed"
    beside = f" and {wording.count(sum(again), 'held event')}" if any(again) else ""
    typer.echo(f"{done}: {wording.count(count, 'record')}{beside}. {person.describe_order()}")


def _explain_none(id_: str) -> str:
    return f"no unreadable record {f'is named {id_!r}' if id_ else 'is open'}: `worker gaps` lists them"


async def _say_how_far(settings: "Settings") -> str:
    """Say up to when each source is read: nothing is known about what came later."""
    async with context.read_ledger(settings) as (ledger, accounts):
        several = len(accounts) > 1
        said = [
            f"{name} of {account} {until}" if several else f"{name} {until}"
            for account in accounts
            async for name, until in _read_until(ledger, account)
        ]
    return ", ".join(said)


async def _read_until(ledger: "Ledger", account: str) -> AsyncIterator[tuple[str, str]]:
    """Yield each source that was read, and up to when."""
    from worker.intake.coverage import find_end
    from worker.intake.sources import SOURCES

    for source in SOURCES:
        if until := find_end(await ledger.coverage(account, source.name)):
            yield source.name, _describe_until(until)


def _describe_until(until: float) -> str:
    ago = wording.format_duration(max(0, round(time.time() - until)))
    return f"are read up to {output.to_datetime(until):%H:%M:%SZ} ({ago} ago)"
