"""`worker status`: whether a worker runs and is ready, and what the ledger holds, even when none runs."""

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import typer

from worker.cli import context, output
from worker.cli.brakes import BRAKES, describe_brake
from worker.cli.overview import describe_overview, tell_overview
from worker.escaping import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.ledger.ledger import Ledger
    from worker.ledger.values import Coverage, Mishap
    from worker.settings import Listen, Settings

PATIENCE = 2.0
"""Seconds for the whole answer of whoever listens there."""
LARGEST = 1 << 20
"""Bytes of an answer."""
LONGEST, MOST = 1000, 50
"""Characters of one reason, and how many reasons are shown."""
SOURCE_COLUMNS = ("source", "since", "until", "open gaps")
FAILURE_COLUMNS = ("rule", "failures", "last on mail of", "problem")


class DaemonStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What the daemon says of itself, or what is said in its place when it does not answer."""

    at: str
    answers: bool
    ready: bool = False
    why: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def status(*, as_json: context.Json = False) -> None:
    """Show readiness, ceiling, brakes, what is waiting and what was done.

    Start here when something seems wrong. Asks the worker that listens at WORKER_LISTEN whether it is ready, and reads
    from the ledger, even when no worker runs, how everything stands: ceiling, brakes, what waits, what is held or
    unreadable, version and rules; then what was done, how far each source has been read, and which rules have failed.
    Ends with 0 whatever it finds.

    Example: worker status
    """
    settings = context.read_settings()
    accounts, daemon = context.wait(_read_status(settings))
    if as_json:
        output.print_json({"worker": daemon, "accounts": accounts})
        return
    _print_daemon(daemon)
    for account in accounts:
        _print_account(account)
    if not accounts:
        typer.echo("nothing has been read yet")


async def _read_status(settings: "Settings") -> tuple[list[dict[str, Any]], DaemonStatus]:
    async with context.read_ledger(settings) as (ledger, names):
        accounts = [await _describe_account(ledger, name) for name in names]
    return accounts, await ask_daemon(settings.listen)


async def ask_daemon(listen: "Listen", patience: float = PATIENCE) -> DaemonStatus:
    """Ask the daemon how it is; anything else that answers there costs two seconds and a megabyte at most."""
    from aiohttp import ClientConnectorError, ClientError

    at = f"[{listen.host}]:{listen.port}" if ":" in listen.host else f"{listen.host}:{listen.port}"
    try:
        return _parse_answer(at, await _fetch(f"http://{at}/readyz", patience))
    except TimeoutError:
        return _describe_silence(at, f"within {patience:g} s")
    except ClientConnectorError:
        return _describe_silence(at, "(nothing listens there)")
    except (ClientError, ValueError):
        return _describe_silence(at, "(something else answers there)")


async def _fetch(url: str, patience: float) -> bytes:
    """Fetch an answer, or as much of it as is longer than any of the daemon's."""
    from aiohttp import ClientSession

    async with (
        asyncio.timeout(patience),
        ClientSession(auto_decompress=False) as web,
        web.get(url, allow_redirects=False) as answer,
    ):
        try:
            return bytes(await answer.content.readexactly(LARGEST))
        except asyncio.IncompleteReadError as whole:
            return whole.partial


def _parse_answer(at: str, body: bytes) -> DaemonStatus:
    """Read what the daemon said; raises ValueError when it was not the daemon."""
    from worker.web import Readiness

    try:
        found = msgspec.json.decode(body, type=Readiness)
    except RecursionError:
        raise ValueError(at) from None
    why, warnings = _make_harmless(found.why), _make_harmless(found.warnings)
    return DaemonStatus(at=at, answers=True, ready=found.ready, why=why, warnings=warnings)


def _describe_silence(at: str, how: str) -> DaemonStatus:
    why = f"no worker answers at {at} {how}: start one, or set WORKER_LISTEN to the address of the one that runs"
    return DaemonStatus(at=at, answers=False, why=(why,))


def _make_harmless(sentences: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(escape(" ".join(sentence.splitlines()), LONGEST) for sentence in sentences[:MOST])


async def _describe_account(ledger: "Ledger", account: str) -> dict[str, Any]:
    """Describe what the ledger holds of an account."""
    counts, mishaps = await ledger.counts(account, time.time()), await ledger.list_mishaps(account)
    return {
        "account": account,
        **await describe_overview(ledger, account),
        "entries": counts,
        "waiting": sum(states.get("waiting", 0) for states in counts.values()),
        "sources": await _describe_sources(ledger, account),
        "brakes": [describe_brake(account, each) for each in await ledger.brakes(account)],
        "rule failures": len(mishaps),
        "failing rules": _describe_failures(mishaps),
        "bytes": await ledger.sizes(),
    }


async def _describe_sources(ledger: "Ledger", account: str) -> list[output.Row]:
    """Describe the sources; all but messages are read only while a rule is about them."""
    from worker.intake.sources import SOURCES, Messages

    sources = [(source, await ledger.coverage(account, source.name)) for source in SOURCES]
    return [_describe_source(one.name, read) for one, read in sources if one is Messages or read.since]


def _describe_source(name: str, coverage: "Coverage") -> output.Row:
    from worker.intake.coverage import find_end, find_gaps, find_horizon

    return {
        "source": name,
        "since": output.to_datetime(coverage.since),
        "until": output.to_datetime(find_end(coverage)),
        "open gaps": len(find_gaps(coverage.closed, coverage.since, find_horizon(coverage))),
    }


def _describe_failures(mishaps: "Sequence[Mishap]") -> list[output.Row]:
    """Describe each rule that failed by its last failure; one that was fixed since is still on record."""
    last = {mishap.rule: mishap for mishap in mishaps}
    counts = Counter(mishap.rule for mishap in mishaps)
    return [
        {
            "rule": rule,
            "failures": counts[rule],
            "last on mail of": mishap.cause.partition("/")[0],
            "problem": escape(mishap.problem, LONGEST),
        }
        for rule, mishap in last.items()
    ]


def _print_daemon(daemon: DaemonStatus) -> None:
    if daemon.answers:
        typer.echo(f"the worker at {daemon.at} is {'ready' if daemon.ready else 'not ready:'}")
    for sentence in daemon.why:
        typer.echo(f"  {sentence}" if daemon.answers else sentence)
    for sentence in daemon.warnings:
        typer.echo(f"warning: {sentence}")
    typer.echo()


def _print_account(account: dict[str, Any]) -> None:
    typer.echo(f"account {account['account']}")
    output.print_card(tell_overview(account))
    output.print_entries(account["entries"])
    typer.echo()
    rows = [{**row, "until": row["until"] or "not read yet"} for row in account["sources"]]
    output.print_rows(rows, SOURCE_COLUMNS, as_json=False, empty="")
    typer.echo()
    if account["brakes"]:
        typer.echo("brakes that are on:")
    output.print_rows(account["brakes"], BRAKES, as_json=False, empty="no brake is on")
    typer.echo()
    output.print_rows(account["failing rules"], FAILURE_COLUMNS, as_json=False, empty="no rule has failed")
    typer.echo(f"ledger size: {sum(account['bytes'].values()) / 1e6:.1f} MB")
