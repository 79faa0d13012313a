"""Whether an entry of a list matches a sender, a recipient or a server: literally, by network, or by expression."""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import lru_cache, partial
from ipaddress import ip_address, ip_network
from math import comb, inf
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from worker.sandbox.wire import Json

# Expressions and the texts they are tried on both come from outside, and the engine of the standard library has no
# time limit. So a text is cut to the longest address there can be, and an expression is not tried where it might
# backtrack too often. A try takes a tenth of a microsecond, so the longest search takes a few milliseconds.
LONGEST_ADDRESS = 254
MOST_TRIES = 2.0**16
ESCAPED = re.compile(r"\\.|\(\?#(?:\\.|[^)\\])*\)|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
MANY = re.compile(r"(?:[*+]|\{\d*,\d*\})[?+]?")
MAYBE = re.compile(r"\?[?+]?")
LOOK = re.compile(r"\?<?[=!]")
SPACED = re.compile(r"\(\?[a-zA-Z]*x")
SERVERS = ("x_originating_ip", "smtp_helo_server_ip", "smtp_previous_hop_ip")
GROUP = re.compile(r"\(([^()]*)\)([*+{]?)")


class Parties(Struct, frozen=True):
    """The parties to a message: addresses, and the servers that it came over."""

    addresses: tuple[str, ...]
    servers: tuple[str, ...] = ()


def senders(fields: Json) -> Parties:
    """Return all addresses and servers a message comes from, and the address for answers."""
    return Parties(_strings(fields, "from", "envelope_from", "replyto"), _strings(fields, *SERVERS))


def authors(fields: Json) -> Parties:
    """Return who wrote a message. Its address for answers is left out, since anybody can write one in."""
    return Parties(_strings(fields, "from", "envelope_from"), _strings(fields, *SERVERS))


def recipients(fields: Json) -> Parties:
    """Return whom a message is for."""
    named = fields.get("client_recipients")
    return Parties(tuple(map(str, named)) if isinstance(named, list | tuple) else ())


def matches(entry: Json, parties: Parties) -> bool:
    """Tell whether an entry matches one of the parties; case is ignored."""
    pattern = str(entry["pattern"])
    if entry.get("is_regex"):
        return any(_search(pattern, text[:LONGEST_ADDRESS]) for text in (*parties.addresses, *parties.servers))
    wanted, kind = pattern.lower(), entry.get("pattern_type", "DOMAIN")
    if kind == "IP":
        return any(_is_inside(server, pattern) for server in parties.servers)
    if kind == "DOMAIN":
        return any(address.lower().rpartition("@")[2] == wanted for address in parties.addresses)
    return any(address.lower() == wanted for address in parties.addresses)


def _strings(fields: Json, *names: str) -> tuple[str, ...]:
    return tuple(value for name in names if isinstance(value := fields.get(name), str))


def _is_inside(server: str, network: str) -> bool:
    """Tell whether a server is in a network; a text that is no address is in none."""
    try:
        return ip_address(server) in ip_network(network, strict=False)
    except ValueError:
        return False


@lru_cache(maxsize=1024)
def _search(pattern: str, text: str) -> bool:
    """Search in an address; an expression that might backtrack too often on it does not match."""
    expression, longest = _compile_bounded(pattern)
    return expression is not None and len(text) <= longest and expression.search(text) is not None


@lru_cache(maxsize=1024)
def _compile_bounded(pattern: str) -> tuple[re.Pattern[str] | None, int]:
    """Compile an expression, if it is valid, and tell on how many characters it may be tried."""
    try:
        expression = re.compile(pattern)
    except re.error:
        return None, 0
    tries = partial(_estimate_tries, ESCAPED.sub("x", pattern))
    return expression, bisect_right(range(LONGEST_ADDRESS + 1), MOST_TRIES, key=tries) - 1


def _estimate_tries(bare: str, length: int) -> float:
    """Return an upper bound of the tries of an expression (without escapes and sets) on so many characters.

    A choice within something repeated has no bound, nor has what is written with spaces and comments.
    """
    if SPACED.search(bare):
        return inf
    while group := GROUP.search(bare):
        inner, repeated = group.groups()
        if repeated and (MANY.search(inner) or MAYBE.search(inner.removeprefix("?")) or "|" in inner):
            return inf
        bare = bare[: group.start()] + _flatten(inner, length) + "x" + repeated + bare[group.end() :]
    return sum(_count_ways(branch, length, anywhere=not branch.startswith("^")) for branch in bare.split("|"))


def _flatten(inner: str, length: int) -> str:
    """Rewrite a group without its parentheses: a choice as so many doublings, a look around as one more walk."""
    walk = "x*" if LOOK.match(inner) else ""
    inner = inner.removeprefix("?").replace("^", "x")
    if "|" in inner:
        ways = sum(_count_ways(branch, length) for branch in inner.split("|"))
        inner = "x?" * (ways - 1).bit_length()
    return inner + walk


def _count_ways(branch: str, length: int, *, anywhere: bool = False) -> int:
    """Count the ways to try a sequence: repeated parts share the text among them, each optional part doubles them."""
    shares = len(MANY.findall(branch)) + anywhere
    return comb(length + shares, shares) << len(MAYBE.findall(MANY.sub("", branch)))
