"""The reader: takes a mail apart as mail programs do, in bounded time, and says what it could not read."""

import re
import time
from collections.abc import Callable, Iterator

from msgspec.structs import replace

from worker.mime.boundaries import Segment, Span
from worker.mime.charsets import decode_page, decode_text
from worker.mime.headers import HeaderBlock, read_head
from worker.mime.letter import Enclosure, Letter, MailHeader, enclose
from worker.mime.links import LinkList
from worker.mime.octets import Octets
from worker.mime.parts import PLAIN, MailPart, Walk, find_oddities
from worker.mime.transfer import IDENTITY, decode_transfer
from worker.mime.values import decode_words

LONGEST = 40 << 20
"""Bytes of a mail that are read at most."""
LONGEST_TEXT = 2 << 20
"""Bytes of all texts and pages that are read at most."""
MOST_HEADERS, LONGEST_NAME = 200, 1_000
SECONDS = 8.0
"""Seconds of CPU time after which no further part is begun."""
PAGE = re.compile(r"\s{0,99}<(?:!doctype html|html|head|body)[\s>]", re.IGNORECASE)
PAGES = frozenset({"text/html", "text/x-amp-html", "application/xhtml+xml"})
OPENS = re.compile(r"\.(?:[sx]?html?|svg)\s*\Z", re.IGNORECASE)
"""The end of the name of a file that opens as a page."""
SEALED = frozenset(
    {
        "application/pkcs7-mime",
        "application/x-pkcs7-mime",
        "application/pgp-encrypted",
        "application/ms-tnef",
        "message/partial",
        "message/external-body",
    }
)
"""Types of parts that may hide a whole mail."""
LATE = f"taking the mail apart took longer than {SECONDS:g} s: the rest was not read"
GUESSED = "it is unknown which bytes a file had that came as text: its size and hashes are a guess"
FLOWING = re.compile(r"(?<!\n--) \n")
"""The end of a line that goes on; the mark of a signature does not."""
MARKUP = "a text is written in HTML, and its type does not say so"
NUL = "a text has NUL characters"


def read_letter(octets: Octets, clock: Callable[[], float] = time.process_time) -> Letter:
    """Take a mail apart; ``clock`` counts the seconds of CPU time that this takes."""
    *_, letter = read_stages(octets, clock)
    return letter


def read_stages(octets: Octets, clock: Callable[[], float] = time.process_time) -> Iterator[Letter]:
    """Yield a mail as far as it is read: without links first, and then whole."""
    began = clock()
    reader = _MailReader(octets, lambda: clock() - began > SECONDS)
    yield reader.read_parts()
    yield reader.read_links()


