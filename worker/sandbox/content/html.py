"""Finds links and words in HTML and plain text that an attacker wrote.

The HTML parser of the standard library needs hours for some hostile pages, so tags are found by patterns that run in
linear time.
"""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

from worker.sandbox.content.content import Hyperlink

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS = re.compile(r"https?://[^\s<>\"'()\[\]{}]{1,2000}", re.IGNORECASE)
SITE = re.compile(r"https?://[^/\s]", re.IGNORECASE)
TAG = re.compile(r"<!--|<(/?)([a-zA-Z][a-zA-Z0-9]{0,20})((?:[\s/][^<>]{0,10000})?)>")
HREF = re.compile(r"""\shref\s{0,9}=\s{0,9}(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
LONGEST_LINK = 8000
ENDS = {name: re.compile(f"</{name}", re.IGNORECASE) for name in ("script", "style", "title")} | {
    "!--": re.compile("-->")
}


class HtmlPage:
    """One page: ``links`` in order with their texts, ``words`` as they are shown."""

    def __init__(self, page: str) -> None:
        """Read the page; comments, scripts and styles are skipped."""
        self.links: list[Hyperlink] = []
        self.words: list[str] = []
        self._href = ""
        self._label: list[str] = []
        self._read(page)
        self._end_link()

    def _read(self, page: str) -> None:
        shown = 0
        for tag in TAG.finditer(page):
            if tag.start() < shown:
                continue
            self._show(page[shown : tag.start()])
            shown = tag.end()
            closes, name = tag[1], (tag[2] or "!--").lower()
            if name == "a":
                self._end_link()
                self._href = "" if closes else _read_href(tag[3])
            elif name in ENDS and not closes:
                end = ENDS[name].search(page, tag.end())
                if end is None:
                    return
                shown = end.end() if name == "!--" else end.start()
        self._show(page[shown:])

    def _show(self, text: str) -> None:
        if words := " ".join(unescape(text).split()):
            self.words.append(words)
            self._label.append(words)

    def _end_link(self) -> None:
        if is_web(self._href):
            self.links.append(Hyperlink(self._href, " ".join(self._label) or None))
        self._href, self._label = "", []


def _read_href(attributes: str) -> str:
    found = HREF.search(attributes)
    return unescape(found[1] or found[2] or found[3] or "").strip() if found else ""


def find_links(text: str) -> Iterator[Hyperlink]:
    """Find the addresses in plain text, without the punctuation after them."""
    return (Hyperlink(href) for one in ADDRESS.finditer(text) if is_web(href := one[0].rstrip(".,;:!?")))


def is_web(href: str) -> bool:
    """Tell whether a link leads to a named place on the web."""
    return len(href) <= LONGEST_LINK and SITE.match(href) is not None


def host_of(href: str) -> str:
    """Return the host of a web link in lower case, without user and port."""
    site = href.split("/")[2].rpartition("@")[2].lower()
    return site[1:].partition("]")[0] if site.startswith("[") else site.partition(":")[0]
