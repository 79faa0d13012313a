"""`worker gaps`: what has not been read yet, and why; records that nobody can read are tried again, or closed."""

import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker import wording
from worker.cli import context, output
from worker.errors import SettingsError

if TYPE_CHECKING:
    from worker.intake.sources import Source
    from worker.ledger.ledger import Ledger
    from worker.ledger.unreadable import UnreadableRecord
    from worker.ledger.values import Coverage
    from worker.settings import Settings

GAPS = ("id", "account", "source", "start", "end", "what")
UNREAD, UNREADABLE = "unread", "unreadable"
"""Why time is missing: it was not read yet, or a record of it could not be read."""
MOST = 100_000


def gaps(
    order: Annotated[
        str,
        typer.Argument(
            metavar="retry|close", help="Try unreadable records again now, or close one. Default: list the gaps."
        ),
    ] = "",
    id_: Annotated[
        str, typer.Argument(metavar="ID", help="Id of an unreadable record or of its gap; for retry, default all.")
    ] = "",
    *,
    because: context.Because = "",
    who: context.As = "",
    as_json: context.Json = False,
) -> None:
    """List what has not been read yet: stretches of time, and records that cannot be read.

    Use it after an outage, or to prove that nothing was missed: no gap means that everything up to the times printed
    has been read. Ends with 1 if a stretch of time is missing.

    A record that cannot be read is a gap of the reason unreadable. The worker tries it again by itself; retry does so
    now. Look at the message yourself, then close its gap with a reason: the worker never tries it again.

    Example: worker gaps close 3f2a9c0d1e4b --because "looked at it, a newsletter"
    """
    settings = context.read_settings()
    if order not in {"", "retry", "close"} or (order == "close" and not id_):
        raise SettingsError("write `worker gaps`, `worker gaps retry`, or `worker gaps close ID --because TEXT`")
    if order:
        person = context.find_person(settings, who, because)
        if order == "close":
            context.require_name(person, "gaps close")
        context.wait(_order(settings, order, id_, person))
        return
    found = context.wait(_list_gaps(settings))
    rows = found if as_json else [{**gap, "what": _tell(gap)} for gap in found]
    output.print_rows(rows, GAPS, as_json=as_json, empty=f"no gap is open: {context.wait(_say_how_far(settings))}")
    context.exit_on_finding([gap for gap in found if gap["reason"] != UNREADABLE])


async def _order(settings: "Settings", order: str, id_: str, person: context.Person) -> None:
    """Order that unreadable records be tried again, or that the gap of one be closed."""
    if order == "close" and not person.because:
        raise SettingsError("a gap is closed on your word: add --because TEXT, for the audit records")
    async with context.open_ledger(settings) as (ledger, accounts):
        found = {account: await _find_unreadable(ledger, account, id_) for account in accounts}
        count = sum(map(len, found.values()))
        if not count:
            subject = f"is named {id_!r}" if id_ else "is open"
            raise SettingsError(f"no unreadable record {subject}: `worker gaps` lists them")
        for account in filter(found.get, found):
            await ledger.order(account, f"{order} gap", id_, person.who, person.because, time.time())
    done = "Tries again" if order == "retry" else "Closed"
    typer.echo(f"{done}: {wording.count(count, 'unreadable record')}. {person.describe_order()}")


async def _find_unreadable(ledger: "Ledger", account: str, id_: str) -> "list[UnreadableRecord]":
    """Return the open records that an id names, all for an empty one."""
    found = await ledger.list_unreadable(account, float("inf"), MOST)
    return [record for record in found if id_ in {"", record.gap, record.id}]


async def _list_gaps(settings: "Settings") -> list[output.Row]:
    """List the gaps of all sources in all accounts."""
    from worker.intake.sources import SOURCES

    found: list[output.Row] = []
    async with context.read_ledger(settings) as (ledger, accounts):
        for account in accounts:
            for source in SOURCES:
                late = 3 * settings.poll_every * source.pace + settings.request_timeout
                missing = _find_missing(await ledger.coverage(account, source.name), late, _explain_silence(source))
                found += [{"id": "", "account": account, "source": source.name, **gap} for gap in missing]
            found += map(partial(_describe_record, account), await _find_unreadable(ledger, account, ""))
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
    return {
        "start": output.to_datetime(start),
        "end": output.to_datetime(end),
        "length": length,
        "reason": UNREAD,
        "record": "",
        "next_try": None,
        "why": why,
    }


def _describe_record(account: str, record: "UnreadableRecord") -> dict[str, Any]:
    """Describe a record that cannot be read as the gap that it is."""
    return _describe_gap(record.start, record.end, record.why) | {
        "id": record.gap,
        "account": account,
        "source": record.source,
        "reason": UNREADABLE,
        "record": record.id,
        "next_try": output.to_datetime(record.next_at),
    }


def _tell(gap: output.Row) -> tuple[str, ...]:
    """Tell what is missing, and why, line by line."""
    if gap["reason"] == UNREAD:
        return gap["length"], gap["why"]
    again = f"at {gap['next_try']:%Y-%m-%d %H:%MZ}" if gap["next_try"] else "now"
    return f"{UNREADABLE}: {gap['record'] or 'nothing names it'}", gap["why"], f"tried again {again}"


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
