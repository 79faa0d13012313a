"""Links: what a person can click in a mail, where that leads, and what the person sees of it."""

from collections.abc import Callable

from worker.escaping import escape
from worker.mime.addresses import (
    LONGEST,
    begins_with_host,
    find_addresses,
    find_host,
    list_words,
    resolve,
)
from worker.mime.charsets import clean
from worker.mime.letter import MailLink
from worker.mime.pages import Anchor, read_page

MOST = 300
"""Links of a mail at most."""
MOST_WORDS, LONGEST_TOGETHER = 5_000, 1 << 18
"""Words of a text that may be addresses, and their characters together, that are looked at."""
TOO_MANY = f"only the first {MOST} links were kept"
CUT = f"a link is longer than {LONGEST:,} characters and was cut"
GUESSED = "a link has no scheme: it was taken to lead to http"
LATE = "not all texts were searched for links, which would take too long"
WORDS = f"only the first {MOST_WORDS:,} words that may be links were looked at"


class LinkList:
    """The links of a mail while they are being found; ``problems`` says what could not be resolved or kept."""

    def __init__(self, is_late: Callable[[], bool]) -> None:
        self.problems: dict[str, None] = {}
        self._is_late = is_late
        self._found: dict[tuple[str, str], MailLink] = {}

    def take(self) -> tuple[MailLink, ...]:
        """Return the links, each once with each of its texts."""
        return tuple(self._found.values())

    def read_page(self, page: str) -> None:
        """Add the links of a page, and the addresses that stand in its text."""
        read = read_page(page, self._is_late)
        self._note(*read.problems)
        base = resolve(read.base)
        for anchor in read.anchors:
            self._add(anchor, base.href if base else "")
        self.read_text(read.text)

    def read_text(self, text: str) -> None:
        """Add the addresses that stand in a text."""
        length = 0
        for number, word in enumerate(list_words(text)):
            length += len(word)
            if number == MOST_WORDS or length > LONGEST_TOGETHER:
                self._note(WORDS)
            if number == MOST_WORDS or length > LONGEST_TOGETHER or not self._may_go_on():
                return
            for found in find_addresses(word):
                self._add(Anchor(found.href, found.text), "")

    def _may_go_on(self) -> bool:
        if len(self._found) >= MOST:
            self._note(TOO_MANY)
        elif self._is_late():
            self._note(LATE)
        else:
            return True
        return False

    def _add(self, anchor: Anchor, base: str) -> None:
        """Add a link, unless it only leads to another place of the same page."""
        href = "".join(anchor.href.split("\n")).strip()
        if not href or href.startswith("#") or not self._may_go_on():
            return
        self._note(CUT if len(href) > LONGEST else "")
        link = self._resolve(href[:LONGEST], clean(anchor.text), base)
        self._found.setdefault((link.href, link.text), link)

    def _resolve(self, href: str, text: str, base: str) -> MailLink:
        """Return where a link leads. One that leads nowhere is left as it is written."""
        address = resolve(href, base)
        if address is None and begins_with_host(href):
            self._note(GUESSED)
            address = resolve(f"http://{href.lstrip('/')}")
        if address is None:
            self._note(f"a link cannot be resolved: {escape(href, 100)}")
            return MailLink(clean(href), text, clean(href))
        return MailLink(address.href[:LONGEST], text, address.shown[:LONGEST], address.host, find_host(text))

    def _note(self, *problems: str) -> None:
        self.problems |= dict.fromkeys(filter(None, problems))


def find_links(text: str) -> tuple[MailLink, ...]:
    """Return the addresses that stand in a text."""
    links = LinkList(lambda: False)
    links.read_text(text)
    return links.take()
