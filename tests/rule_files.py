"""Rule files and events for tests."""

from pathlib import Path
from textwrap import dedent

from msgspec.json import encode

from worker.rulehost.evaluation import Event

PRELUDE = (
    "from worker import (ENFORCE, OBSERVE, OFF, AllowPolicy, AllowSender, BlockSender, BlockedSender, Detection, "
    "Disallow, Distrust, Escalate, History, Keep, Message, Move, Notify, Now, Policies, Raw, Reclassify, Registry, "
    "Release, Report, Submission, Trace, TrustDomain, Unblock, example, limit, per_hour, rule, sample)\n"
)
"""Line 1 of every rule file made here."""
GOOD = '''
    @rule
    def good(message: Message) -> Move | None:
        """It is good."""
        return Move("JunkEmail")
'''
BAD = '''
    import enum
    import re
    os = enum.sys.modules["os"]

    @rule
    def bad(message: Message) -> Move | None:
        """It is bad."""
        if "bad" in message.subject:
            {does}
        return None
'''
"""What it does to a mail with "bad" in its subject is put in for ``{does}``, on line 11 of the file."""


def rule_files(folder: Path, **files: str) -> Path:
    """Write rule files, by stem, each after the prelude; returns the folder."""
    for stem, text in files.items():
        (folder / f"{stem}.py").write_text(PRELUDE + dedent(text))
    return folder


def mail(key: str = "1", facts: dict[str, bytes] | None = None, **fields: object) -> Event:
    """Return the event of a message: spam from a stranger, unless fields say otherwise."""
    told = {"id": f"id-{key}", "from": "someone@elsewhere.example", "final_disposition": "SPAM", **fields}
    return Event(key=key, kind="Message", raw=encode(told), facts=facts or {})
