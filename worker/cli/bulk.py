"""`worker bulk`: jobs that the API itself carries out, as it tells them; to look at, and to stop."""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeVar

import typer
from msgspec import Struct

from worker.cli import context, output
from worker.cli.context import As, Because, Person
from worker.errors import NotFound, Rejected, SettingsError, StoreError, Temporary, Unsent, WorkerError
from worker.escaping import escaped

if TYPE_CHECKING:
    from worker.api.bulk import RowStatus
    from worker.api.collection import Listed
    from worker.api.models import BulkJob, BulkMessage
    from worker.settings import Account, Settings

T = TypeVar("T")
Record = TypeVar("Record", bound=Struct)
app = typer.Typer(help="Look at the jobs that move or release all mail of a search, and stop one.")
Id = Annotated[str, typer.Argument(metavar="ID", help="The id that `worker bulk list` shows.")]
Limit = Annotated[int, typer.Option("--limit", metavar="COUNT", min=1, help="Show at most so many messages.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask first.")]
JOBS = ("id", "status", "found", "done", "failed", "pending", "age", "what")
MESSAGES = ("id", "status", "tries", "what")
COPIES = "found, done, failed and pending count copies: a message has one for each recipient"
OVER = ("COMPLETED", "FAILED", "CANCELLED")
PAGE = 1000


class Status(StrEnum):
    """How far one message of a job is."""

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    SKIPPED = "SKIPPED"


class Found(NamedTuple):
    """A job, and whose it is."""

    account: "Account"
    job: "BulkJob"


@app.command("list")
def list_(*, as_json: context.Json = False) -> None:
    """List the jobs that the API knows, whoever began them.

    The API is asked, not the ledger. What happened to single messages: worker bulk show ID.

    Example: worker bulk list
    """
    rows = context.wait(_list(context.read_settings()))
    output.print_rows(rows, JOBS, as_json=as_json, empty="there is no bulk job")
    if rows and not as_json:
        typer.echo(COPIES)


@app.command("show")
def show_(
    id_: Id,
    *,
    status: Annotated[Status | None, typer.Option("--status", help="Only messages that are so far.")] = None,
    limit: Limit = 100,
    as_json: context.Json = False,
) -> None:
    """Show one job: what it looks for, how far it is, and what became of its messages.

    A message has a row for each recipient. Ends with 1 when there is no such job.

    Example: worker bulk show 6f1c2a9e-0d4b-4c57-9a55-2f8f0b1d7e10 --status FAILED
    """
    context.wait(_show(context.read_settings(), id_, status, limit, as_json=as_json))


@app.command()
def cancel(id_: Id, *, yes: Yes = False, because: Because = "", who: As = "") -> None:
    """Stop a job; what it has done stays done.

    Who stopped it, why, and what the API answered goes into the audit records, once a worker runs on the ledger. Ends
    with 1 when there is no such job, or when it has ended already.

    Example: worker bulk cancel 6f1c2a9e-0d4b-4c57-9a55-2f8f0b1d7e10 --because "the wrong sender"
    """
    settings = context.read_settings()
    account, job = context.wait(_found(settings, id_))
    if job.status in OVER:
        typer.echo(f"the job is {escaped(job.status)} already: there is nothing to cancel")
        raise typer.Exit(context.FOUND)
    typer.echo(_about(job))
    if not yes and not _agreed():
        typer.echo("nothing was cancelled")
        return
    context.wait(_cancel(settings, account, job, Person(who, because)))


async def _list(settings: "Settings") -> list[output.Row]:
    """Gather the jobs of all accounts."""
    from worker.cli.check_live import asking

    accounts = settings.accounts()
    rows: list[output.Row] = []
    for account in accounts:
        async with asking(settings, account) as client:
            found = await _gathered(client.investigate.bulk.walk(), "jobs")
            # A walk that had to begin again shows its first pages twice.
            jobs = {job.job_id: job for job in found}
            rows += [_job(account.id, job, several=len(accounts) > 1) for job in jobs.values()]
    return rows


async def _show(settings: "Settings", id_: str, status: Status | None, limit: int, *, as_json: bool) -> None:
    """Ask for a job and its messages, and print both."""
    from worker.cli.check_live import asking

    account, job = await _found(settings, id_)
    wanted: RowStatus | None = status.value if status else None
    async with asking(settings, account) as client:
        # One more than is shown tells whether there are more.
        walk = client.investigate.bulk.walk_messages(id_, status=wanted, per_page=min(limit + 1, PAGE))
        found = await _gathered(walk, "messages", limit + 1)
    once = {(one.message_id, one.action_params.client_recipient): _message(one) for one in found}
    rows = list(once.values())
    told = _job(account.id, job, several=False)
    if as_json:
        output.print_json({"job": told, "messages": rows[:limit], "more": len(rows) > limit})
        return
    output.print_table(JOBS, [[told[name] for name in JOBS]])
    typer.echo(COPIES)
    typer.echo("looks for " + (_conditions(job) or "what the API does not tell") + "\n")
    output.print_rows(rows[:limit], MESSAGES, as_json=False, empty="no message fits" if status else "no message yet")
    if len(rows) > limit:
        typer.echo(f"and more: --limit {10 * limit} shows further ones, --status only some")


