"""The command line. Each command imports what it needs when it runs, so that --help is quick."""

import gc
import sys
from typing import Annotated

import typer

from worker.cli import (
    approvals,
    audit,
    brakes,
    bulk,
    context,
    demo,
    gaps,
    held,
    locales,
    rules,
    sandbox,
    show,
    status,
    waiting,
)
from worker.cli import run as running
from worker.cli.help import WithArguments
from worker.walls import hide

MANY = 50_000
"""New objects after which Python looks for garbage: an import makes many and no garbage, and to look took a fifth."""
app = typer.Typer(
    name="worker",
    help="Email Security worker: watches a Cloudflare Email Security account, carries out what your rules say, proves "
    "every action and records why.\n\nStart with `worker demo`, which needs no account. Then set the account and run "
    "`worker check --live` and `worker run`, which only observes until you raise WORKER_CEILING.",
    epilog="Settings come from the environment; `worker run --help` lists them. Exit codes: 0 done; 1 found something "
    "a person should see, such as a gap or a broken chain; 2 wrong usage, settings or rules; 3 the API or the ledger "
    "could not be used.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def print_version(wanted: bool) -> None:  # noqa: FBT001 (as typer calls it)
    """Print the version and end, when that is wanted."""
    if wanted:
        from importlib.metadata import version

        typer.echo(f"worker {version('worker')}")
        raise typer.Exit


@app.callback()
def take_options(
    *,
    shown: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Take the options that belong to no command."""


app.command()(demo.demo)
app.command()(sandbox.sandbox)
app.command(cls=WithArguments)(rules.check)
app.command()(rules.rules)
app.command(cls=running.WithSettings)(running.run)
app.command()(status.status)
app.command(cls=WithArguments)(gaps.gaps)
app.command(cls=WithArguments)(show.show)
app.command(cls=WithArguments)(held.held)
app.command(cls=WithArguments)(waiting.waiting)
app.command(cls=WithArguments)(approvals.approve)
app.command(cls=WithArguments)(approvals.refuse)
app.command(cls=WithArguments)(brakes.brake)
app.add_typer(bulk.app, name="bulk")
app.add_typer(audit.app, name="audit")


def main() -> None:
    """Run the command line and end the process with its exit code.

    What the environment and the settings hold is no other process's business, from before they are read.
    """
    gc.set_threshold(MANY)
    locales.use_utf8()
    context.occupy_descriptors()
    hide()
    locales.escape_streams()
    context.end(context.run(app, [locales.read_text(word) for word in sys.argv[1:]]))