class _MailReader:
    """A mail while it is being read."""

    def __init__(self, octets: Octets, is_late: Callable[[], bool]) -> None:
        self._data, self._is_guess = octets.data[:LONGEST], octets.is_guess
        self._cut = octets.is_cut or len(octets.data) > LONGEST
        self._is_late = is_late
        self._walk = Walk()
        self._texts, self._pages, self._files = list[str](), list[str](), list[Enclosure]()
        self._attached = dict[int, str]()
        """The pages among the files, by their places."""
        self._left = self._left_attached = LONGEST_TEXT
        self._letter = Letter()

    def read_parts(self) -> Letter:
        """Read headers, texts and files."""
        if self._cut:
            self._walk.note(f"only the first {len(self._data):,} bytes were read")
        data = self._data if b"\n" in self._data else self._data.replace(b"\r", b"\n")
        head = read_head(data, *_skip_blank_lines(data))
        for part in self._walk.walk(head, Segment(Span(data, head.body, len(data)), ends=not self._cut)):
            if self._is_late():
                self._walk.note(LATE)
                break
            self._take(part)
        text, html = "\n".join(self._texts), "\n".join(self._pages)
        self._letter = Letter(self._read_fields(head), text, html, (), tuple(self._files), self._list_problems())
        return self._letter

    def read_links(self) -> Letter:
        """Find the links in what is read."""
        links = LinkList(self._is_late)
        for page in self._pages:
            links.read_page(page)
        for text in self._texts:
            links.read_text(text)
            if PAGE.match(text):
                self._walk.note(MARKUP)
                links.read_page(text)
        self._walk.note(*links.problems)
        files = tuple(self._add_links(at, file) for at, file in enumerate(self._files))
        return replace(self._letter, links=links.take(), files=files, problems=self._list_problems())

    def _add_links(self, at: int, file: Enclosure) -> Enclosure:
        """Find the links of a page that is attached: whoever opens it sees them."""
        if at not in self._attached:
            return file
        links = LinkList(self._is_late)
        links.read_page(self._attached[at])
        self._walk.note(*links.problems)
        return replace(file, links=links.take())

    def _list_problems(self) -> tuple[str, ...]:
        return tuple(self._walk.problems)

    def _read_fields(self, head: HeaderBlock) -> tuple[MailHeader, ...]:
        """Return the headers of the mail itself, up to a limit."""
        if len(head.fields) > MOST_HEADERS:
            self._walk.note(f"only the first {MOST_HEADERS} of {len(head.fields)} headers were read")
        found = head.fields[:MOST_HEADERS]
        return tuple(MailHeader(name, decode_words(value), value.decode("latin-1")) for name, value in found)

    def _take(self, part: MailPart) -> None:
        """Add a part to the texts, the files, or both: a text with the name of a file is shown, and can be saved."""
        data, problem = decode_transfer(part.body.take(), part.encoding)
        is_attached = part.disposition.main == "attachment"
        self._walk.note(problem, f"a part was not opened: {part.kind}" if part.kind in SEALED else "")
        if not is_attached and (part.kind in PAGES or part.kind.startswith("text/")):
            self._take_text(part, data)
        if is_attached or part.name or part.kind not in PLAIN:
            self._take_file(part, data)

    def _take_text(self, part: MailPart, data: bytes) -> None:
        """Add a text that is shown, up to the limit for all of them."""
        self._walk.note(*find_oddities(part))
        if len(data) > self._left:
            self._walk.note(f"only the first {LONGEST_TEXT:,} bytes of texts were read")
        data, self._left = data[: self._left], max(0, self._left - len(data))
        is_page = part.kind in PAGES
        text, problem = (decode_page if is_page else decode_text)(data, part.type.get("charset"))
        self._walk.note(problem, NUL if "\0" in text else "")
        text = text.replace("\0", "").replace("\r\n", "\n")
        (self._pages if is_page else self._texts).append(join_lines(text, part))

    def _take_file(self, part: MailPart, data: bytes) -> None:
        """Add a file; one whose end is missing would have the size and the hashes of another."""
        name = part.name
        if len(name) > LONGEST_NAME:
            self._walk.note("the name of a file was cut")
        name = name[:LONGEST_NAME]
        if part.disposition.main == "attachment" or part.kind not in PAGES:
            self._keep_page(part, name, data)
        if self._is_guess and part.encoding in IDENTITY and not data.isascii():
            self._walk.note(GUESSED)
        self._files.append(enclose(name, part.kind, data) if part.ends else Enclosure(name, part.kind))

    def _keep_page(self, part: MailPart, name: str, data: bytes) -> None:
        """Keep a file that opens as a page, up to the limit for all of them."""
        if part.kind not in PAGES and not OPENS.search(name):
            return
        if len(data) > self._left_attached:
            self._walk.note(f"only the first {LONGEST_TEXT:,} bytes of attached pages were searched for links")
        page, _ = decode_page(data[: self._left_attached], part.type.get("charset"))
        self._attached[len(self._files)], self._left_attached = page, max(0, self._left_attached - len(data))


def join_lines(text: str, part: MailPart) -> str:
    """Put together the lines of a text that flows: a blank at the end says that it goes on (RFC 3676)."""
    if part.kind != "text/plain" or part.type.get("format").lower() != "flowed":
        return text
    return FLOWING.sub("" if part.type.get("delsp").lower() == "yes" else " ", text)


def _skip_blank_lines(data: bytes) -> tuple[int, int]:
    """Return where a mail begins, behind empty lines that only an exporter writes, and where it ends."""
    return len(data) - len(data.lstrip(b"\r\n")), len(data)
