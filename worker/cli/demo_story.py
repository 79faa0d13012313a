"""One message's story: what its entry in the ledger and its audit records say, line by line."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from textwrap import fill
from typing import Any, NamedTuple

import msgspec

from worker import wording
from worker.audit.query import query
from worker.cli.layout import WIDTH
from worker.escaping import escape
from worker.language.actions import Move
from worker.ledger.entries import Entry
from worker.ledger.ledger import Ledger

EVERY = 1_000_000
SHORT = 70
"""Most characters shown of a sender or subject."""
INDENT = " " * 21
PROOFS = {"seen": "read back", "log": "read back from the action log", "answered": "the answer is the proof"}


class Story(NamedTuple):
    """What became of one message, line by line, and its entry in the ledger; both empty when there is none."""

    entry: str = ""
    lines: Sequence[str] = ()


async def tell_story(ledger: Ledger, account: str, since: float) -> Story:
    """Tell of the first message scanned after ``since`` that was moved with proof."""
    done = await ledger.entries(account, states=("done",), limit=EVERY)
    moved = [entry for entry in done if isinstance(entry.action, Move) and entry.proof and entry.scanned_at >= since]
    if not moved:
        return Story()
    entry = min(moved, key=lambda entry: entry.id)
    records = [msgspec.json.decode(line) async for line in query(ledger, account, entry=entry.id)]
    return Story(entry.id, tuple(write_story(entry, records)))


def write_story(entry: Entry, records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Write a line for the mail, one for each record with the time it took, and where to find the last record."""
    at, verdict = entry.scanned_at, entry.verdict.partition("|")[0]
    yield _write_line(at, "", f'mail from {escape(entry.sender, SHORT)}: "{escape(entry.subject, SHORT)}"')
    yield f"{INDENT}scanned by Cloudflare: {verdict}"
    for record in records:
        before, at = at, datetime.fromisoformat(record["at"]).timestamp()
        yield _write_line(at, f"+{max(0.0, at - before):.1f} s", _describe(entry, record))
    yield f"audit record {records[-1]['number']}, hash {records[-1]['hash']}"


def _write_line(at: float, took: str, text: str) -> str:
    time = f"{datetime.fromtimestamp(at, UTC):%H:%M:%S.%f}"[:10]
    return fill(f"{time} {took:>8}  {text}", WIDTH, subsequent_indent=INDENT)


def _describe(entry: Entry, record: Mapping[str, Any]) -> str:
    """Say what one record of the entry tells."""
    said = escape(record.get("said", ""))
    match record["verb"], record.get("to"):
        case "entered", _:
            return (
                f"rule {', '.join(entry.rules)} wants {wording.describe_action(entry.action)}: {escape(entry.because)}"
            )
        case "claimed", _:
            return f"claimed, attempt {record['attempt']}: on record before the request leaves"
        case "answered", "ready":
            return f"not carried out, to be tried again: {said}"
        case "answered", "sent":
            return f"the API answered: {said or 'accepted'}"
        case "settled", "done":
            return ": ".join(filter(None, [f"done, {PROOFS[record['proof']]}", said]))
        case verb, to:
            return ", ".join(filter(None, [verb, to, said]))
