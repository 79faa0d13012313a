"""`worker demo`: an outbreak arrives in an emulated account, and the daemon deals with it before your eyes."""

import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import context, output, run
from worker.errors import SettingsError

if TYPE_CHECKING:
    from worker.cli.demo_story import Story
    from worker.cli.demo_world import Figures
    from worker.daemon import App
    from worker.sandbox import World
    from worker.settings import Settings

SPARE = "127.0.0.1:0"
GATHER_NOTICES = 3.0
"""Seconds, so that nobody has to wait a minute for the last notice."""
FIRST_RULE = "README.md#a-rule-in-ten-lines"
STOPPED = "Stopped before the outbreak was over; the figures are not final."


def demo(
    *,
    serve: Annotated[bool, typer.Option("--serve", help="Keep running afterwards, until Ctrl-C.")] = False,
    as_json: context.Json = False,
) -> None:
    """Watch an outbreak arrive and a worker deal with it.

    Start here: it needs no account, no token and no network, and takes half a minute. A worker with the rules in rules/
    runs on an emulated account; the demo tells the story of one message and prints what was measured. Ends with 1 if
    an action happened twice or was not proved, malicious mail was left in an inbox, a gap is open, or it was stopped
    early.

    Example: worker demo
    """
    rules = Path(os.environ.get("WORKER_RULES", "rules"))
    if not rules.is_dir():
        raise SettingsError(f"there is no folder {rules} here: run the demo in the repository, or set WORKER_RULES")
    listen = os.environ.get("WORKER_LISTEN", "127.0.0.1:8080" if serve else SPARE)
    with TemporaryDirectory(prefix="worker-demo-") as folder:
        figures, stopped = context.wait(_play(Path(folder), rules, listen, on=serve, quietly=as_json))
    if as_json:
        output.print_json(figures)
    context.exit_on_finding(stopped or not figures.is_good)


async def _play(folder: Path, rules: Path, listen: str, *, on: bool, quietly: bool) -> "tuple[Figures, bool]":
    """Let the outbreak arrive while the daemon runs, wait for proof, and measure; tell whether it was stopped early."""
    from worker.cli import demo_world

    async with demo_world.serve_account(folder, rules, listen) as (world, settings), _run_daemon(settings) as running:
        app, url = running
        since = time.time()
        await _watch(app, world, quietly=quietly)
        figures, stopped = await demo_world.measure(app, world, since), app.stopping.is_set()
        story = await _tell_story(app, since)
        print_report(story.lines, figures, stopped=stopped, quietly=quietly)
        if on and not stopped:
            heading = f"\nStill running at {url} until Ctrl-C. In a second terminal:"
            _print_lines(heading, *explain_looking(settings.store_url, url, story.entry), err=quietly)
            await app.stopping.wait()
        elif not (stopped or quietly):
            _print_lines("\nNext:", *explain_next())
    return figures, stopped


@asynccontextmanager
async def _run_daemon(settings: "Settings") -> "AsyncIterator[tuple[App, str]]":
    """Run the daemon while the block runs; yield it with the address it listens at."""
    from worker import daemon
    from worker.telemetry.writer import Nowhere

    with run.open_outlets(settings) as outlets:
        async with (
            daemon.open_app(settings, outlets._replace(records=Nowhere()), gather_notices=GATHER_NOTICES) as app,
            daemon.stop_on_signals(app),
            daemon.serve(app) as url,
            daemon.run_loops(app),
        ):
            yield app, url


async def _watch(app: "App", world: "World", *, quietly: bool) -> None:
    """Let the outbreak arrive and wait for proof, with the progress on stderr."""
    from worker.cli import demo_world

    if not quietly:
        typer.echo(f"the account holds {demo_world.HISTORY:,} messages of the last hour", err=True)
    with show_progress(demo_world.ARRIVALS, quietly=quietly) as on_progress:
        await demo_world.send_outbreak(world, on_progress, app.stopping)
        await demo_world.wait_until_quiet(app, time.time())


ARRIVING, PROVING = "an outbreak arrives", "everything has arrived; waiting for proof"


