"""`worker gaps`: what has not been read yet, and why."""

import time
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from worker import wording
from worker.cli import context, output

if TYPE_CHECKING:
    from worker.intake.sources import Source
    from worker.ledger.ledger import Ledger
    from worker.ledger.values import Coverage
    from worker.settings import Settings

GAPS = ("account", "source", "start", "end", "length", "why")


def gaps(*, as_json: context.Json = False) -> None:
    """List the stretches of time that have not been read yet.

    Use it after an outage, or to prove that nothing was missed: no gap means that everything up to the times printed
    has been read. Ends with 1 if there is a gap.

    Example: worker gaps
    """
    settings = context.read_settings()
    found = context.wait(_list_gaps(settings))
    output.print_rows(found, GAPS, as_json=as_json, empty=f"no gap is open: {context.wait(_say_how_far(settings))}")
    context.exit_on_finding(found)


async def _list_gaps(settings: "Settings") -> list[output.Row]:
    """List the gaps of all sources in all accounts."""
    from worker.intake.sources import SOURCES

    found: list[output.Row] = []
    async with context.read_ledger(settings) as (ledger, accounts):
        for account in accounts:
            for source in SOURCES:
                late = 3 * settings.poll_every * source.pace + settings.request_timeout
                missing = _find_missing(await ledger.coverage(account, source.name), late, _explain_silence(source))
                found += [{"account": account, "source": source.name, **gap} for gap in missing]
    return found


def _explain_silence(source: "type[Source]") -> str:
    """Say what to look at when a source has not been read for too long."""
    from worker.intake.sources import Messages

    needed = "ready" if source is Messages else "does a rule use it"
    return f"nothing was read since: is the worker running, and {needed}?"


def _find_missing(coverage: "Coverage", late: float, silence: str) -> Iterator[dict[str, Any]]:
    """Yield each stretch that is not read: the gaps, and the time since the last read once that is late."""
    from worker.intake.coverage import find_gaps, find_horizon

    end = find_horizon(coverage)
    for start, stop in find_gaps(coverage.closed, coverage.since, end):
        why = [slice_.why for slice_ in coverage.open if slice_.start < stop and slice_.end > start and slice_.why]
        yield _describe_gap(start, stop, why[0] if why else "newer gaps are read first")
    if end and time.time() - end > late:
        yield _describe_gap(end, time.time(), silence)


def _describe_gap(start: float, end: float, why: str) -> dict[str, Any]:
    length = wording.format_duration(end - start)
    return {"start": output.to_datetime(start), "end": output.to_datetime(end), "length": length, "why": why}


async def _say_how_far(settings: "Settings") -> str:
    """Say up to when each source is read: nothing is known about what came later."""
    async with context.read_ledger(settings) as (ledger, accounts):
        several = len(accounts) > 1
        said = [
            f"{name} of {account} {until}" if several else f"{name} {until}"
            for account in accounts
            async for name, until in _read_until(ledger, account)
        ]
    return ", ".join(said) or "nothing has been read yet"


async def _read_until(ledger: "Ledger", account: str) -> AsyncIterator[tuple[str, str]]:
    """Yield each source and up to when it is read; all but messages are read only while a rule is about them."""
    from worker.intake.coverage import find_end
    from worker.intake.sources import SOURCES, Messages

    for source in SOURCES:
        until = find_end(await ledger.coverage(account, source.name))
        if until or source is Messages:
            yield source.name, _describe_until(until)


def _describe_until(until: float) -> str:
    at = output.to_datetime(until)
    ago = max(0, round(time.time() - until))
    return f"are read up to {at:%H:%M:%SZ} ({wording.format_duration(ago)} ago)" if at else "have not been read yet"
