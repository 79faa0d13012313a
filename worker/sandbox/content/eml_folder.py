"""Reads a folder of .eml files as mail of the account.

The verdict of a message is what its header ``X-Sandbox-Disposition`` says, if that is one of the ten. Else the first
rule of RULES that holds decides, and NONE if none does. It is delivered, scanned at its Date if that lies within the
last 30 days, else now.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from random import Random
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from worker.mime.addresses import resolve
from worker.sandbox.account import traffic
from worker.sandbox.account.mail import TEN
from worker.sandbox.content.content import Content
from worker.sandbox.content.originals import UnreadableMessage, read_original
from worker.sandbox.wire import format_moment

if TYPE_CHECKING:
    from pathlib import Path

    from worker.sandbox.account.activity import Activity
    from worker.sandbox.account.mail import Mail
    from worker.sandbox.content.originals import Original
    from worker.sandbox.wire import Json

MB = 1024 * 1024
MOST_FILES, LARGEST, LARGEST_TOGETHER = 10_000, 64 * MB, 1024 * MB
RECENT = 30 * 86400.0
LONGEST = 8000
"""Characters of a header that are searched."""
CHECK = re.compile(r"\b(spf|dkim|dmarc)=([a-z]{1,16})")
CHECKED = {"pass": "pass", "neutral": "neutral", "fail": "fail", "softfail": "fail", "none": "none"}
SERVER = re.compile(r"\[(?:IPv6:)?([0-9a-fA-F.:]{2,45})\]")


class Rule(Struct, frozen=True):
    """A disposition, its reason, and the messages it holds for."""

    disposition: str
    reason: str
    holds: Callable[[Content], bool]


RULES = (
    Rule("MALICIOUS", "Attachment that is risky to open", lambda it: any(file.risky for file in it.files)),
    Rule("SPOOF", "Sender fails DMARC", lambda it: (_read_validation(it) or {}).get("dmarc") == "fail"),
    Rule("SUSPICIOUS", "Link to an IP address or a name in punycode", lambda it: any(map(_is_odd, _list_hosts(it)))),
    Rule("SPAM", "Marked as spam on its way", lambda it: it.header("X-Spam-Flag").strip().upper() == "YES"),
    Rule(
        "BULK", "Graymail: list headers present", lambda it: bool(it.header("List-Unsubscribe") + it.header("List-Id"))
    ),
)


class Seeded(Struct, frozen=True):
    """How many messages were taken in, and which files were skipped, each with a reason."""

    taken: int
    skipped: tuple[tuple[str, str], ...]


def seed_folder(
    account: Activity, folder: Path, *, files: int = MOST_FILES, together: int = LARGEST_TOGETHER
) -> Seeded:
    """Take in the *.eml files of a folder by name: at most so many, and so many bytes together.

    Raises OSError when the folder cannot be read; a file that cannot is skipped.
    """
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".eml")
    skipped = [(path.name, f"only the first {files:,} files are read") for path in paths[files:]]
    taken, left = 0, together
    for path in paths[:files]:
        try:
            data = _read_file(path, left)
            take_in(account, path.name, data)
        except (UnreadableMessage, OSError) as problem:
            skipped.append((path.name, getattr(problem, "strerror", None) or str(problem)))
        else:
            taken, left = taken + 1, left - len(data)
    return Seeded(taken, tuple(sorted(skipped)))


def _read_file(path: Path, left: int) -> bytes:
    """Read a file, unless it is too large, or no file: reading a pipe might never end."""
    if not path.is_file():
        raise UnreadableMessage("it is not a file")
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise UnreadableMessage(f"it is larger than {LARGEST // MB} MB")
    if len(data) > left:
        raise UnreadableMessage("with it the files would be too much to keep in memory")
    return data


def take_in(account: Activity, name: str, data: bytes) -> Mail:
    """Take in one message; the same name and seed give it the same postfix id. Raises UnreadableMessage."""
    letter, now = read_original(data), account.advance()
    recent = letter.sent is not None and now - RECENT <= letter.sent <= now
    scanned = int(letter.sent if letter.sent is not None and recent else now)
    disposition, reasons = judge(letter.content)
    fields: dict[str, Any] = _write_fields(letter) | {"detection_reasons": reasons}
    ident = traffic.make_message_id(Random(f"eml {account.seed} {name!a}"), scanned)
    links = tuple(link.href for link in letter.content.links)
    mail = account.add_message(
        id=ident, disposition=disposition, scanned=scanned, indexed=scanned, links=links, **fields
    )
    mail.original = data
    return mail


def judge(content: Content) -> tuple[str, tuple[str, ...]]:
    """Return the disposition of a message, and the reasons."""
    holding = [rule for rule in RULES if rule.holds(content)]
    said = content.header("X-Sandbox-Disposition").strip().upper()
    verdict = said if said in TEN else next((rule.disposition for rule in holding), "NONE")
    if verdict == "NONE":
        return verdict, ()
    return verdict, tuple(rule.reason for rule in holding) or ("Judged by its X-Sandbox-Disposition",)


def _write_fields(letter: Original) -> Json:
    """Return the fixed fields of the record. A message without recipients goes to the first address of the account."""
    content, sender = letter.content, letter.sender
    everybody = [one.address for one in letter.recipients] or [traffic.ADDRESSES[0]]
    bounce = content.header("Return-Path").strip(" <>")
    named = {header.name.lower() for header in content.headers}
    return {
        "client_recipients": everybody,
        "delivery_mode": "DIRECT",
        "properties": dict(traffic.UNLISTED),
        "edf_hash": None,
        "envelope_from": bounce if "@" in bounce else sender and sender.address,
        "envelope_to": everybody,
        "from": sender and sender.address,
        "from_name": sender and sender.name,
        "message_id": content.header("Message-ID").strip() or None,
        "replyto": letter.reply_to and letter.reply_to.address,
        "sent_at": None if letter.sent is None or letter.sent < 0 else format_moment(letter.sent),
        "sent_date": content.header("Date") or None,
        "subject": content.header("Subject") if "subject" in named else None,
        "threat_categories": None,
        "to": everybody,
        "to_name": [one.name for one in letter.recipients] or None,
        "validation": _read_validation(content),
        **_find_servers(content),
    }


def _find_servers(content: Content) -> Json:
    """Return the servers that handed the message over, the last first, and the one it was written at."""
    hops = [header.value for header in content.headers if header.name.lower() == "received"]
    found = [server for hop in hops if (server := _find_server(hop))]
    return {
        "smtp_helo_server_ip": found[0] if found else None,
        "smtp_previous_hop_ip": found[1] if len(found) > 1 else None,
        "x_originating_ip": _find_server(f"[{content.header('X-Originating-IP').strip(' []')}]"),
    }


def _find_server(text: str) -> str | None:
    """Return the first text in brackets, if it is an IP address."""
    found = SERVER.search(text[:LONGEST])
    with suppress(ValueError):
        return str(ip_address(found[1])) if found else None
    return None


def _read_validation(content: Content) -> Json | None:
    """Return the checks of the sender by the last server."""
    told = CHECK.findall(content.header("Authentication-Results")[:LONGEST].lower())
    found: Json = {name: CHECKED.get(result, "error") for name, result in reversed(told)}
    return {"comment": None, "dkim": None, "dmarc": None, "spf": None} | found if found else None


def _list_hosts(content: Content) -> set[str]:
    return {address.host.strip("[]") for link in content.links if (address := resolve(link.href))}


def _is_odd(host: str) -> bool:
    """Tell whether a host is an IP address, or has a name in punycode."""
    with suppress(ValueError):
        return bool(ip_address(host))
    return any(label.startswith("xn--") for label in host.split("."))
