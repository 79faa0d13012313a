"""Doubts: why a block waits for a person, by its pattern and by what its cause proved. Pure.

Whoever writes a mail writes anybody's address into it, so a pattern that no mail proved may be an innocent's.
"""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import NamedTuple

from worker.escaping import escape
from worker.language.actions import BlockSender
from worker.language.base import domain_of
from worker.language.domains import is_freemail, is_public_suffix, lies_within
from worker.ledger.entries import WantedEffect, Why

WIDEST = {4: 24, 6: 48}
"""The shortest prefix of a network, by the version of IP, that is blocked without a person."""


class BlockDoubt(NamedTuple):
    """Why a person is asked: a code, and a sentence."""

    why: Why
    said: str


def find_doubt(wish: WantedEffect) -> BlockDoubt | None:
    """Return what speaks against carrying a block out without a person; None for any other action."""
    if not isinstance(wish.action, BlockSender):
        return None
    kind, _, pattern = wish.target.partition(":")
    shown = escape(pattern, 100)
    if wide := _describe_width(kind, pattern):
        return BlockDoubt("too_wide", f"{shown} {wide}: a person decides whether all of it is blocked")
    if covers(wish.authenticated, wish.target):
        return None
    proved = f"proves only {escape(wish.authenticated, 100)}" if wish.authenticated else "proves no sender"
    return BlockDoubt("unproved", f"the mail {proved}, and anybody can write {shown} into one")


def covers(authenticated: str, target: str) -> bool:
    """Tell whether a pattern lies within what was proved: a domain, an IP, or one address at a mail provider."""
    kind, _, pattern = target.partition(":")
    if kind == "IP":
        return _is_inside(authenticated, pattern)
    if "@" in authenticated:
        return kind == "EMAIL" and pattern == authenticated
    domain = domain_of(pattern) if kind == "EMAIL" else pattern
    return bool(domain) and lies_within(domain, authenticated)


def choose_proof(one: str, other: str, target: str) -> str:
    """Return which of two proofs stands for a pattern: the first, unless only the other covers it."""
    return other if covers(other, target) and not covers(one, target) else one


def _describe_width(kind: str, pattern: str) -> str:
    """Say why a pattern stands for people that nobody has looked at; empty when it does not."""
    if kind == "IP":
        network = _read_network(pattern)
        widest = WIDEST[network.version] if network else 0
        return f"is a network wider than /{widest}" if network and network.prefixlen < widest else ""
    if kind != "DOMAIN":
        return ""
    if is_freemail(pattern):
        return "is a mail provider, at which anybody has an address"
    return "is a public suffix, below which anybody has a domain" if is_public_suffix(pattern) else ""


def _is_inside(address: str, network: str) -> bool:
    inner, outer = _read_network(address), _read_network(network)
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner.subnet_of(outer)
    return isinstance(inner, IPv6Network) and isinstance(outer, IPv6Network) and inner.subnet_of(outer)


def _read_network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None
