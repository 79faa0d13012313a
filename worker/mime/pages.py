"""Pages: the links in HTML and the text that a person sees of them, read piece by piece, in bounded time."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from lxml import etree

STEP = 1 << 15
"""Characters of a page that are parsed before the time is looked at."""
DEEPEST = 500
"""Tags in tags at most: browsers stop there, and parsing takes longer the deeper they are."""
MOST_FOUND = 2_000
"""Links of a page that are kept at most."""
MOST_COMMENTS = 200
"""Comments that Outlook shows, and that are read, at most."""
MOST_TAGS = 100_000
"""Tags of a page that are read at most."""
LONGEST_TEXT = 1_000
"""Characters of the visible text of a link at most."""
UNSEEN = frozenset({"script", "style", "title", "template", "noframes", "noembed", "iframe", "head"})
INLINE = frozenset(
    {"a", "abbr", "b", "bdi", "bdo", "big", "cite", "code", "em", "font", "i", "ins", "kbd", "label", "mark", "nobr"}
    | {"o:p", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "tt", "u", "wbr"}
)
NO_LINKS = frozenset({"base", "link"})
"""Tags of which the href is no link."""
CONDITION = re.compile(r"\[if [^\]]{0,200}\]>(.*)<!\[endif\]\Z", re.DOTALL)
"""A comment that Outlook shows."""
TOO_DEEP = f"a page with more than {DEEPEST} tags in tags was not read to its end"
LATE = "a page was not read to its end, which would take too long"
TAGS = f"only the first {MOST_TAGS:,} tags of a page were read"
TOO_MANY = f"only the first {MOST_FOUND:,} links of a page were read"
COMMENTS = f"only the first {MOST_COMMENTS} comments for Outlook were read"


class Anchor(NamedTuple):
    """A link as it is written in a page, and its visible text."""

    href: str
    text: str


class PageContent(NamedTuple):
    """The links of a page, where they are relative to, its text without links, and what was not read."""

    anchors: tuple[Anchor, ...]
    base: str
    text: str
    problems: tuple[str, ...]


def read_page(page: str, is_late: Callable[[], bool]) -> PageContent:
    """Read a page piece by piece, until the time is over."""
    reader = _PageReader()
    _feed(reader, page, is_late)
    for comment in reader.comments[:MOST_COMMENTS]:  # what is in them is no part of the tree around them
        inner = _PageReader()
        _feed(inner, comment, is_late)
        reader.anchors += inner.anchors
        reader.problems |= inner.problems
    if len(reader.comments) > MOST_COMMENTS:
        reader.problems[COMMENTS] = None
    text = "".join(reader.texts)
    return PageContent(tuple(reader.anchors), reader.base, text, tuple(reader.problems))


class _Stop(Exception):
    """The rest of a page is not read."""


def _feed(reader: "_PageReader", page: str, is_late: Callable[[], bool]) -> None:
    parser = etree.HTMLParser(target=reader, encoding="utf-8", huge_tree=True)
    try:
        for start in range(0, len(page), STEP):
            if is_late():
                reader.stop(LATE)
            parser.feed(page[start : start + STEP].encode())
        parser.close()
    except _Stop:
        pass
    except etree.XMLSyntaxError:  # an empty page
        return


class _Open(NamedTuple):
    """A link whose end has not come yet: how deep it is, where it leads, and its text so far."""

    depth: int
    href: str
    texts: list[str]


class _PageReader:
    """Hears of the tags and texts of a page, one after the other."""

    def __init__(self) -> None:
        self.anchors, self.texts, self.comments = list[Anchor](), list[str](), list[str]()
        self.base, self.problems = "", dict[str, None]()
        self._tags, self._depth, self._unseen = 0, 0, 0
        self._open: list[_Open] = []

    def stop(self, problem: str) -> None:
        """Leave out the rest of the page."""
        self.problems[problem] = None
        while self._open:
            self._end_link()
        raise _Stop

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Hear of a tag."""
        self._tags += 1
        self._depth += 1
        self._unseen += tag in UNSEEN
        if self._tags > MOST_TAGS:
            self.stop(TAGS)
        if self._depth > DEEPEST:
            self.stop(TOO_DEEP)
        if tag == "a" and self._open and self._open[-1].href:
            self._end_link()
        if tag not in INLINE:
            self._break()
        self._look(tag, attributes)

    def _look(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Look at the attributes of a tag for links."""
        if tag == "base":
            self.base = self.base or attributes.get("href", "")
        href = attributes.get("href") or attributes.get("xlink:href")
        if href and tag not in NO_LINKS:
            self._open.append(_Open(self._depth, href, [attributes.get("alt", "")] if tag == "area" else []))
            self.texts.append(" ")
        for name in ("action", "formaction"):
            if goal := attributes.get(name):
                self._keep(Anchor(goal, attributes.get("value", "")))
        if self._open and tag == "img":
            self._open[-1].texts.append(attributes.get("alt", ""))

    def end(self, tag: str) -> None:
        """Hear of the end of a tag."""
        while self._open and self._open[-1].depth >= self._depth:
            self._end_link()
        self._depth -= 1
        self._unseen -= tag in UNSEEN
        if tag not in INLINE:
            self._break()

    def data(self, text: str) -> None:
        """Hear of a text."""
        if not self._unseen:
            (self._open[-1].texts if self._open else self.texts).append(text)

    def comment(self, text: str) -> None:
        """Hear of a comment."""
        if found := CONDITION.match(text):
            self.comments.append(found[1])

    def close(self) -> None:
        """Hear of the end of the page."""
        while self._open:
            self._end_link()

    def _break(self) -> None:
        (self._open[-1].texts if self._open else self.texts).append("\n")

    def _end_link(self) -> None:
        link = self._open.pop()
        self._keep(Anchor(link.href, " ".join("".join(link.texts).split())[:LONGEST_TEXT]))

    def _keep(self, anchor: Anchor) -> None:
        if len(self.anchors) == MOST_FOUND:
            self.problems[TOO_MANY] = None
        else:
            self.anchors.append(anchor)
