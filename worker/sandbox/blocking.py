"""What an entry of the block list does to mail that arrives after it."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from worker.sandbox.account import Thing
    from worker.sandbox.wire import Json


def mark(entries: Mapping[str, Thing], fields: Json) -> bool:
    """Mark a message that an entry matches, and tell whether there was one."""
    for entry in entries.values():
        if entry.value is not None and _matches(entry.value, fields):
            fields["properties"] = {"blocklisted_message": True, "blocklisted_pattern": entry.value["pattern"]}
            return True
    return False


def _matches(entry: Json, fields: Json) -> bool:
    pattern, addresses = str(entry["pattern"]), list(_strings(fields, "from", "envelope_from", "replyto"))
    servers = list(_strings(fields, "x_originating_ip", "smtp_helo_server_ip", "smtp_previous_hop_ip"))
    if entry.get("is_regex"):
        return any(re.search(pattern, text) for text in addresses + servers)
    wanted = pattern.lower()
    if entry["pattern_type"] == "EMAIL":
        return any(address.lower() == wanted for address in addresses)
    if entry["pattern_type"] == "DOMAIN":
        return any(address.lower().rpartition("@")[2] == wanted for address in addresses)
    return any(ip_address(server) in ip_network(pattern, strict=False) for server in servers)


def _strings(fields: Json, *names: str) -> Iterable[str]:
    return (value for name in names if isinstance(value := fields.get(name), str))
