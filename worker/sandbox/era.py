"""Answers in the form of Cloudflare's older reference pages: numbers as ids of lists, and older names alone.

Where the pages have a field under two names, only the older one is shown, so that nothing can rely on the newer.
Operations that the pages lack are answered as today, because nothing says since when the API has them.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.sandbox.wire import OutgoingResponse

ADDRESSES = ("smtp_helo_server_ip", "smtp_previous_hop_ip", "x_originating_ip")
MESSAGE = ("scanned_at", "sent_at", "delivery_status", *ADDRESSES)
LISTS = r"settings/(?:allow_policies|block_senders|domains|impersonation_registry|trusted_domains)\b"
"""The lists that the pages know."""
ENTRY = ("modified_at", "status")
LATER: Mapping[re.Pattern[str], tuple[str, ...]] = MappingProxyType({
    re.compile(r"GET investigate(/results)?(/\{id\})?"): MESSAGE,
    re.compile(r"GET investigate/\{id\}/detections"): (
        "findings", "attachments.filename", "attachments.md5", "attachments.sha1", "attachments.sha256"),
    re.compile(r"GET investigate/\{id\}/trace"): ("inbound.lines.logged_at", "outbound.lines.logged_at"),
    re.compile(r"POST investigate/(\{id\}/)?move"): ("completed_at",),
    re.compile(r"GET phishguard/reports"): ("fields.occurred_at",),
    re.compile(r"GET submissions"): ("requested_at",),
    re.compile(rf"\w+ {LISTS}.*"): (
        *ENTRY, *(f"{part}.{name}" for part in ("patches", "puts", "posts") for name in ENTRY)),
})  # fmt: skip
"""The fields of each operation's answers that came later, inside of others by their path."""


def age(operation: str, response: OutgoingResponse) -> OutgoingResponse:
    """Return an answer as it would have been."""
    later = [name for wanted, names in LATER.items() if wanted.fullmatch(operation) for name in names]
    numbered = operation.partition(" ")[2].startswith("settings/")
    if not response.body or not (later or numbered):
        return response
    envelope = msgspec.json.decode(response.body)
    for name in later:
        _drop(envelope["result"], name.split("."))
    if numbered:
        _number(envelope["result"])
    return replace(response, body=msgspec.json.encode(envelope))


def _drop(value: object, path: list[str]) -> None:
    """Remove a field from a record, or from each of a list of them."""
    if isinstance(value, list):
        for one in value:
            _drop(one, path)
    elif isinstance(value, dict) and len(path) == 1:
        value.pop(path[0], None)
    elif isinstance(value, dict):
        _drop(value.get(path[0]), path[1:])


def _number(value: object) -> None:
    """Make the ids in a value numbers."""
    for one in value if isinstance(value, list) else value.values() if isinstance(value, dict) else ():
        _number(one)
    if isinstance(value, dict) and str(value.get("id")).isdigit():
        value["id"] = int(value["id"])
