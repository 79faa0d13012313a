"""Parse a mail into headers, texts, links and files, in bounded time also when the mail is hostile.

The standard library reads headers and decodes bodies, but this module splits the parts: given a whole mail, the
library's parser needs 40 s for 200 KB of semicolons in one header, and four times as long for twice as many.
"""

import codecs
import re
from collections.abc import Callable, Iterator
from email.errors import MessageError
from email.header import decode_header
from email.message import Message as Part
from email.parser import BytesParser
from functools import partial
from hashlib import sha256
from html import unescape
from typing import TypeVar, cast

from msgspec.structs import replace

from worker.language.models import Attachment, Header, Raw
from worker.language.shortening import shorten

T = TypeVar("T")
LONGEST = 2_000_000
"""Bytes of a mail that are read at most."""
HEAD = 65_536
"""Bytes of a part's headers that are read at most."""
DECODED = 2_000
"""Characters of one header that are decoded, or searched for parameters, at most."""
MOST_HEADERS, MOST_PARTS, MOST_LINKS = 200, 100, 100
NO_CHARSETS = frozenset({"idna", "punycode", "raw-unicode-escape", "unicode-escape", "undefined"})
"""Codecs that are not for texts, or slow."""
PARAMETRIC = ("content-type", "content-disposition", "content-transfer-encoding")
# Nothing follows the repeated parts, so the search never backtracks.
HREF = re.compile(r"""href\s{0,9}=\s{0,9}(?:"([^"]{1,2048})|'([^']{1,2048})|([^\s"'>]{1,2048}))""", re.IGNORECASE)
ADDRESS = re.compile(r"""https?://[^\s<>"']{1,2048}""", re.IGNORECASE)


def parse_mail(eml: str) -> Raw:
    """Parse a mail; ``problems`` says what could not be read and is left out."""
    data = eml[: LONGEST + 1].encode("utf-8", "replace")
    return _Letter(data[:LONGEST], cut=len(data) > LONGEST).read()


class _Letter:
    """A mail while it is being parsed."""

    def __init__(self, data: bytes, *, cut: bool) -> None:
        self._data, self._cut = data, cut
        self._texts: dict[str, list[str]] = {"html": [], "plain": []}
        self._files: list[Attachment] = []
        self._parts = 0
        self._problems = dict.fromkeys([f"only the first {LONGEST:,} bytes were read"] if cut else [])

    def read(self) -> Raw:
        """Parse the whole mail."""
        head, body = _split_head(self._data)
        top = _parse_headers(head)
        cut_file = None
        for part, data in self._walk_parts(top, body):
            files = len(self._files)
            self._try(partial(self._take, part, data))
            cut_file = files if len(self._files) > files else None
        if self._cut and cut_file is not None:  # its end is missing, so size and hash would be those of another file
            self._files[cut_file] = replace(self._files[cut_file], size=0, sha256="")
        return self._collect(top, len(head))

    def _collect(self, top: Part, length: int) -> Raw:
        """Return what has been read, with the headers of the mail itself."""
        html, text = "\n".join(self._texts["html"]), "\n".join(self._texts["plain"])
        headers = self._take_headers(top, length)
        return shorten(
            Raw(
                headers=tuple(Header(name=name, value=_decode_words(value)) for name, value in headers),
                text=text,
                html=html,
                links=self._find_links(html, text),
                attachments=tuple(self._files),
                problems=tuple(self._problems),
            )
        )

    def _note(self, problem: str) -> None:
        self._problems[problem] = None

    def _try(self, read: Callable[[], T]) -> T | None:
        """Call the library, which may raise anything on input that no mail program writes."""
        try:
            return read()
        except Exception as error:  # noqa: BLE001 (the library does not document what it raises)
            self._note(f"a part could not be read: {type(error).__name__}")
            return None

    def _take_headers(self, top: Part, length: int) -> list[tuple[str, str]]:
        """Return the headers up to the limits."""
        found = list(top.raw_items())
        if len(found) > MOST_HEADERS or length > HEAD:
            self._note(f"only the first {MOST_HEADERS} headers and {HEAD:,} bytes of them were read")
        return found[:MOST_HEADERS]

    def _walk_parts(self, part: Part, body: bytes) -> Iterator[tuple[Part, bytes]]:
        """Yield the parts that contain no other parts; an attached mail is one file."""
        self._parts += 1
        boundary = self._try(lambda: _find_boundary(part))
        if not boundary:
            yield part, body
            return
        for piece in _split_parts(body, boundary):
            if self._parts >= MOST_PARTS:
                self._note(f"only the first {MOST_PARTS} parts were read")
                return
            head, inside = _split_head(piece)
            yield from self._walk_parts(_parse_headers(head), inside)

    def _take(self, part: Part, body: bytes) -> None:
        """Add one part to the texts or to the files."""
        kind, name = part.get_content_type(), part.get_filename()
        part.set_payload(body.decode("ascii", "surrogateescape"))
        data = cast("bytes", part.get_payload(decode=True))
        shown = kind.removeprefix("text/")
        if name or part.get_content_disposition() == "attachment" or shown not in self._texts:
            name = _decode_words(name or "")
            digest = sha256(data).hexdigest()
            self._files.append(Attachment(filename=name, content_type=kind, size=len(data), sha256=digest))
        else:
            self._texts[shown].append(_decode_text(data, part.get_content_charset("utf-8")))

    def _find_links(self, html: str, text: str) -> tuple[str, ...]:
        """Return each address once, without line breaks, which browsers ignore too."""
        hidden = (unescape(next(filter(None, found.groups()))) for found in HREF.finditer(html))
        plain = (found[0].rstrip(".,;:!?)]}") for found in ADDRESS.finditer(text))
        found = dict.fromkeys("".join(link.split()) for several in (hidden, plain) for link in several)
        if len(found) > MOST_LINKS:
            self._note(f"only the first {MOST_LINKS} of {len(found)} links were kept")
        return tuple(found)[:MOST_LINKS]