async def _found(settings: "Settings", id_: str) -> Found:
    """Look for a job in every account; end the command with 1 when none has it."""
    from worker.cli.check_live import asking

    for account in settings.accounts():
        async with asking(settings, account) as client:
            try:
                return Found(account, await _in_time(client.investigate.bulk.get(id_)))
            except (NotFound, Unsent):  # the client does not even ask for an id such as ".."
                continue
    typer.echo(f"worker: there is no bulk job {escaped(id_)}: `worker bulk list` shows those there are", err=True)
    raise typer.Exit(context.FOUND)


async def _gathered(
    walk: "AsyncGenerator[Listed[Record], None]", of_what: str, limit: int = sys.maxsize
) -> list[Record]:
    """Read page after page until there is enough, and tell a person who waits how far that is."""
    from rich.console import Console

    found: list[Record] = []
    broken = 0
    with Console(stderr=True).status(f"reading {of_what}") as progress:
        async with aclosing(walk):
            while len(found) < limit and (page := await _in_time(anext(walk, None))):
                found += page.entries
                broken += page.broken
                progress.update(f"reading {of_what}: {len(found):,} so far")
    if broken:
        typer.echo(f"worker: {broken} {of_what} cannot be read and are left out", err=True)
    return found


async def _in_time(question: Awaitable[T]) -> T:
    """Wait for one answer as long as a person does."""
    from worker.cli.check_live import BUSY, PATIENCE

    try:
        async with asyncio.timeout(PATIENCE):
            return await question
    except TimeoutError:
        raise Temporary(BUSY) from None


def _agreed() -> bool:
    """Ask a person; without one, only --yes will do."""
    if not sys.stdin.isatty():
        raise SettingsError("nobody can be asked here: say --yes to cancel the job")
    try:
        return typer.confirm("Cancel it?")
    except typer.Abort:
        typer.echo()
        return False


async def _cancel(settings: "Settings", account: "Account", job: "BulkJob", person: Person) -> None:
    """Cancel a job, put on record who did that and what the API answered, and say both."""
    from worker.cli.check_live import asking

    try:
        async with asking(settings, account) as client:
            after = await client.investigate.bulk.cancel(job.job_id)
    except WorkerError as error:
        typer.echo(await _recorded(settings, account.id, job.job_id, person, str(error)), err=True)
        if isinstance(error, NotFound | Rejected):  # it has ended, or is gone, since a person was asked
            typer.echo(f"worker: {error}", err=True)
            raise typer.Exit(context.FOUND) from None
        raise
    answer = f"the job is {escaped(after.status)}: {_counted(after)}"
    recorded = await _recorded(settings, account.id, job.job_id, person, answer)
    typer.echo(f"{answer}\n{recorded}")


async def _recorded(settings: "Settings", account: str, id_: str, person: Person, answer: str) -> str:
    """Order what was done, so that it goes on record with what the API answered; say where that is."""
    try:
        async with context.open_ledger(settings) as (ledger, _):
            await ledger.order(
                account, "cancel", f"bulk:{id_}", person.name, person.because, time.time(), answer=answer
            )
    except StoreError as error:  # stopping must be possible from anywhere, and is worth more than its record
        return f"it is in Cloudflare's audit log, and not in our records: {error}"
    return "on record in a second when a worker runs on this ledger, else when it starts"


def _about(job: "BulkJob") -> str:
    """Say what a job does, to whoever is to stop it."""
    return f"{_action(job)} of all mail with {_conditions(job)}: {_counted(job)}"


def _counted(job: "BulkJob") -> str:
    done, found, pending = job.messages_successful, job.total_messages_discovered, job.messages_pending
    return f"{done:,} of {found:,} copies done, {pending:,} pending"


def _conditions(job: "BulkJob") -> str:
    """Write what a job looks for; the values were written by whoever began it, or by an attacker before."""
    return ", ".join(f"{output.format_cell(name)} {output.format_cell(value)}" for name, value in _asked(job).items())


def _asked(job: "BulkJob") -> dict[str, object]:
    return {name: value for name, value in (job.search_params or {}).items() if value is not None}


def _action(job: "BulkJob") -> str:
    return f"{output.format_cell(job.action_type)} {output.format_cell(job.action_params.destination)}".strip()


def _job(account: str, job: "BulkJob", *, several: bool) -> output.Row:
    """Describe a job."""
    begun = job.created_at.timestamp() if job.created_at else 0.0
    return {
        "id": job.job_id,
        "account": account,
        "action": job.action_type,
        "destination": job.action_params.destination,
        "status": job.status,
        "status_message": job.status_message,
        "found": job.total_messages_discovered,
        "done": job.messages_successful,
        "failed": job.messages_failed,
        "pending": job.messages_pending,
        "skipped": job.messages_skipped,
        "cancelled": job.messages_cancelled,
        "comment": job.comment,
        "search": _asked(job),
        "created_at": job.created_at,
        "started_at": job.started_at,
        "ended_at": job.completed_at,
        "age": output.format_duration(max(0.0, time.time() - begun)) if begun else "",
        "what": [part for part in (_action(job), job.comment, job.status_message, account if several else "") if part],
    }


def _message(one: "BulkMessage") -> output.Row:
    """Describe what became of one message for one recipient."""
    subject = one.message.subject if one.message else ""
    return {
        "id": one.message_id,
        "status": one.status,
        "tries": one.retry_count,
        "recipient": one.action_params.client_recipient,
        "subject": subject,
        "status_message": one.status_message,
        "again_at": one.retry_after,
        "ended_at": one.processed_at,
        "what": [part for part in (one.action_params.client_recipient, subject, one.status_message) if part],
    }
