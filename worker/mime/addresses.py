"""Addresses of the web: where a click leads, as browsers resolve it, and addresses that stand in texts."""

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from ada_url import URL, idna_to_unicode
from linkify_it import LinkifyIt
from publicsuffixlist import PublicSuffixList

from worker.escaping import DOT

LONGEST = 4_096
"""Characters of an address at most."""
SCHEME = re.compile(r"(?:https?|ftp)://", re.IGNORECASE)
ANY_END = r"[a-z\u00a1-\uffff][a-z0-9\u00a1-\uffff-]{1,62}"
RESERVED = frozenset({"example", "test", "invalid"})
"""Ends of names that exist on paper only: in examples, and in sandboxes."""
AFTER_HOST = re.compile(r"[/?#:]")
PUNCTUATION = ".,;:!?)]}>'\""


class Address(NamedTuple):
    """An address as browsers write it, the same with its host in letters, and the host in punycode (or empty)."""

    href: str
    shown: str
    host: str


class Mention(NamedTuple):
    """An address as it stands in a text, and where it leads."""

    text: str
    href: str


def resolve(href: str, base: str = "") -> Address | None:
    """Return where a link leads; None if that cannot be told."""
    try:
        url = URL(href, base) if base else URL(href)
    except ValueError:
        return None
    host = url.hostname
    letters = idna_to_unicode(host) if "xn--" in host else host
    return Address(url.href, url.href.replace(host, letters, 1) if host else url.href, host)


def is_named(host: str) -> bool:
    """Tell whether a name without a scheme is one of the web: it says so, or its end is one that there is."""
    start, dot, end = host.lower().rpartition(".")
    return bool(start and dot) and (start.startswith("www.") or end in RESERVED or _has_known_end(host))


def begins_with_host(href: str) -> bool:
    """Tell whether a link without a scheme begins with a name of the web."""
    return is_named(AFTER_HOST.split(href.lstrip("/"), maxsplit=1)[0])


def list_words(text: str) -> list[str]:
    """Return the words of a text that may hold an address, each once."""
    return list(dict.fromkeys(word for word in text.split() if "://" in word or DOT.search(word[1:-1])))


def find_addresses(word: str) -> Iterator[Mention]:
    """Yield the addresses in a word; those without a scheme lead to http, as mail programs have it.

    One with another sign than the dot is read in both ways: for some programs that sign ends it.
    """
    yield from _find_written(word)
    if not word.isascii() and (dotted := DOT.sub(".", word)) != word:
        yield from _find_written(dotted)


def _find_written(word: str) -> Iterator[Mention]:
    begin = SCHEME.search(word)
    word = word[begin.start() if begin else 0 :][:LONGEST]
    found = _linkify().match(word)
    bare = word.rstrip(PUNCTUATION)
    if begin and not found and resolve(bare):
        yield Mention(bare, bare)
    for one in found or ():
        if one.schema or is_named(AFTER_HOST.split(one.raw, maxsplit=1)[0]):
            yield Mention(one.raw, one.url)


def find_host(text: str) -> str:
    """Return the host of the first address in a text, in punycode; empty without one."""
    found = next((one for word in list_words(text) for one in find_addresses(word)), None)
    address = resolve(found.href) if found else None
    return address.host if address else ""


@cache
def _linkify() -> LinkifyIt:
    return LinkifyIt(options={"fuzzy_email": False, "fuzzy_ip": True}).add("//", None).tlds(ANY_END)


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=False, only_icann=True)


def _has_known_end(host: str) -> bool:
    return _suffixes().publicsuffix(host) is not None or host.rpartition(".")[2].isdecimal()
