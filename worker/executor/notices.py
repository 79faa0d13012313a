"""Notices: one text for a channel about entries of one rule."""

from collections.abc import Sequence

from worker.escaping import escape
from worker.ledger.entries import Entry, Review
from worker.wording import name_event

NOTICE_LINES = 10
"""Entries that one notice tells about; it says how many more there are."""
WORDS = 300
REVIEWS: dict[Review, str] = {
    "accepted": "asked, not decided yet",
    "granted": "granted",
    "rejected": "rejected",
    "invalid": "invalid",
    "never_decided": "never decided",
}


def notice(entries: Sequence[Entry]) -> str:
    """Write one text about entries of one rule, at most ten of them by name; harmless in a terminal."""
    rule = escape(", ".join(entries[0].rules), 200)
    many = "1 notice" if len(entries) == 1 else f"{len(entries)} notices"
    lines = [f"{rule}: {many}", *(_line(entry) for entry in entries[:NOTICE_LINES])]
    if len(entries) > NOTICE_LINES:
        lines.append(f"and {len(entries) - NOTICE_LINES} more, up to entry {entries[-1].id}")
    return "\n".join(lines)


def describe_end(entry: Entry) -> str:
    """Say how an entry ended, or that Cloudflare has not decided about it yet."""
    return f"{type(entry.action).__name__} {REVIEWS.get(entry.review, entry.state)}"


def _line(entry: Entry) -> str:
    about = name_event(entry.cause, entry.subject, entry.sender)
    came = f" · {escape(entry.said, WORDS)}" if entry.said else ""
    return f"- {escape(entry.because, WORDS) or 'no reason given'} · {about}{came} · entry {entry.id}"
