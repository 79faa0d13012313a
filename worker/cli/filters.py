"""Options that narrow what a command is about: by rule, sender, recipient, subject and time."""

import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from worker.errors import SettingsError
from worker.escaping import refang

if TYPE_CHECKING:
    from worker.ledger.matching import MailFilter

Rule = Annotated[str, typer.Option("--rule", metavar="NAME", help="Only what this rule has a part in.")]
Sender = Annotated[str, typer.Option("--sender", metavar="NAME", help="Only mail from this address or domain.")]
Recipient = Annotated[str, typer.Option("--recipient", metavar="NAME", help="Only mail to this address or domain.")]
Subject = Annotated[
    str, typer.Option("--subject", metavar="TEXT", help="Only mail with this in its subject, in any case.")
]
Since = Annotated[
    str,
    typer.Option(
        "--since", metavar="WHEN", help="Only what is newer: a time ago (2h) or a UTC time (2026-11-20T17:22)."
    ),
]


def make_filter(rule: str, sender: str, recipient: str, subject: str) -> "MailFilter":
    """Make a filter of what was typed."""
    from worker.ledger.matching import MailFilter

    return MailFilter(rule=rule, sender=refang(sender), recipient=refang(recipient), subject=subject)


def parse_since(since: str, takes: str = "--since takes ") -> float:
    """Read a duration back from now, or a time; 0 for neither."""
    from worker.language.rules import parse_duration

    if not since:
        return 0.0
    with suppress(ValueError):
        return max(0.0, time.time() - parse_duration(since))
    with suppress(ValueError):
        at = datetime.fromisoformat(since)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    raise SettingsError(f"{takes}a duration such as 2h, or a time such as 2026-11-20T17:22, not {since!r}")
