"""Links and words out of HTML and plain text that an attacker wrote; both are read in linear time or cut off."""

from __future__ import annotations

import re
from contextlib import suppress
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from worker.sandbox.content import Link

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS = re.compile(r"https?://[^\s<>\"'()\[\]{}]{1,2000}", re.IGNORECASE)
SITE = re.compile(r"https?://[^/\s]", re.IGNORECASE)
LONGEST_LINK = 8000
UNREAD = frozenset({"script", "style", "title"})


class Page(HTMLParser):
    """Reads one page: ``links`` in their order with what they look like, ``words`` as they are shown."""

    def __init__(self, page: str) -> None:
        """Read as far as the parser of the standard library gets; it gives up on some broken declarations."""
        super().__init__()
        self.links: list[Link] = []
        self.words: list[str] = []
        self._unread = 0
        self._href = ""
        self._label: list[str] = []
        with suppress(AssertionError):
            self.feed(page)
            self.close()
        self._end_link()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a link, or something that nobody reads."""
        if tag in UNREAD:
            self._unread += 1
        elif tag == "a":
            self._end_link()
            self._href = (dict(attrs).get("href") or "").strip()

    def handle_endtag(self, tag: str) -> None:
        """End it."""
        if tag in UNREAD:
            self._unread = max(0, self._unread - 1)
        elif tag == "a":
            self._end_link()

    def handle_data(self, data: str) -> None:
        """Keep what is shown."""
        if not self._unread:
            self.words.append(data)
            self._label.append(data)

    def _end_link(self) -> None:
        if is_web(self._href):
            self.links.append(Link(self._href, " ".join("".join(self._label).split()) or None))
        self._href, self._label = "", []


def links_in(text: str) -> Iterator[Link]:
    """Find the addresses in plain text; the full stop after one is not a part of it."""
    return (Link(href) for one in ADDRESS.finditer(text) if is_web(href := one[0].rstrip(".,;:!?")))


def is_web(href: str) -> bool:
    """Tell whether a link leads to a named place on the web."""
    return len(href) <= LONGEST_LINK and SITE.match(href) is not None


def host_of(href: str) -> str:
    """Return the host of a web link in lower case, without user and port."""
    site = href.split("/")[2].rpartition("@")[2].lower()
    return site[1:].partition("]")[0] if site.startswith("[") else site.partition(":")[0]
