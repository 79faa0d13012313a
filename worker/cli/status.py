"""`worker status`: whether a worker runs and is ready, and what the ledger holds, also when none runs."""

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import typer

from worker.cli import context, output
from worker.cli.brakes import BRAKES, brake_row
from worker.escaping import escaped

if TYPE_CHECKING:
    from worker.ledger.values import Coverage, Mishap
    from worker.settings import Listen, Settings

PATIENCE = 2.0
"""Seconds for the whole answer of whoever listens there."""
LARGEST = 1 << 20
"""Bytes of an answer."""
LONGEST, MOST = 1000, 50
"""Characters of one reason, and how many reasons are shown."""
SOURCES = ("source", "since", "until", "open gaps")
FAILING = ("rule", "failures", "last on mail of", "problem")


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the daemon says of itself, or what is said in its place."""

    at: str
    answers: bool
    ready: bool = False
    why: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def status(*, as_json: context.Json = False) -> None:
    """Show whether the worker is ready, what was done, what waits, and how far all is read.

    Asks the worker that listens at WORKER_LISTEN, and looks into the ledger, which also works when none runs.

    Example: worker status
    """
    settings = context.settings()
    accounts, daemon = context.wait(_gathered(settings))
    if as_json:
        output.document({"worker": daemon, "accounts": accounts})
        return
    _tell_daemon(daemon)
    for account in accounts:
        _tell(account)
    if not accounts:
        typer.echo("nothing is read yet, and nothing entered")


async def _gathered(settings: "Settings") -> tuple[list[dict[str, Any]], Told]:
    """Gather what the ledger holds, and what the daemon says."""
    return await _status(settings), await asked(settings.listen)


async def asked(listen: "Listen", patience: float = PATIENCE) -> Told:
    """Ask the daemon how it is; whoever else answers there costs two seconds and a megabyte at most."""
    from aiohttp import ClientConnectorError, ClientError, ClientSession

    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    at = f"{host}:{listen.port}"
    try:
        async with (
            asyncio.timeout(patience),
            ClientSession(auto_decompress=False) as web,
            web.get(f"http://{at}/readyz", allow_redirects=False) as answer,
        ):
            return _understood(at, await _body(answer.content))
    except TimeoutError:
        return _silent(at, f"within {patience:g} s")
    except ClientConnectorError:
        return _silent(at, "(nobody listens there)")
    except (ClientError, ValueError):
        return _silent(at, "(something else does)")


async def _body(content: Any) -> bytes:  # noqa: ANN401 (aiohttp's StreamReader, which is imported late)
    """Read an answer to its end, or until it is longer than any of ours."""
    try:
        return bytes(await content.readexactly(LARGEST))
    except asyncio.IncompleteReadError as whole:
        return whole.partial


def _understood(at: str, body: bytes) -> Told:
    """Read what the daemon said; raises ValueError when it was not the daemon."""
    from worker.web import Readiness

    try:
        found = msgspec.json.decode(body, type=Readiness)
    except RecursionError:
        raise ValueError(at) from None
    return Told(at=at, answers=True, ready=found.ready, why=_harmless(found.why), warnings=_harmless(found.warnings))


def _silent(at: str, how: str) -> Told:
    """Say that there is nobody to ask, and where to look."""
    why = f"no worker answers at {at} {how}: see whether one runs, and whether with the same WORKER_LISTEN"
    return Told(at=at, answers=False, why=(why,))


def _harmless(sentences: tuple[str, ...]) -> tuple[str, ...]:
    """Show what came over a socket as harmless as everything else."""
    return tuple(escaped(" ".join(sentence.splitlines()), LONGEST) for sentence in sentences[:MOST])


async def _status(settings: "Settings") -> list[dict[str, Any]]:
    """Gather what the ledger holds, per account."""
    from worker.intake.sources import SOURCES, Messages

    found = []
    async with context.ledger(settings) as (ledger, accounts):
        for account in accounts:
            sources = [(one, await ledger.coverage(account, one.name)) for one in SOURCES]
            counts, mishaps = await ledger.counts(account, time.time()), await ledger.mishaps(account)
            found.append({
                "account": account,
                "entries": counts,
                "waiting": sum(states.get("waiting", 0) for states in counts.values()),
                "sources": [_source(one.name, read) for one, read in sources if one is Messages or read.since],
                "brakes": [brake_row(account, each) for each in await ledger.brakes(account)],
                "unreadable records": len(await ledger.broken(account)),
                "rule failures": len(mishaps),
                "failing rules": _failing(mishaps),
                "bytes": await ledger.sizes(),
            })  # fmt: skip
    return found


def _source(name: str, coverage: "Coverage") -> output.Row:
    """Describe how far a source is read."""
    from worker.intake.coverage import find_end, find_gaps, find_horizon

    gaps = find_gaps(coverage.closed, coverage.since, find_horizon(coverage))
    return {
        "source": name,
        "since": output.moment(coverage.since),
        "until": output.moment(find_end(coverage)),
        "open gaps": len(gaps),
    }


def _failing(mishaps: "tuple[Mishap, ...]") -> list[output.Row]:
    """Describe each rule that failed by its last failure; one that is fixed since is still on record."""
    last = {mishap.rule: mishap for mishap in mishaps}
    counts = Counter(mishap.rule for mishap in mishaps)
    return [
        {
            "rule": rule,
            "failures": counts[rule],
            "last on mail of": mishap.cause.partition("/")[0],
            "problem": escaped(mishap.problem, LONGEST),
        }
        for rule, mishap in last.items()
    ]


def _tell_daemon(daemon: Told) -> None:
    """Print how the daemon is."""
    if daemon.answers:
        typer.echo(f"the worker at {daemon.at} is {'ready' if daemon.ready else 'not ready:'}")
    for sentence in daemon.why:
        typer.echo(f"  {sentence}" if daemon.answers else sentence)
    for sentence in daemon.warnings:
        typer.echo(f"warning: {sentence}")
    typer.echo()


def _tell(account: dict[str, Any]) -> None:
    """Print what the ledger holds of one account."""
    typer.echo(f"account {account['account']}, {account['waiting']} waiting for a person\n")
    _tell_entries(account["entries"])
    typer.echo()
    rows = [{**row, "until": row["until"] or "nothing is read yet"} for row in account["sources"]]
    output.listing(rows, SOURCES, as_json=False, empty="")
    typer.echo()
    output.listing(account["brakes"], BRAKES, as_json=False, empty="no brake is on")
    typer.echo()
    output.listing(account["failing rules"], FAILING, as_json=False, empty="no rule failed")
    typer.echo(f"{account['unreadable records']} unreadable records")
    typer.echo(f"ledger {sum(account['bytes'].values()) / 1e6:.1f} MB")


def _tell_entries(entries: dict[str, dict[str, int]]) -> None:
    """Print how many entries of each action are in each state."""
    states = sorted({state for counts in entries.values() for state in counts})
    rows = [(kind, *(counts.get(state, 0) for state in states)) for kind, counts in entries.items()]
    if rows:
        output.table(("action", *states), rows)
    else:
        typer.echo("nothing has been entered yet")
