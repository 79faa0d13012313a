"""Checks of the texts in settings: addresses, domains, networks, regular expressions, ids.

Each returns what is wrong, or None.
"""

from __future__ import annotations

import re
import warnings
from ipaddress import ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.sandbox.wire import Json

Complaint = str | None
TOP = r"([a-z]{2,63}|xn--[a-z0-9-]{1,59})"
DOMAIN = re.compile(rf"(?=.{{1,253}}\Z)([a-z0-9_]([a-z0-9_-]{{0,61}}[a-z0-9_])?\.)+{TOP}", re.IGNORECASE)
LOCAL = re.compile(r"[^@\s]{1,64}")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
RESERVED = tuple(
    ip_network(net)
    for net in (
        *("0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"),
        *("255.255.255.255/32", "::/128", "::1/128", "fc00::/7", "fe80::/10", "::ffff:0:0/96"),
    )
)


def check_domain(text: str) -> Complaint:
    """Say what is wrong with a domain."""
    return None if DOMAIN.fullmatch(text) else "is not a valid domain"


def check_email(text: str) -> Complaint:
    """Say what is wrong with an email address."""
    local, _, host = text.rpartition("@")
    return None if LOCAL.fullmatch(local) and DOMAIN.fullmatch(host) else "is not a valid email address"


def check_uuid(text: str) -> Complaint:
    """Say what is wrong with a UUID."""
    return None if UUID.fullmatch(text) else "is not a UUID"


def check_network(text: str) -> Complaint:
    """Say what is wrong with an IP address or CIDR."""
    try:
        ip_network(text, strict=False)
    except ValueError:
        return "is not a valid IP address or CIDR"
    return None


def check_public_network(text: str) -> Complaint:
    """Say what is wrong with an IP address or CIDR, which must lie outside of every reserved network."""
    if complaint := check_network(text):
        return complaint
    asked = ip_network(text, strict=False)
    if any(asked.version == one.version and asked.overlaps(one) for one in RESERVED):
        return "must not be a reserved address"
    return None


def check_regex(text: str) -> Complaint:
    """Say what is wrong with a regular expression, as far as Java and Python agree on them."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns of what will mean a set within a set, as it does in Java
            re.compile(text)
    except (re.error, OverflowError, RecursionError):
        return "is not a valid regular expression"
    return None


PATTERNS = {"EMAIL": check_email, "DOMAIN": check_domain, "IP": check_public_network}


def check_pattern(entry: Json) -> Complaint:
    """Check a pattern against its type; old entries may be of type UNKNOWN, which fits anything."""
    check = check_regex if entry.get("is_regex") else PATTERNS.get(str(entry.get("pattern_type")))
    complaint = check(str(entry["pattern"])) if check else None
    return f"pattern {complaint}" if complaint else None


def check_person(entry: Json) -> Complaint:
    """Check the address of somebody in the impersonation registry, which may be a regular expression."""
    complaint = (check_regex if entry.get("is_email_regex") else check_email)(str(entry["email"]))
    return f"email {complaint}" if complaint else None