@contextmanager
def show_progress(total: int, *, quietly: bool) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on a terminal, and a few lines of text elsewhere; yield what reports progress."""
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
    if arrived % (total // 4) == 0:
        typer.echo(PROVING if arrived == total else f"{ARRIVING}: {arrived} of {total} messages", err=True)


def print_report(story: Sequence[str], figures: "Figures", *, stopped: bool, quietly: bool) -> None:
    """Print the story of one message and the figures; of a demo that was stopped, that the figures are not final."""
    if stopped:
        _print_lines(STOPPED, "", err=quietly)
    if quietly:
        return
    if story and not stopped:
        _print_lines("One message, as its audit records tell it (times in UTC):", "", *story, "")
    _print_figures(figures)


async def _tell_story(app: "App", since: float) -> "Story":
    from worker.cli.demo_story import tell_story

    (worker,) = app.workers
    return await tell_story(app.services.ledger, worker.account, since)


def _print_figures(figures: "Figures") -> None:
    output.print_entries(figures.entries)
    typer.echo()
    output.print_table(("measured", "figure"), list(list_figures(figures)))


def list_figures(f: "Figures") -> Iterator[tuple[str, object]]:
    """Yield each figure with its name; the last four must be 0, 0, 0 and none."""
    yield "messages and reports read, with repeats", f"{f.messages_read:,}"
    yield "of which new (clean mail is not read)", f"{f.new_messages:,}"
    yield "decisions", f.decisions
    yield "senders of malicious mail that were blocked", f.senders_blocked
    yield "left to a person: nothing proves who sent it", f.unproved_senders_waiting
    yield "left to a person: wrote clean mail before", f.known_senders_waiting
    asked = f"{f.verdicts_granted} granted, {f.verdicts_rejected} rejected, {f.verdicts_undecided} not decided yet"
    moot = sum(states.get("moot", 0) for states in f.entries.values())
    yield "moot: done before, or the mail met a block of ours", moot
    yield "other verdicts that were asked for", asked
    yield "API calls", f.api_calls
    yield "API calls per 1,000 messages read", f.calls_per_1000_messages
    yield "API calls per 1,000 actions", f.calls_per_1000_actions
    yield "time to action, p50 / p99", f"{f.visible_to_answered_p50} s / {f.visible_to_answered_p99} s"
    yield "time to proof, p50 / p99", f"{f.answered_to_proved_p50} s / {f.answered_to_proved_p99} s"
    yield "effects that happened twice", f.repeated_effects
    yield "malicious mail left in inboxes", f.left_in_inboxes
    yield "actions not proved", f.unproved
    yield "open gaps", f.open_gaps or "none"


def _print_lines(*lines: str, err: bool = False) -> None:
    for line in lines:
        typer.echo(line, err=err)


def explain_next() -> list[str]:
    """Return what to try after the demo."""
    worker = find_command()
    return _align({
        f"{worker} demo --serve": "the same, and it goes on: look at it from a second terminal",
        f"{worker} sandbox": "an emulated account to try your own rules on",
        FIRST_RULE: f"a rule of your own, then: {worker} check",
    })  # fmt: skip


def explain_looking(store_url: str, url: str, entry: str) -> list[str]:
    """Return how a second terminal looks at the demo while it goes on, and at one entry if there is any."""
    worker = find_command()
    settings = [f"  export WORKER_STORE_URL={store_url}", f"  export WORKER_LISTEN={url.partition('//')[2]}"]
    steps = {f"{worker} status": "readiness and reasons, what was done, what is waiting"}
    if entry:
        steps[f"{worker} audit query --entry {entry}"] = "what was done to one message, and why"
    return settings + _align(steps | {f"curl {url}/metrics": "metrics for Prometheus"})


def _align(steps: dict[str, str]) -> list[str]:
    width = max(map(len, steps))
    return [f"  {command:{width}}  {what}" for command, what in steps.items()]


def find_command() -> str:
    """Return how this program is called here; `make demo` runs it from a folder that is not on the PATH."""
    beside = Path(sys.executable).with_name("worker")
    return "worker" if shutil.which("worker") or not beside.exists() else os.path.relpath(beside)
