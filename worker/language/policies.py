"""The nouns of an account's own lists: who is blocked, who is let through, and whose names strangers may borrow."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Self

from msgspec import field

from worker.language.base import Flag, Noun, Number, Text, domain_of, fold


class ListEntry(Noun, frozen=True, kw_only=True):
    """What the entries of all lists of an account have in common."""

    id: Text = ""
    comments: Text = ""
    created_at: datetime | None = None
    modified_at: datetime | None = None
    last_modified: datetime | None = None

    @property
    def changed_at(self) -> datetime | None:
        """When it was changed last, or made; ``last_modified`` is the older name of that time."""
        return self.modified_at or self.last_modified or self.created_at


class BlockedSender(ListEntry, frozen=True, kw_only=True):
    """An entry of the block list (``GET settings/block_senders``)."""

    pattern: Text = ""
    pattern_type: Text = ""
    is_regex: Flag = False


class AllowPolicy(ListEntry, frozen=True, kw_only=True):
    """A pattern whose mail is let through (``GET settings/allow_policies``).

    An acceptable sender is exempt from SPAM, SPOOF and BULK, a trusted sender and an exempt recipient from everything.
    """

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

    def protects(self, pattern: str) -> str:
        """Say which list speaks for an address, a domain or an IP, or for a part of it; empty when none does.

        A domain above or below one of the account's own counts as its own: nobody documents whether a block of a domain
        reaches further than the domain itself.
        """
        if owns(self.domains, pattern):
            return "domains"
        for name, listed in (("allow policies", self.allowed), ("trusted", self.trusted)):
            if _speaks(listed, pattern.lower()):
                return name
        return ""


def owns(domains: Iterable[str], pattern: str) -> bool:
    """Tell whether an address or domain lies within one of these domains, or one of them within it."""
    domain = "." + _as_sent(domain_of(pattern) or pattern.lower())
    return any(f".{own}".endswith(domain) or domain.endswith(f".{own}") for own in map(_as_sent, domains))


def _as_sent(domain: str) -> str:
    """Write a domain as mail servers do, whose letters may be beyond ASCII."""
    try:
        return domain if domain.isascii() else domain.encode("idna").decode()
    except UnicodeError:
        return domain


def _speaks(listed: Iterable[str], pattern: str) -> bool:
    """Tell whether a list holds a pattern, its domain, an address of it, or a network that has addresses of it."""
    domain = domain_of(pattern)
    if domain:
        return not {pattern, domain}.isdisjoint(listed)
    network = _network(pattern)
    if network is None:
        return any(one == pattern or one.endswith("@" + pattern) for one in listed)
    return any(_overlap(network, other) for one in listed if (other := _network(one)))


Network = IPv4Network | IPv6Network


def _network(pattern: str) -> Network | None:
    """Read an IP or a network; None for anything else, which no digit and no colon tells at once."""
    if not pattern[:1].isdigit() and ":" not in pattern:
        return None
    try:
        return ip_network(pattern, strict=False)
    except ValueError:
        return None


def _overlap(one: Network, other: Network) -> bool:
    """Tell whether two networks have addresses in common."""
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.overlaps(other)
    return isinstance(other, IPv6Network) and one.overlaps(other)


class Registrant(ListEntry, frozen=True, kw_only=True):
    """A person whose name strangers may borrow (``GET settings/impersonation_registry``)."""

    name: Text = ""
    email: Text = ""
    is_email_regex: Flag = False
    provenance: Text = ""
    directory_id: Number = 0
    directory_node_id: Number = 0
    external_directory_node_id: Text = ""


class Registry(Noun, frozen=True, kw_only=True):
    """The people whose names strangers may borrow, each name with its addresses, all in lower case; a fact."""

    people: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, people: Iterable[tuple[str, str | None]]) -> Self:
        """Gather addresses by name; a name of which one address is None, for it cannot be told, has none."""
        found: dict[str, list[str | None]] = defaultdict(list)
        for name, address in people:
            found[fold(name)].append(address)
        return cls(people={name: _all_or_none(addresses) for name, addresses in found.items()})

    def knows(self, name: str) -> bool:
        """Tell whether somebody of this name is registered; case and spaces do not matter."""
        return fold(name) in self.people

    def addresses(self, name: str) -> tuple[str, ...]:
        """Return the addresses from which people of this name write, in lower case.

        Empty when there is nobody of this name, and when one of the addresses is a regular expression: its syntax is
        Java's, so what it matches cannot be told here.
        """
        return self.people.get(fold(name), ())


def _all_or_none(addresses: list[str | None]) -> tuple[str, ...]:
    told = tuple(one.lower() for one in addresses if one is not None)
    return told if len(told) == len(addresses) else ()
