"""A message's action log: what its lines say, whose doing they are, and how a person reads them. Pure."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256

import msgspec
from msgspec import Struct

from worker.api.clock import SECOND
from worker.escaping import escape
from worker.language.actions import Move, Release
from worker.language.models import LogEntry
from worker.language.times import epoch
from worker.ledger.entries import Entry

MOST_DESCRIBED = 5
KEY_LENGTH = 16
FAULT_LENGTH = 200
RELEASES = frozenset({"RELEASE", "QUARANTINE_RELEASE"})
WENT_WELL = frozenset({"", "ok", "success", "succeeded", "successful", "completed", "moved", "delivered"})


class ActionLogReading(Struct, frozen=True):
    """The action log of one message, as of ``at``."""

    at: float
    entries: tuple[LogEntry, ...]


def is_move_or_release(line: LogEntry) -> bool:
    """Tell whether a line is a move or a release; what plainly failed is none, any other word may mean that it went."""
    failed = "fail" in line.status.lower() if line.success is None else not line.success
    return line.operation in {"MOVE", *RELEASES} and not failed


def may_have_caused(ours: Entry, line: LogEntry) -> bool:
    """Tell whether an entry of ours caused this line: the same act, the same folder, and within its request."""
    ended = ours.answered_at if ours.answered_at >= ours.claimed_at else ours.reached_by
    if not ours.claimed_at - SECOND <= time_of(line) <= ended + SECOND:
        return False
    if isinstance(ours.action, Move):
        return line.operation == "MOVE" and line.folder in {"", ours.action.destination}
    return isinstance(ours.action, Release) and line.operation in RELEASES


def hand_key(line: LogEntry) -> str:
    """Return a key that is equal for one line of a log each time it is read, and for no other."""
    status = "" if _sounds_well(line) else line.status  # by the words alone: keys of earlier versions must not change
    told = (line.operation, line.folder, line.requested_by or "somebody", int(time_of(line)), status)
    return sha256(msgspec.json.encode(told)).hexdigest()[:KEY_LENGTH]


def was_shown(line: LogEntry, entry: Entry) -> bool:
    """Tell whether a person knew of this line when they decided on an entry."""
    return hand_key(line) in entry.shown or time_of(line) <= entry.shown_before


def went_well(line: LogEntry) -> bool:
    """Tell whether a line names no failure; without ``success``, which older APIs do not show, by its words."""
    return _sounds_well(line) if line.success is None else line.success


def _sounds_well(line: LogEntry) -> bool:
    return line.status.lower() in WENT_WELL


def kind_of_failure(statuses: Iterable[str]) -> str:
    """Return what the API's own words have in common with those about other messages: no numbers, no addresses."""
    words = (word for status in sorted(set(statuses)) for word in status.split())
    plain = " ".join(word for word in words if "@" not in word and not any(map(str.isdigit, word)))
    return plain[:FAULT_LENGTH] or "no words"


def describe_lines(lines: Sequence[LogEntry]) -> str:
    """Describe lines of an action log for a person, at most five of them."""
    more = len(lines) - MOST_DESCRIBED
    return "; ".join(map(_describe_line, lines[:MOST_DESCRIBED])) + (f"; and {more} more" if more > 0 else "")


def _describe_line(line: LogEntry) -> str:
    where = f" to {escape(line.folder, 60)}" if line.folder else ""
    status = f" ({escape(line.status, 80)})" if not went_well(line) else ""
    when = f" at {datetime.fromtimestamp(time_of(line), UTC):%F %T}Z" if line.completed_at else ""
    return f"{escape(line.operation, 30)}{where} by {_describe_hand(line)}{when}{status}"


def _describe_hand(line: LogEntry) -> str:
    """Name who did it, and through what: that tells people from what Cloudflare does by itself."""
    who = escape(line.requested_by or "somebody", 80)
    return f"{who} through {escape(line.service, 40)}" if line.service else who


def time_of(line: LogEntry) -> float:
    """Return when a line says it was completed, 0 when it does not."""
    return epoch(line.completed_at)
