"""`worker run`: the daemon."""

import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from worker.cli import context, output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.daemon import Summary
    from worker.settings import Settings
    from worker.telemetry import Outlets


class WithSettings(TyperCommand):
    """A command whose help ends with every setting."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002 (the library's private classes)
        """Write the table of settings, which are imported only for whoever asks."""
        from worker.settings import describe

        with formatter.section("Settings, from the environment or from files in WORKER_SECRETS"):
            formatter.write_dl([
                (row.name, f"{row.meaning} [{row.default}]" if row.default else row.meaning) for row in describe()
            ])  # fmt: skip


def run(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="Read what is due, act, wait for proof, print a summary, and end.")
    ] = False,
    as_json: context.Json = False,
) -> None:
    """Watch the account and do what the rules say.

    Ends in order on SIGTERM or Ctrl-C, at once on a second one. Audit records go to stdout, operations logs to stderr.
    Without WORKER_CEILING the worker only observes.

    Example: WORKER_CEILING=approve worker run
    """
    from worker import daemon

    settings = context.settings()
    with outlets(settings) as opened:
        if not once:
            context.wait(daemon.run(settings, opened))
            return
        summary = context.wait(daemon.run_once(settings, opened))
    tell(summary, as_json=as_json)
    context.found(summary.open_gaps or summary.unsettled)


@contextmanager
def outlets(settings: "Settings") -> "Iterator[Outlets]":
    """Open the two streams: nothing that is secret gets into either, also not from libraries that log by themselves."""
    from worker.telemetry import Libraries, Metrics, Outlets, open_log

    accounts = settings.accounts()
    held = [settings.token, settings.key, *settings.channels.values()]
    held += [secret for account in accounts for secret in (account.token, account.key)]
    secrets = {secret.get_secret_value().strip() for secret in held if secret} - {"log://"}
    log = open_log(sys.stderr, level=settings.log_level, secrets=secrets)
    libraries = Libraries(log)
    logging.getLogger().addHandler(libraries)
    try:
        yield Outlets(log, sys.stdout.buffer, Metrics())
    finally:
        logging.getLogger().removeHandler(libraries)


def tell(summary: "Summary", *, as_json: bool) -> None:
    """Print what a round came to."""
    if as_json:
        output.document(summary)
        return
    rows = [(kind, state, n) for kind, states in summary.entries.items() for state, n in states.items()]
    output.table(("action", "state", "entries"), rows)
    output.table(("operation", "calls"), list(summary.calls.items()))
    gaps = f"{summary.open_gaps} gaps are open" if summary.open_gaps else "no gap is open"
    typer.echo(f"{gaps}; {summary.unsettled or 'no'} entries are not settled yet")
