"""Wording: how people are told of amounts, times and actions, alike in commands and in notices. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta

from worker.errors import WorkerError
from worker.escaping import escape
from worker.language.actions import AnyAction
from worker.ledger.values import EventKey, HeldCause

WORDS = 100
"""Characters of one text that a stranger wrote."""
CAUSES, CAUSE = 3, 300
"""Causes that are named, and characters of one."""
MINUTES = 300.0
"""Seconds from which on an age is told in minutes."""
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


def tell_causes(causes: Sequence[HeldCause], now: float) -> str:
    """Say why events are held, a clause for each of the first causes with how many there are and since when."""
    if len(causes) == 1:
        return _tell_cause(causes[0])
    told = [f"{_tell_cause(one)} ({tell_extent(one.events, 'event', now - one.since)})" for one in causes[:CAUSES]]
    if others := causes[CAUSES:]:
        extent = tell_extent(sum(one.events for one in others), "event", now - min(one.since for one in others))
        told.append(f"and {count(len(others), 'other cause')} ({extent})")
    return "; ".join(told)


def _tell_cause(cause: HeldCause) -> str:
    why = escape(cause.why, CAUSE) or "nobody could judge it yet"
    return f"not tried yet: {why}" if cause.is_new else why


def tell_extent(number: int, noun: str, age: float) -> str:
    """Say how many of something wait, and for how long the oldest does."""
    return f"{count(number, noun)}, {'the oldest ' * (number > 1)}for {format_age(age)}"


def format_age(seconds: float) -> str:
    """Write for how long something waits, to the second for five minutes and to the minute from then on."""
    return f"{seconds / 60:.0f} min" if seconds >= MINUTES else f"{max(0.0, seconds):.0f} s"


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
