"""Wording: how people are told of amounts, times and actions, alike in commands and in notices. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta

from worker.errors import WorkerError
from worker.escaping import escape
from worker.language.actions import AnyAction
from worker.ledger.values import EventKey

WORDS = 100
"""Characters of one text that a stranger wrote."""
NAMED = 2
"""People who are named."""
NOUNS = {
    "Message": ("message", "messages"),
    "Report": ("report", "reports"),
    "Submission": ("submission", "submissions"),
    "BlockedSender": ("blocked sender", "blocked senders"),
    "AllowPolicy": ("allow policy", "allow policies"),
}
"""What people call one event, and several, by kind."""
OF_ONE_MAIL = frozenset({"pattern", "submission_id"})
"""Fields of actions that differ from mail to mail."""


def count(number: int, noun: str, plural: str = "") -> str:
    """Write a number with its noun, such as ``2 gaps`` or ``1,000 entries``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def count_events(causes: Iterable[str]) -> str:
    """Count the events that entries are about, by their kind, such as ``3 messages, 1 report``."""
    keys = [EventKey.parse(cause) for cause in causes]
    counts = Counter(kind for kind, _ in dict.fromkeys((key.kind, key.id) for key in keys if key))
    return ", ".join(count(number, *NOUNS.get(kind, (kind,))) for kind, number in counts.items())


def name_state(state: str) -> str:
    """Return what people call a state of entries: to them, *held* are events that wait for a fact."""
    return "queued" if state == "held" else state


def name_event(cause: str, subject: str, sender: str, recipients: Sequence[str] = ()) -> str:
    """Name a mail by what can be read of it; anything else by its kind and id, which stand in the event's key."""
    parts = [repr(escape(subject, WORDS))] if subject else []
    parts += [f"from {escape(sender, WORDS)}"] if sender else []
    parts += [f"to {name_people(recipients)}"] if recipients else []
    event = EventKey.parse(cause)
    return " ".join(parts) or escape(f"{event.kind} {event.id}" if event else cause, 2 * WORDS)


def explain_refusal(channel: str, error: Exception) -> str:
    """Say why a channel did not take a notice; what a library says may hold its address, and with it a password."""
    if isinstance(error, WorkerError):
        return str(error)
    return f"channel {channel!r} did not take the notice, because its service failed ({type(error).__name__})"


def name_people(addresses: Sequence[str]) -> str:
    """Name two people, and count the rest."""
    rest = len(addresses) - NAMED
    more = [f"and {rest:,} more"] if rest > 0 else []
    return " ".join([", ".join(escape(address, WORDS) for address in addresses[:NAMED]), *more])


def format_duration(seconds: float) -> str:
    """Write a duration in its two largest units, such as ``1d 2h``."""
    units = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms" if seconds else "0s"
    parts, left = [], round(seconds)
    for name, size in units:
        if left >= size:
            parts.append(f"{left // size}{name}")
            left %= size
    return " ".join(parts[:2])


def find_nouns(cause: str) -> tuple[str, str]:
    """Return what people call one event of a cause's kind, and several."""
    key = EventKey.parse(cause)
    return NOUNS.get(key.kind, (key.kind, key.kind)) if key else ("decision", "decisions")


def describe_action(action: AnyAction) -> str:
    """Write an action in a few words, such as ``BlockSender a@b.example for 30d``."""
    return _write_action(action, {"because"})


def summarise_action(action: AnyAction) -> str:
    """Write an action without what differs from mail to mail, such as ``BlockSender EMAIL for 30d``."""
    return _write_action(action, {"because", *OF_ONE_MAIL})


def _write_action(action: AnyAction, without: set[str]) -> str:
    fields = {name: getattr(action, name) for name in action.__struct_fields__ if name not in without}
    return " ".join([type(action).__name__, *(_describe_field(name, value) for name, value in fields.items() if value)])


def _describe_field(name: str, value: object) -> str:
    if isinstance(value, timedelta):
        return f"for {format_duration(value.total_seconds())}"
    return name if value is True else str(value)
