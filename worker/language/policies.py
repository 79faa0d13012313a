"""An account's own lists: blocked senders, allow policies, trusted domains and the impersonation registry."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache, partial
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Self

from msgspec import field

from worker.language.base import Flag, Noun, Number, Text, domain_of, fold
from worker.language.domains import lies_within, to_ascii
from worker.language.lookalikes import find_alike
from worker.language.times import Time

PATIENCE = 0.05
"""Seconds for which a regular expression is tried on a pattern."""


class ListEntry(Noun, frozen=True, kw_only=True):
    """Fields that entries of all account lists have."""

    id: Text = ""
    comments: Text = ""
    created_at: Time = None
    modified_at: Time = None
    last_modified: Time = None

    @property
    def changed_at(self) -> datetime | None:
        """When it was last changed, or created; ``last_modified`` is an older name of the same field."""
        return self.modified_at or self.last_modified or self.created_at


class BlockedSender(ListEntry, frozen=True, kw_only=True):
    """An entry of the block list (``GET settings/block_senders``)."""

    _keys = ("pattern", "is_regex")

    pattern: Text = ""
    pattern_type: Text = ""
    is_regex: Flag = False


class AllowPolicy(ListEntry, frozen=True, kw_only=True):
    """A pattern of mail to let through (``GET settings/allow_policies``).

    An acceptable sender is exempt from SPAM, SPOOF and BULK, a trusted sender and an exempt recipient from everything.
    """

    _keys = ("pattern", "is_regex", "is_acceptable_sender", "is_trusted_sender", "is_exempt_recipient")

    pattern: Text = ""
    pattern_type: Text = ""
    is_regex: Flag = False
    is_acceptable_sender: Flag = False
    is_trusted_sender: Flag = False
    is_exempt_recipient: Flag = False
    verify_sender: Flag = False


class Policies(Noun, frozen=True, kw_only=True):
    """The account's own lists, in lower case; a fact."""

    domains: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    expressions: tuple[str, ...] = ()
    """Allow policies and trusted domains that are regular expressions, as they are written."""

    def protects(self, pattern: str) -> str:
        """Return which list protects an address, a domain or an IP, or a part of it; empty when none does.

        Domains above and below a listed one count as listed, because Cloudflare does not document whether blocking a
        domain also blocks its subdomains. A regular expression that cannot be tried protects everybody.
        """
        if owns(self.domains, pattern):
            return "domains"
        for name, listed in (("allow policies", self.allowed), ("trusted", self.trusted)):
            if _speaks(listed, pattern.lower()):
                return name
        return "allow policies" if any(_matches(one, pattern.lower()) for one in self.expressions) else ""


def owns(domains: Iterable[str], pattern: str) -> bool:
    """Return whether an address or domain lies within one of these domains, or one of them within it."""
    domain = pattern.rpartition("@")[2]
    return any(lies_within(domain, own) or lies_within(own, domain) for own in domains)


def _speaks(listed: Iterable[str], pattern: str) -> bool:
    """Return whether a list has the pattern, a domain above it, what lies within it, or an overlapping network."""
    if (network := _network(pattern)) is not None:
        return any(_overlap(network, other) for one in listed if (other := _network(one)))
    domain = domain_of(pattern)
    above = {pattern, *_list_above(domain or pattern), *_list_above(to_ascii(domain or pattern))}
    if domain:
        return not above.isdisjoint(listed)
    return any(one in above or one.endswith((f"@{pattern}", f".{pattern}")) for one in listed)


def _list_above(domain: str) -> Iterator[str]:
    """Yield a domain and those above it."""
    while domain:
        yield domain
        domain = domain.partition(".")[2]


@lru_cache(maxsize=4096)
def _matches(expression: str, pattern: str) -> bool:
    """Return whether an expression finds a pattern, or an address at it; true also when that cannot be told.

    Expressions are Java's, and patterns may be written by strangers: the library knows more of that syntax than the
    standard one, and gives up in time.
    """
    import regex  # noqa: PLC0415 (few accounts have such policies)

    texts = [pattern] if "@" in pattern else [pattern, f"x@{pattern}"]
    try:
        return any(regex.search(expression, text, regex.IGNORECASE, timeout=PATIENCE) for text in texts)
    except (regex.error, TimeoutError):
        return True


def _may_lie_within(expression: str, domain: str) -> bool:
    """Return whether an expression may find an address at a domain or below: by what it says behind the last @."""
    _, at, end = expression.rpartition("@")
    plain = end.replace("\\", "").replace("[.]", ".").rstrip("$)").lower()
    return not at or lies_within(plain, domain) or _matches(end, domain)


