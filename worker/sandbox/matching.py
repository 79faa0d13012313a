"""Whether an entry of a list means a sender, a recipient or a server: by equality, by network, or by expression."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.sandbox.wire import Json

# The longest address there can be. What an expression is tried on is cut to it, and how often the expression may have
# to try again is bounded: both ends are written by somebody else, and the engine knows no patience.
LONGEST_ADDRESS = 254
MOST_EFFORT = 2**32
ESCAPED = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
MANY = re.compile(r"[*+]|\{\d*,?\d*\}")
EITHER = re.compile(r"[?|]")
SERVERS = ("x_originating_ip", "smtp_helo_server_ip", "smtp_previous_hop_ip")
GROUP = re.compile(r"\(([^()]*)\)([*+{]?)")


@dataclass(frozen=True, slots=True)
class Parties:
    """Who had a hand in a message: addresses, and the servers it came over."""

    addresses: tuple[str, ...]
    servers: tuple[str, ...] = ()


def senders(fields: Json) -> Parties:
    """Return all that a message says about where it comes from, and where an answer would go."""
    return Parties(_strings(fields, "from", "envelope_from", "replyto"), _strings(fields, *SERVERS))


def authors(fields: Json) -> Parties:
    """Return who wrote a message; an address for answers lets nobody through, anybody can write one in."""
    return Parties(_strings(fields, "from", "envelope_from"), _strings(fields, *SERVERS))


def recipients(fields: Json) -> Parties:
    """Return whom a message is for."""
    named = fields.get("client_recipients")
    return Parties(tuple(map(str, named)) if isinstance(named, list | tuple) else ())


def means(entry: Json, parties: Parties) -> bool:
    """Tell whether an entry means one of them; letters of either case are the same."""
    pattern = str(entry["pattern"])
    if entry.get("is_regex"):
        return any(_found(pattern, text) for text in (*parties.addresses, *parties.servers))
    wanted, kind = pattern.lower(), entry.get("pattern_type", "DOMAIN")
    if kind == "IP":
        return any(_inside(server, pattern) for server in parties.servers)
    if kind == "DOMAIN":
        return any(address.lower().rpartition("@")[2] == wanted for address in parties.addresses)
    return any(address.lower() == wanted for address in parties.addresses)


def _strings(fields: Json, *names: str) -> tuple[str, ...]:
    return tuple(value for name in names if isinstance(value := fields.get(name), str))


def _inside(server: str, network: str) -> bool:
    """Tell whether a server is in a network; what is no address of either kind is in none."""
    try:
        return ip_address(server) in ip_network(network, strict=False)
    except ValueError:
        return False


def _found(pattern: str, text: str) -> bool:
    expression = _bounded(pattern)
    return expression is not None and expression.search(text[:LONGEST_ADDRESS]) is not None


@lru_cache(maxsize=1024)
def _bounded(pattern: str) -> re.Pattern[str] | None:
    """Compile an expression, unless it is none or could try for ever."""
    if _effort(pattern) > MOST_EFFORT:
        return None
    try:
        return re.compile(pattern)
    except re.error:
        return None


def _effort(pattern: str) -> float:
    """Estimate from above how many ways there are to try an expression on the longest address.

    Each "many" may end anywhere, each "either" doubles the ways; a choice within something repeated has no bound.
    """
    bare = ESCAPED.sub("x", pattern)
    while group := GROUP.search(bare):
        inner, repeated = group.groups()
        if repeated and (MANY.search(inner) or EITHER.search(inner.removeprefix("?"))):
            return float("inf")
        bare = bare[: group.start()] + inner.removeprefix("?") + repeated + bare[group.end() :]
    begins = 1 if bare.startswith("^") else LONGEST_ADDRESS
    return begins * float(LONGEST_ADDRESS) ** len(MANY.findall(bare)) * 2.0 ** len(EITHER.findall(bare))
