"""`worker bulk`: jobs that the API itself carries out, to look at and to cancel."""

import sys
import time
from contextlib import aclosing, suppress
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeVar

import typer

from worker import wording
from worker.cli import context, output
from worker.cli.context import As, Because, Person, find_person
from worker.cli.help import WithArguments
from worker.errors import NotFound, Rejected, SettingsError, StoreError, Unsent, WorkerError
from worker.escaping import escape

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from worker.api.bulk import RowStatus
    from worker.api.collection import ListPage
    from worker.api.models import BulkJob, BulkMessage
    from worker.language.base import Noun
    from worker.settings import Account, Settings

Record = TypeVar("Record", bound="Noun")
app = typer.Typer(help="Look at the API's own bulk jobs, and cancel one.")
Id = Annotated[str, typer.Argument(metavar="ID", help="Id of the job, as `worker bulk list` shows it.")]
Limit = Annotated[int, typer.Option("--limit", metavar="COUNT", min=1, help="Most messages to show.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]
JOBS = ("id", "status", "found", "done", "failed", "pending", "age", "what")
MESSAGES = ("id", "status", "tries", "what")
COPIES = "found, done, failed and pending count copies: one per message and recipient"
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
    """List the bulk jobs of all accounts, whoever began them.

    A bulk job moves or releases all mail that a search finds; the worker itself never begins one. This asks the API,
    not the ledger. To see what happened to single messages: worker bulk show ID.

    Example: worker bulk list
    """
    rows = context.wait(_list_jobs(context.read_settings()))
    output.print_rows(rows, JOBS, as_json=as_json, empty="there are no bulk jobs")
    if rows and not as_json:
        typer.echo(COPIES)


@app.command("show", cls=WithArguments)
def show_(
    id_: Id,
    *,
    status: Annotated[
        Status | None,
        typer.Option("--status", metavar="STATUS", help=f"Only messages with this status: {', '.join(Status)}."),
    ] = None,
    limit: Limit = 100,
    as_json: context.Json = False,
) -> None:
    """Show a bulk job: its search, its progress and its messages.

    A message has one row per recipient. Ends with 1 if there is no such job.

    Example: worker bulk show 6f1c2a9e-0d4b-4c57-9a55-2f8f0b1d7e10 --status FAILED
    """
    context.wait(_show(context.read_settings(), id_, status, limit, as_json=as_json))


@app.command(cls=WithArguments)
def cancel(id_: Id, *, yes: Yes = False, because: Because = "", who: As = "") -> None:
    """Cancel a bulk job; what it has done stays done.

    Use it on a job that does harm. It says what the job does and asks first. Your name, your reason and the API's
    answer go into the audit records as soon as a worker runs on the ledger. Ends with 1 if there is no such job, or if
    it has already ended.

    Example: worker bulk cancel 6f1c2a9e-0d4b-4c57-9a55-2f8f0b1d7e10 --because "the wrong sender"
    """
    settings = context.read_settings()
    account, job = context.wait(_find(settings, id_))
    if job.status in OVER:
        typer.echo(f"the job has already ended ({escape(job.status)}): there is nothing to cancel")
        raise typer.Exit(context.FOUND)
    typer.echo(_describe_order(job))
    if not yes and not _may_cancel():
        typer.echo("nothing was cancelled")
        return
    context.wait(_cancel(settings, account, job, find_person(settings, who, because)))


async def _list_jobs(settings: "Settings") -> list[output.Row]:
    accounts = settings.accounts()
    rows: list[output.Row] = []
    for account in accounts:
        jobs = await _read_jobs(settings, account)
        rows += [_describe_job(account.id, job, several=len(accounts) > 1) for job in jobs]
    return rows


async def _read_jobs(settings: "Settings", account: "Account") -> "Iterable[BulkJob]":
    from worker.cli.client import open_client

    async with open_client(settings, account) as client:
        found = await _read_pages(client.investigate.bulk.walk(), "job")
    return {job.job_id: job for job in found}.values()  # a walk that began again repeats its first pages


async def _show(settings: "Settings", id_: str, status: Status | None, limit: int, *, as_json: bool) -> None:
    """Ask for a job and its messages, and print both."""
    account, job = await _find(settings, id_)
    rows = await _list_messages(settings, account, id_, status, limit + 1)  # one more tells whether there are more
    row = _describe_job(account.id, job, several=False)
    if as_json:
        output.print_json({"job": row, "messages": rows[:limit], "more": len(rows) > limit})
        return
    output.print_table(JOBS, [[row[name] for name in JOBS]])
    typer.echo(COPIES)
    typer.echo("looks for " + (_write_conditions(job) or "something that the API does not show") + "\n")
    output.print_rows(
        rows[:limit], MESSAGES, as_json=False, empty="no message has this status" if status else "no messages yet"
    )
    if len(rows) > limit:
        typer.echo(f"There are more messages: --limit {10 * limit} shows more, --status only some.")


async def _list_messages(
    settings: "Settings", account: "Account", id_: str, status: Status | None, most: int
) -> list[output.Row]:
    from worker.cli.client import open_client

    wanted: RowStatus | None = status.value if status else None
    async with open_client(settings, account) as client:
        walk = client.investigate.bulk.walk_messages(id_, status=wanted, per_page=min(most, PAGE))
        found = await _read_pages(walk, "message", most)
    once = {(one.message_id, one.action_params.client_recipient): _describe_message(one) for one in found}
    return list(once.values())


async def _find(settings: "Settings", id_: str) -> Found:
    """Look for a job in every account; end the command with 1 when none has it."""
    from worker.cli.client import open_client, wait_for

    for account in settings.accounts():
        async with open_client(settings, account) as client:
            with suppress(NotFound, Unsent):  # the client does not even ask for an id such as ".."
                return Found(account, await wait_for(client.investigate.bulk.get(id_)))
    raise context.NothingDone(f"there is no bulk job {escape(id_)}: `worker bulk list` lists all jobs")


async def _read_pages(
    walk: "AsyncGenerator[ListPage[Record], None]", noun: str, limit: int = sys.maxsize
) -> list[Record]:
    """Read page after page until there is enough; show on a terminal how far that is."""
    from rich.console import Console

    from worker.cli.client import wait_for

    found: list[Record] = []
    broken = 0
    with Console(stderr=True).status(f"reading {noun}s") as progress:
        async with aclosing(walk):
            while len(found) < limit and (page := await wait_for(anext(walk, None))):
                found += page.entries
                broken += page.broken
                progress.update(f"reading {noun}s: {len(found):,} so far")
    if broken:
        typer.echo(f"worker: left out {wording.count(broken, noun)} that could not be read", err=True)
    return found


def _may_cancel() -> bool:
    if not sys.stdin.isatty():
        raise SettingsError("there is no terminal to ask for confirmation: use --yes to cancel the job")
    return context.confirm("Cancel this job?")


async def _cancel(settings: "Settings", account: "Account", job: "BulkJob", person: Person) -> None:
    """Cancel a job, put on record who did that and what the API answered, and print both."""
    from worker.cli.client import open_client

    record = partial(_put_on_record, settings, account.id, job.job_id, person)
    try:
        async with open_client(settings, account) as client:
            after = await client.investigate.bulk.cancel(job.job_id)
    except WorkerError as error:
        typer.echo(await record(str(error)), err=True)
        if isinstance(error, NotFound | Rejected):  # it has ended, or is gone, since a person was asked
            raise context.NothingDone(str(error)) from None
        raise
    answer = f"the job is {escape(after.status)}: {_count_copies(after)}"
    typer.echo(f"{answer}\n{await record(answer)}")


async def _put_on_record(settings: "Settings", account: str, id_: str, person: Person, answer: str) -> str:
    """Order that the cancel be recorded with the API's answer; say where it is recorded."""
    now = time.time()
    try:
        async with context.open_ledger(settings) as (ledger, _):
            await ledger.order(account, "cancel", f"bulk:{id_}", person.who, person.because, now, answer=answer)
    except StoreError as error:  # cancelling must work from anywhere; it matters more than its record
        return f"This is in Cloudflare's audit log, but not in the worker's audit records: {error}"
    return f"This goes into the audit records. {person.describe_order()}"


def _describe_order(job: "BulkJob") -> str:
    return f"{_describe_action(job)}, for all mail with {_write_conditions(job)}: {_count_copies(job)}"


def _count_copies(job: "BulkJob") -> str:
    done, found, pending = job.messages_successful, job.total_messages_discovered, job.messages_pending
    return f"{done:,} of {found:,} copies done, {pending:,} pending"


def _write_conditions(job: "BulkJob") -> str:
    """Write what a job looks for; its values may come from an attacker."""
    return ", ".join(
        f"{output.format_cell(name)} {output.format_cell(value)}" for name, value in _list_conditions(job).items()
    )


def _list_conditions(job: "BulkJob") -> dict[str, object]:
    return {name: value for name, value in (job.search_params or {}).items() if value is not None}


def _describe_action(job: "BulkJob") -> str:
    return f"{output.format_cell(job.action_type)} {output.format_cell(job.action_params.destination)}".strip()


def _describe_job(account: str, job: "BulkJob", *, several: bool) -> output.Row:
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
        "search": _list_conditions(job),
        "created_at": job.created_at,
        "started_at": job.started_at,
        "ended_at": job.completed_at,
        "age": wording.format_duration(max(0.0, time.time() - begun)) if begun else "",
        "what": [
            part
            for part in (_describe_action(job), job.comment, job.status_message, account if several else "")
            if part
        ],
    }


def _describe_message(one: "BulkMessage") -> output.Row:
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
