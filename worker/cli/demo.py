"""`worker demo`: an outbreak arrives in an emulated account and is dealt with, before your eyes."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import context, output, run
from worker.errors import SettingsError

if TYPE_CHECKING:
    from worker.cli.demo_world import Figures

SPARE = "127.0.0.1:0"
GATHER_NOTICES = 3.0
"""Seconds, so that nobody has to wait a minute for the last notice."""


def demo(
    *,
    serve: Annotated[bool, typer.Option("--serve", help="Go on afterwards, with /metrics, until Ctrl-C.")] = False,
    as_json: context.Json = False,
) -> None:
    """Watch an outbreak arrive in an emulated account.

    A worker with the rules in rules/ deals with it, and proves what it did. Needs no account, no token and no network.
    Ends with 0 only if everything that was wanted is proved.

    Example: worker demo
    """
    rules = Path(os.environ.get("WORKER_RULES", "rules"))
    if not rules.is_dir():
        raise SettingsError(f"there is no folder {rules} here: run it in the repository, or set WORKER_RULES")
    listen = os.environ.get("WORKER_LISTEN", "127.0.0.1:8080" if serve else SPARE)
    with TemporaryDirectory(prefix="worker-demo-") as folder:
        figures = context.wait(_play(Path(folder), rules, listen, on=serve, quietly=as_json))
    if as_json:
        output.document(figures)
    context.found(not figures.good)


async def _play(folder: Path, rules: Path, listen: str, *, on: bool, quietly: bool) -> "Figures":
    """Let the outbreak arrive while the daemon runs, wait for proof, and measure."""
    from worker import daemon
    from worker.cli import demo_world

    async with demo_world.stage(folder, rules, listen) as (world, settings):
        with run.outlets(settings) as outlets:
            async with (
                daemon.open_app(settings, outlets._replace(records=BytesIO()), gather_notices=GATHER_NOTICES) as app,
                daemon.stop_on_signals(app),
                daemon.serve(app) as url,
                daemon.run_loops(app),
            ):
                since = time.time()
                if not quietly:
                    typer.echo(f"{demo_world.HISTORY:,} messages of the last hour lie there, more arrive", err=True)
                with progress(demo_world.ARRIVALS, quietly=quietly) as told:
                    await demo_world.outbreak(world, told, app.stopping)
                    await demo_world.quiet(app, time.time())
                figures = await demo_world.figures(app, world, since)
                if not quietly:
                    _tell(figures)
                if on:
                    typer.echo(f"\nstill running, see {url}/readyz and {url}/metrics; Ctrl-C ends it")
                    await app.stopping.wait()
    return figures


ARRIVING, PROVING = "an outbreak arrives", "all has arrived, waiting for proof"


@contextmanager
def progress(total: int, *, quietly: bool) -> Iterator[Callable[[int], None]]:
    """Show a bar that fills while mail arrives and then waits for proof; plain words where there is no terminal."""
    if quietly or not sys.stderr.isatty():
        yield lambda arrived: None if quietly else _in_words(arrived, total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(ARRIVING, total=total)
        yield lambda arrived: bar.update(task, completed=arrived, description=PROVING if arrived == total else ARRIVING)


def _in_words(arrived: int, total: int) -> None:
    """Say how far it is, a few times."""
    if arrived % (total // 4) == 0:
        typer.echo(PROVING if arrived == total else f"{ARRIVING}: {arrived} of {total} more messages", err=True)


def _tell(figures: "Figures") -> None:
    """Print what was measured."""
    states = sorted({state for counts in figures.entries.values() for state in counts})
    rows = [(kind, *(counts.get(state, "") for state in states)) for kind, counts in figures.entries.items()]
    output.table(("action", *states), rows)
    typer.echo()
    f = figures
    output.table(
        ("measured", "figure"),
        [
            ("messages and reports read, with repeats", f"{f.messages_read:,}"),
            ("of which new (clean mail is not read)", f"{f.new_messages:,}"),
            ("decisions", f.decisions),
            ("API calls", f.api_calls),
            ("API calls per 1,000 messages read", f.calls_per_1000_messages),
            ("API calls per 1,000 actions", f.calls_per_1000_actions),
            ("visible to answered, p50 / p99", f"{f.visible_to_answered_p50} s / {f.visible_to_answered_p99} s"),
            ("answered to proved, p50 / p99", f"{f.answered_to_proved_p50} s / {f.answered_to_proved_p99} s"),
            ("effects that happened twice", f.repeated_effects),
            ("malicious mail left in inboxes", f.left_in_inboxes),
            ("actions not proved", f.unproved),
            ("open gaps", f.open_gaps or "none"),
        ],
    )
