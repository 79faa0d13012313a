"""Parts: the texts and files in a mail, in their order."""

import re
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from worker.mime.boundaries import Segment, Span, guess_boundary, split_pieces
from worker.mime.headers import HeaderBlock, read_head
from worker.mime.transfer import IDENTITY, decode_transfer
from worker.mime.values import Value, parse_value

MOST_PARTS, DEEPEST = 200, 10
PLAIN = frozenset({"text/plain", "text/html"})
NO_MAIL = frozenset(
    {"delivery-status", "disposition-notification", "external-body", "feedback-report", "headers", "partial"}
    | {"global-delivery-status", "global-disposition-notification", "global-headers", "tracking-status"}
)
"""What a message/… may be besides a mail."""
ONCE = ("content-type", "content-transfer-encoding", "content-disposition")
"""Headers that a part has once."""
KIND = re.compile(
    r"(?:text|image|audio|video|application|message|multipart|font|model|chemical|x-[\w-]{1,40})/[\w.+-]{1,80}\Z"
)
STRAY = re.compile(rb"^content-(?:type|transfer-encoding|disposition)[ \t]{0,100}:", re.MULTILINE | re.IGNORECASE)
"""A header that only a part has."""
ENCODED = re.compile(rb"\s{0,99}[A-Za-z0-9+/=\r\n]{40,}+\s{0,99}\Z|[^\n]{0,200}?(?:=\r?\n|=3D)")
"""What begins like base64 or quoted-printable."""
PAGE = re.compile(rb"<(?:html|body|head|table|div|p|a)[\s>]", re.IGNORECASE)
TOO_MANY = f"only the first {MOST_PARTS} parts were read"
TOO_DEEP = f"parts in more than {DEEPEST} other parts were not read"
GUESSED = "the parts are not divided by the boundary that the headers name"
NO_PARTS = "the headers promise parts, and there are none"
HIDDEN = "before the first boundary stands what looks like a part, and is not shown"
SWALLOWED = "in a text stand the headers of a part"
LOOKS_ENCODED = "a text looks encoded, and no header says how"
UNCLOSED = "the mail ends before its last part does"
LONG = "a header with parameters was cut"
WRAPPED = "a part that contains others is encoded as a whole"


class MailPart(NamedTuple):
    """A part that contains no others. ``ends`` is false if the mail ends before it does."""

    kind: str
    type: Value
    disposition: Value
    encoding: str
    body: Span
    ends: bool = True

    @property
    def name(self) -> str:
        """The name of the file, empty without one."""
        return self.disposition.get("filename") or self.type.get("name")


class Walk:
    """A walk through the parts of a mail, which notes its ``problems``."""

    def __init__(self) -> None:
        self.problems: dict[str, None] = {}
        self._count = 0

    def note(self, *problems: str) -> None:
        """Note what is wrong, once."""
        self.problems |= dict.fromkeys(filter(None, problems))

    def walk(self, head: HeaderBlock, piece: Segment, depth: int = 0) -> Iterator[MailPart]:
        """Yield the parts in a part, or itself; an attached mail as a file, and then what is in it."""
        part = self._describe(head, piece)
        if depth > DEEPEST:
            self.note(TOO_DEEP)
            yield part
        elif part.kind.startswith("multipart/"):
            yield from self._walk_pieces(part, depth)
        else:
            yield part
            if _is_mail(part.kind):
                yield from self._walk_next(Segment(self._unwrap(part), part.ends), depth)

    def _walk_next(self, piece: Segment, depth: int) -> Iterator[MailPart]:
        self._count += 1
        if self._count >= MOST_PARTS:
            self.note(TOO_MANY)
            return
        head = read_head(*piece.span)
        yield from self.walk(head, piece._replace(span=piece.span._replace(start=head.body)), depth + 1)

    def _walk_pieces(self, part: MailPart, depth: int) -> Iterator[MailPart]:
        """Yield the parts between boundaries; without any, the part itself is a text."""
        inside = self._unwrap(part)
        pieces = self._split(inside, part.type.parameters.get("boundary", b""))
        first = next(pieces, None)
        if first is None:
            self.note(NO_PARTS)
            yield part._replace(kind=_guess_kind(inside), encoding="", body=inside)
            return
        for piece in chain([first], pieces):
            self.note("" if piece.ends else UNCLOSED)
            yield from self._walk_next(piece._replace(ends=piece.ends or part.ends), depth)
            if self._count >= MOST_PARTS:
                return

    def _split(self, inside: Span, boundary: bytes) -> Iterator[Segment]:
        """Yield the pieces between boundaries, which may be others than the headers name."""
        pieces = split_pieces(inside, boundary) if boundary.strip() else iter(())
        first = next(pieces, None)
        if first is not None:
            self.note(HIDDEN if STRAY.search(inside.data, inside.start, first.span.start) else "")
            yield first
            yield from pieces
        elif guess := guess_boundary(inside):
            self.note(GUESSED)
            yield from split_pieces(inside, guess)

    def _unwrap(self, part: MailPart) -> Span:
        """Return what a part with others carries. It must not be encoded; if it is, it is read all the same."""
        if part.encoding in IDENTITY:
            return part.body
        data, problem = decode_transfer(part.body.take(), part.encoding)
        self.note(WRAPPED, problem)
        return Span(data, 0, len(data))

    def _describe(self, head: HeaderBlock, piece: Segment) -> MailPart:
        """Return what the headers say of a part; of two headers of one name, the first counts."""
        type_, encoding, disposition = (parse_value(head.get(name)) for name in ONCE)
        self.note(*head.problems, *(f"a part has two headers {name}" for name in ONCE if head.count(name) > 1))
        self.note(LONG if type_.cut or disposition.cut else "")
        return MailPart(self._choose_kind(type_.main, piece), type_, disposition, encoding.main.strip("\"';"), *piece)

    def _choose_kind(self, named: str, piece: Segment) -> str:
        """Return the type of a part. One without a type is a text, unless boundaries are in it."""
        if KIND.match(named):
            return named
        self.note("a part names no type that there is" if named else "")
        begin = piece.span._replace(end=min(piece.span.end, piece.span.start + 1000))
        return "multipart/mixed" if guess_boundary(begin) else "text/plain"


def _is_mail(kind: str) -> bool:
    main, _, sub = kind.partition("/")
    return main == "message" and sub not in NO_MAIL


def _guess_kind(body: Span) -> str:
    return "text/html" if PAGE.search(*body) else "text/plain"


def find_oddities(part: MailPart) -> Iterator[str]:
    """Yield what is odd in a text as it was sent: a person may see it, and it may hide something all the same."""
    if part.kind in PLAIN and STRAY.search(*part.body):
        yield SWALLOWED
    if part.encoding in IDENTITY and ENCODED.match(*part.body):
        yield LOOKS_ENCODED
