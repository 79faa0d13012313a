"""The command line. Each command imports what it needs when it runs, so that --help is there at once."""

import sys

import typer

from worker.cli import approvals, audit, brakes, bulk, context, demo, gaps, rules, sandbox, status
from worker.cli import run as running

app = typer.Typer(
    name="worker",
    help="Watches Cloudflare Email Security, acts as the rules in rules/ say, proves what was done, and records why.",
    epilog="Settings come from the environment: `worker run --help` lists them. Exit codes: 0 done, 1 found something "
    "(a gap, a difference, a broken chain), 2 usage or settings, 3 could not (API, ledger).",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


app.command()(demo.demo)
app.command()(sandbox.sandbox)
app.command()(rules.check)
app.command()(rules.rules)
app.command(cls=running.WithSettings)(running.run)
app.command()(status.status)
app.command()(gaps.gaps)
app.command()(approvals.waiting)
app.command()(approvals.approve)
app.command()(approvals.refuse)
app.command()(brakes.brake)
app.add_typer(bulk.app, name="bulk")
app.add_typer(audit.app, name="audit")


def main() -> None:
    """Run the command line and end the process with its exit code."""
    sys.exit(context.run(app, sys.argv[1:]))
