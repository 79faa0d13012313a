"""`worker demo`: an outbreak arrives in an emulated account, and the daemon deals with it before your eyes."""

import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import context, output, run
from worker.errors import SettingsError

if TYPE_CHECKING:
    from worker.cli.demo_world import Figures
    from worker.daemon import House
    from worker.sandbox import World
    from worker.settings import Settings

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
        output.print_json(figures)
    context.exit_on_finding(not figures.is_good)


async def _play(folder: Path, rules: Path, listen: str, *, on: bool, quietly: bool) -> "Figures":
    """Let the outbreak arrive while the daemon runs, wait for proof, and measure."""
    from worker.cli import demo_world

    async with demo_world.serve_account(folder, rules, listen) as (world, settings), _run_daemon(settings) as running:
        house, url = running
        since = time.time()
        await _watch(house, world, quietly=quietly)
        figures = await demo_world.measure(house, world, since)
        if not quietly:
            _print_figures(figures)
        if on:
            typer.echo(f"\nstill running, see {url}/readyz and {url}/metrics; Ctrl-C ends it")
            await house.stopping.wait()
    return figures


@asynccontextmanager
async def _run_daemon(settings: "Settings") -> "AsyncIterator[tuple[House, str]]":
    """Run the daemon while the block runs; yield it with the address it listens at."""
    from worker import daemon

    with run.open_outlets(settings) as outlets:
        async with (
            daemon.opened(settings, outlets._replace(records=BytesIO()), gather_notices=GATHER_NOTICES) as house,
            daemon.stopped_by_signals(house),
            daemon.served(house) as url,
            daemon.working(house),
        ):
            yield house, url


async def _watch(house: "House", world: "World", *, quietly: bool) -> None:
    """Show how far it is while the outbreak arrives and until everything is proved."""
    from worker.cli import demo_world

    if not quietly:
        typer.echo(f"{demo_world.HISTORY:,} messages of the last hour lie there, more arrive", err=True)
    with show_progress(demo_world.ARRIVALS, quietly=quietly) as on_progress:
        await demo_world.send_outbreak(world, on_progress, house.stopping)
        await demo_world.wait_until_quiet(house, time.time())


ARRIVING, PROVING = "an outbreak arrives", "all has arrived, waiting for proof"


@contextmanager
def show_progress(total: int, *, quietly: bool) -> Iterator[Callable[[int], None]]:
    """Show a bar that fills while mail arrives and then waits for proof; plain words where there is no terminal."""
    if quietly or not sys.stderr.isatty():
        yield lambda arrived: None if quietly else _print_progress(arrived, total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(ARRIVING, total=total)
        yield lambda arrived: bar.update(task, completed=arrived, description=PROVING if arrived == total else ARRIVING)


def _print_progress(arrived: int, total: int) -> None:
    """Say how far it is, a few times."""
    if arrived % (total // 4) == 0:
        typer.echo(PROVING if arrived == total else f"{ARRIVING}: {arrived} of {total} more messages", err=True)


def _print_figures(figures: "Figures") -> None:
    states = sorted({state for counts in figures.entries.values() for state in counts})
    rows = [(kind, *(counts.get(state, "") for state in states)) for kind, counts in figures.entries.items()]
    output.print_table(("action", *states), rows)
    typer.echo()
    output.print_table(("measured", "figure"), list(_list_figures(figures)))


def _list_figures(f: "Figures") -> Iterator[tuple[str, object]]:
    yield "messages and reports read, with repeats", f"{f.messages_read:,}"
    yield "of which new (clean mail is not read)", f"{f.new_messages:,}"
    yield "decisions", f.decisions
    yield "API calls", f.api_calls
    yield "API calls per 1,000 messages read", f.calls_per_1000_messages
    yield "API calls per 1,000 actions", f.calls_per_1000_actions
    yield "visible to answered, p50 / p99", f"{f.visible_to_answered_p50} s / {f.visible_to_answered_p99} s"
    yield "answered to proved, p50 / p99", f"{f.answered_to_proved_p50} s / {f.answered_to_proved_p99} s"
    yield "effects that happened twice", f.repeated_effects
    yield "malicious mail left in inboxes", f.left_in_inboxes
    yield "actions not proved", f.unproved
    yield "open gaps", f.open_gaps or "none"
