"""What is not read yet."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from worker.cli import context, output

if TYPE_CHECKING:
    from worker.ledger.values import Coverage
    from worker.settings import Settings

GAPS = ("account", "source", "start", "end", "length", "why")


def gaps(*, as_json: context.Json = False) -> None:
    """List every stretch of time that is not read yet.

    Nothing listed is the proof that nothing was missed up to the times that are named then; ends with 1 when there is
    something.

    Example: worker gaps
    """
    settings = context.settings()
    found = context.wait(_gaps(settings))
    output.listing(found, GAPS, as_json=as_json, empty=f"no gap is open: {context.wait(_read(settings))}")
    context.found(found)


async def _gaps(settings: "Settings") -> list[output.Row]:
    """Gather the gaps of all sources."""
    from worker.intake.sources import SOURCES, Messages

    found: list[output.Row] = []
    async with context.ledger(settings) as (ledger, accounts):
        for account in accounts:
            for source in SOURCES:
                late = 3 * settings.poll_every * source.pace + settings.request_timeout
                coverage = await ledger.coverage(account, source.name)
                missing = "ready" if source is Messages else "a rule about it"
                why = f"nothing was read since: is the worker running, and {missing}?"
                found += [{"account": account, "source": source.name, **gap} for gap in _missing(coverage, late, why)]
    return found


def _missing(coverage: "Coverage", late: float, behind: str) -> Iterator[dict[str, Any]]:
    """Yield each stretch that is not read: the gaps, and what lies after the head once that is late, and why then."""
    from worker.intake.coverage import find_gaps, find_horizon

    end = find_horizon(coverage)
    for start, stop in find_gaps(coverage.closed, coverage.since, end):
        why = [slice_.why for slice_ in coverage.open if slice_.start < stop and slice_.end > start and slice_.why]
        yield _gap(start, stop, why[0] if why else "its turn has not come yet")
    if end and time.time() - end > late:
        yield _gap(end, time.time(), behind)


def _gap(start: float, end: float, why: str) -> dict[str, Any]:
    length = output.span(end - start)
    return {"start": output.moment(start), "end": output.moment(end), "length": length, "why": why}


async def _read(settings: "Settings") -> str:
    """Say up to when each source is read: of what came later nothing is known yet."""
    from worker.intake.coverage import find_end
    from worker.intake.sources import SOURCES, Messages

    said = []
    async with context.ledger(settings) as (ledger, accounts):
        for account in accounts:
            for source in SOURCES:
                until = find_end(await ledger.coverage(account, source.name))
                whose = f"{source.name} of {account}" if len(accounts) > 1 else source.name
                if until or source is Messages:  # the others are read only while a rule is about them
                    said.append(f"{whose} are {_read_until(until)}")
    return ", ".join(said) or "nothing is read yet"


def _read_until(until: float) -> str:
    """Say up to when something is read, and how long ago that was."""
    at = output.moment(until)
    ago = max(0, round(time.time() - until))
    return f"read up to {at:%H:%M:%SZ} ({output.span(ago)} ago)" if at else "not read yet"
