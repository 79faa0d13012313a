"""`worker run`: the daemon."""

import logging
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any, TextIO, TypeVar

import typer
from typer.core import TyperCommand

from worker import wording
from worker.cli import context, output
from worker.cli.init import be_init
from worker.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from worker.daemon import Summary
    from worker.settings import Settings
    from worker.telemetry import Outlets


T = TypeVar("T")
LAST_WORDS = 2.0
"""Seconds that the last lines of the log have to leave."""


class WithSettings(TyperCommand):
    """A command whose help ends with every setting."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002 (the library's private classes)
        """Write the table of settings; they are imported here, so that other help is quick."""
        from worker.settings import describe

        with formatter.section("Settings, from the environment or from files in WORKER_SECRETS"):
            formatter.write_dl([
                (row.name, f"{row.meaning} [{row.default}]" if row.default else row.meaning) for row in describe()
            ])  # fmt: skip


def run(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="Take one round: read, act, wait for proof, print a summary, exit.")
    ] = False,
    as_json: context.Json = False,
) -> None:
    """Watch the account and carry out what the rules say.

    The daemon: reads new mail, asks the rules, acts, and reads back proof. SIGTERM or Ctrl-C stops it in order, a
    second one at once. Audit records go to stdout, the operations log to stderr. Without WORKER_CEILING it only
    observes. With --once it ends with 1 if a gap is open, an entry is not settled, or something keeps it from its work.

    Example: WORKER_CEILING=approve worker run
    """
    be_init()  # before anything is imported that the first process does not need
    from worker import daemon

    settings = context.read_settings()
    with open_outlets(settings) as outlets:
        if not once:
            context.wait(_name_broken_pipe(daemon.run(settings, outlets)))
            return
        summary = context.wait(_name_broken_pipe(daemon.run_once(settings, outlets)))
    _print_summary(summary, as_json=as_json)
    context.exit_on_finding(summary.open_gaps or summary.unsettled or bool(summary.reasons))


async def _name_broken_pipe(work: "Coroutine[Any, Any, T]") -> T:
    """Let a broken pipe be an error: for a command that prints, it only means that its reader has seen enough."""
    try:
        return await work
    except BrokenPipeError as error:
        raise WorkerError("the worker ends, because a pipe to another process broke: start it again") from error


@contextmanager
def open_outlets(settings: "Settings") -> "Iterator[Outlets]":
    """Open the two streams: no secret gets into either, not even from libraries that log by themselves."""
    from worker.telemetry import Libraries, LogLines, Metrics, Outlets, open_log
    from worker.telemetry.writer import Writer

    records, written = Writer(_find_descriptor(sys.stdout)), Writer(_find_descriptor(sys.stderr))
    lines = LogLines(written, sys.stderr)
    log = open_log(lines, level=settings.log_level, secrets=_list_secrets(settings))
    libraries = Libraries(log)
    logging.getLogger().addHandler(libraries)
    try:
        yield Outlets(log, records, Metrics(), lines)
    finally:
        logging.getLogger().removeHandler(libraries)
        written.flush(LAST_WORDS)


def _find_descriptor(stream: "TextIO | None") -> int | None:
    """Return where a stream leads; None when it was closed before the process began, or leads nowhere."""
    with suppress(OSError, ValueError):
        return stream.fileno() if stream else None
    return None


def _list_secrets(settings: "Settings") -> set[str]:
    held = [settings.token, settings.key, *settings.channels.values()]
    held += [secret for account in settings.accounts() for secret in (account.token, account.key)]
    return {secret.get_secret_value().strip() for secret in held if secret} - {"log://"}


def _print_summary(summary: "Summary", *, as_json: bool) -> None:
    """Print what a round came to."""
    if as_json:
        output.print_json(summary)
        return
    typer.echo("entries of the ledger, by action and state:")
    output.print_entries(summary.entries)
    typer.echo("\nrequests of this round:")
    output.print_table(("operation", "calls"), list(summary.calls.items()))
    typer.echo()
    typer.echo(f"{_say_missing(summary)}; {_say_unsettled(summary)}")
    for reason in summary.reasons:
        typer.echo(reason)


def _say_unsettled(summary: "Summary") -> str:
    """Say what is under way still, and what waits for people, which ends no round with a finding."""
    waiting = sum(states.get("waiting", 0) for states in summary.entries.values())
    told = (
        [wording.count(summary.unsettled, "entry is", "entries are") + " not settled yet"] if summary.unsettled else []
    )
    waits = wording.count(waiting, "entry waits", "entries wait")
    told += [f"{waits} for a person: see worker waiting"] if waiting else []
    return "; ".join(told) or "all entries are settled"


def _say_missing(summary: "Summary") -> str:
    """Say what nobody has judged; a record that cannot be read is a gap, too, and must not be passed over."""
    told = [wording.count(summary.open_gaps, "open gap")] if summary.open_gaps else []
    told += [f"{wording.count(summary.unreadable, 'record')} cannot be read"] if summary.unreadable else []
    return f"{', '.join(told)}: see worker gaps" if told else "no gap is open"