def _split_head(data: bytes) -> tuple[bytes, bytes]:
    """Split a mail or a part at the first empty line, into headers and body."""
    if empty := re.search(rb"\r?\n\r?\n|\A\r?\n", data):
        return data[: empty.start()], data[empty.end() :]
    return data, b""


def _parse_headers(head: bytes) -> Part:
    """Parse headers; those with parameters are cut to a length, since the library's time grows with its square."""
    part = BytesParser().parsebytes(head[:HEAD] + b"\n\n", headersonly=True)
    for name in PARAMETRIC:
        value = str(part.get(name, ""))
        if len(value) > DECODED:
            part.replace_header(name, value[:DECODED])
    return part


def _find_boundary(part: Part) -> bytes | None:
    """Return the boundary between the parts of a part; None when it has no parts."""
    found = part.get_boundary() if part.get_content_maintype() == "multipart" else None
    return found.encode("utf-8", "surrogateescape") if found else None


def _split_parts(body: bytes, boundary: bytes) -> Iterator[bytes]:
    """Yield what is between the lines with this boundary."""
    body, mark, start = b"\n" + body, b"\n--" + boundary, -1
    at = body.find(mark)
    while at >= 0:
        end = body.find(b"\n", at + 1)
        end = end if end >= 0 else len(body)
        rest = body[at + len(mark) : end].strip()
        if rest in {b"", b"--"}:  # another boundary may begin with this one
            if start >= 0:
                yield body[start:at]
            if rest:
                return
            start = end + 1
        at = body.find(mark, end)
    if start >= 0:
        yield body[start:]


def _decode_words(value: str) -> str:
    """Decode a header as mail programs show it; one that is too long or wrongly encoded stays as it is."""
    text = "".join(value.encode("utf-8", "surrogateescape").decode("utf-8", "replace").splitlines())
    if "=?" not in text or len(text) > DECODED:
        return text
    try:
        return "".join(
            _decode_text(word, kind or "latin-1") if isinstance(word, bytes) else word
            for word, kind in decode_header(text)
        )
    except (MessageError, ValueError):
        return text


def _decode_text(data: bytes, charset: str) -> str:
    """Decode a text; unknown encodings are taken for UTF-8."""
    try:
        known = codecs.lookup(charset).name
        return data.decode("utf-8" if known in NO_CHARSETS else known, "replace")
    except (LookupError, ValueError):
        return data.decode("utf-8", "replace")
