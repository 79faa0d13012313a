"""The settings lists as a table: which fields they have, what must be in them, how they are filtered and ordered."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_network
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from worker.sandbox.wire import Json

Complaint = str | None
ALL_VERBS = frozenset({"list", "get", "create", "edit", "delete", "batch"})
WRITTEN_TYPES = ("EMAIL", "DOMAIN", "IP")
DOMAIN = re.compile(r"(?=.{1,253}\Z)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z]{2,63}", re.IGNORECASE)
EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]+")
RESERVED = tuple(
    ip_network(net)
    for net in (
        *("0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"),
        *("255.255.255.255/32", "::/128", "::1/128", "fc00::/7", "fe80::/10", "::ffff:0:0/96"),
    )
)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a body: of which type, whether a create needs it, whether it may be null, which words it may be."""

    type: type
    required: bool = False
    nullable: bool = False
    words: tuple[str, ...] = ()
    longest: int = 1024

    def complaint(self, name: str, value: object) -> Complaint:
        """Say what is wrong with a value."""
        if value is None and self.nullable:
            return None
        if type(value) is not self.type:
            return f"{name} must be a {self.type.__name__}"
        if isinstance(value, str) and len(value) > self.longest:
            return f"{name} must not be longer than {self.longest} characters"
        if self.words and value not in self.words:
            return f"{name} must be one of {', '.join(self.words)}"
        return None


@dataclass(frozen=True, slots=True)
class Shape:
    """One list: its fields, what makes an entry unique, its filters and orders, and how an entry is checked."""

    name: str
    fields: Mapping[str, Field]
    key: tuple[str, ...]
    flags: tuple[str, ...] = ()
    exact: tuple[str, ...] = ("pattern",)
    verbs: frozenset[str] = ALL_VERBS
    check: Callable[[Json], Complaint] = field(default=lambda _: None)

    def target(self, entry: Json) -> str:
        """Name what an entry is about, in lower case."""
        return ":".join(str(entry.get(name)) for name in self.key).lower()

    def complaint(self, entry: Json) -> Complaint:
        """Say what is wrong with a whole entry."""
        for name, rule in self.fields.items():
            if name not in entry:
                if rule.required:
                    return f"{name} is required"
            elif complaint := rule.complaint(name, entry[name]):
                return complaint
        return self.check(entry)


def pattern_complaint(entry: Json) -> Complaint:
    """Check a pattern against its type, as far as it has one."""
    pattern, kind = str(entry["pattern"]), entry.get("pattern_type")
    if not pattern:
        return "pattern must not be empty"
    if entry.get("is_regex"):
        return _regex_complaint(pattern)
    if kind == "EMAIL" and not (EMAIL.fullmatch(pattern) and DOMAIN.fullmatch(pattern.rpartition("@")[2])):
        return "pattern is not a valid email address"
    if kind == "DOMAIN" and not DOMAIN.fullmatch(pattern):
        return "pattern is not a valid domain"
    return _network_complaint(pattern) if kind == "IP" else None


def _regex_complaint(pattern: str) -> Complaint:
    try:
        re.compile(pattern)
    except re.error:
        return "pattern is not a valid regular expression"
    return None


def _network_complaint(pattern: str) -> Complaint:
    try:
        network = ip_network(pattern, strict=False)
    except ValueError:
        return "pattern is not a valid IP address or CIDR"
    if any(network.version == one.version and network.overlaps(one) for one in RESERVED):
        return "pattern must not be a reserved address"
    return None


_PATTERN = Field(str, required=True)
_TYPE = Field(str, required=True, words=WRITTEN_TYPES)
_COMMENTS = Field(str, nullable=True)
_YES_OR_NO = Field(bool, required=True)
_ALLOW_FLAGS = ("is_acceptable_sender", "is_exempt_recipient", "is_trusted_sender", "verify_sender")

SHAPES: Mapping[str, Shape] = MappingProxyType({
    "block_senders": Shape(
        "block_senders",
        {"pattern": _PATTERN, "pattern_type": _TYPE, "is_regex": _YES_OR_NO, "comments": _COMMENTS},
        key=("pattern_type", "pattern"), exact=("pattern", "pattern_type"), check=pattern_complaint),
    "allow_policies": Shape(
        "allow_policies",
        {"pattern": _PATTERN, "pattern_type": _TYPE, "is_regex": _YES_OR_NO, "comments": _COMMENTS}
        | dict.fromkeys(_ALLOW_FLAGS, _YES_OR_NO),
        key=("pattern_type", "pattern"), flags=_ALLOW_FLAGS,
        exact=("pattern", "pattern_type"), check=pattern_complaint),
    "trusted_domains": Shape(
        "trusted_domains",
        {"pattern": _PATTERN, "is_recent": _YES_OR_NO, "is_similarity": _YES_OR_NO, "is_regex": _YES_OR_NO,
         "comments": _COMMENTS},
        key=("pattern",), flags=("is_recent", "is_similarity"),
        check=lambda entry: pattern_complaint({"pattern_type": "DOMAIN"} | entry)),
    "domains": Shape(
        "domains", {}, key=("domain",), exact=("domain", "integration_id", "status"),
        verbs=frozenset({"list", "get"})),
})  # fmt: skip