Network = IPv4Network | IPv6Network


def _network(pattern: str) -> Network | None:
    """Parse an IP or a network; return None for anything else."""
    if not pattern[:1].isdigit() and ":" not in pattern:  # most patterns; parsing them would cost more
        return None
    try:
        return ip_network(pattern, strict=False)
    except ValueError:
        return None


def _overlap(one: Network, other: Network) -> bool:
    """Return whether two networks share addresses."""
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.overlaps(other)
    return isinstance(other, IPv6Network) and one.overlaps(other)


class Registrant(ListEntry, frozen=True, kw_only=True):
    """A person whom impostors may impersonate (``GET settings/impersonation_registry``)."""

    _keys = ("name", "email", "is_email_regex")

    name: Text = ""
    email: Text = ""
    is_email_regex: Flag = False
    provenance: Text = ""
    directory_id: Number = 0
    directory_node_id: Number = 0
    external_directory_node_id: Text = ""


class Registry(Noun, frozen=True, kw_only=True):
    """The people whom impostors may impersonate: addresses by name, all in lower case; a fact."""

    people: dict[str, tuple[str, ...]] = field(default_factory=dict)
    emails: tuple[str, ...] = ()
    """All addresses that are known, also of people of whom others are not."""
    expressions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Addresses by name that are regular expressions, as they are written."""

    @classmethod
    def of(cls, people: Iterable[tuple[str, str | None]], expressions: Iterable[tuple[str, str]] = ()) -> Self:
        """Group addresses by name. A name with an unknown address (None), or an expression, gets none at all."""
        found: dict[str, list[str | None]] = defaultdict(list)
        written: dict[str, list[str]] = defaultdict(list)
        for name, address in people:
            found[fold(name)].append(address)
        for name, expression in expressions:
            found[fold(name)].append(None)
            written[fold(name)].append(expression)
        known = {one.lower(): None for addresses in found.values() for one in addresses if one is not None}
        return cls(
            people={name: _all_or_none(of) for name, of in found.items()},
            emails=tuple(known),
            expressions={name: tuple(of) for name, of in written.items()},
        )

    def knows(self, name: str) -> bool:
        """Return whether a person with this name is registered; case, spaces and hidden characters do not matter."""
        return fold(name) in self.people

    def resembles(self, name: str) -> str:
        """Return the registered name, in lower case, that people take a name for; empty when there is none.

        Other letters that look alike, accents, hidden characters, titles, the order of words and an address in the
        place of a name do not matter.
        """
        folded = fold(name)
        if folded in self.people:
            return folded
        if "@" in folded and (owner := self._find_owner(folded)):
            return owner
        return find_alike(name, tuple(self.people))

    def _find_owner(self, text: str) -> str:
        """Return whose address stands in a text."""
        owned = ((name, one) for name, addresses in self.people.items() for one in addresses)
        return next((name for name, address in owned if address in text), "")

    def is_registered(self, address: str) -> bool:
        """Return whether an address is one of the registry; one that cannot be tried counts as any address."""
        return address.lower() in self.emails or any(map(partial(self._finds, address), self.expressions))

    def has_within(self, domain: str) -> bool:
        """Return whether an address of the registry lies within a domain, or may."""
        written = (one for of in self.expressions.values() for one in of)
        known = any(lies_within(domain_of(one), domain) for one in self.emails)
        return known or any(_may_lie_within(one, domain.lower()) for one in written)

    def owns(self, name: str, address: str) -> bool:
        """Return whether people with this name write from an address, also by a regular expression.

        True also when that cannot be told: no address is known, or what cannot be tried may be any address.
        """
        folded = fold(name)
        known, written = self.people.get(folded), self.expressions.get(folded)
        is_known = bool(known or written or known is None)
        return not is_known or address.lower() in (known or ()) or self._finds(address, folded)

    def _finds(self, address: str, folded: str) -> bool:
        return any(_matches(one, address.lower()) for one in self.expressions.get(folded, ()))

    def addresses(self, name: str) -> tuple[str, ...]:
        """Return the addresses that people with this name write from, in lower case.

        Empty when nobody has this name, and when one of the addresses is a regular expression: ask ``owns`` then.
        """
        return self.people.get(fold(name), ())


def _all_or_none(addresses: list[str | None]) -> tuple[str, ...]:
    known = tuple(one.lower() for one in addresses if one is not None)
    return known if len(known) == len(addresses) else ()
