"""Boundaries: the lines between the parts of a mail."""

import re
from collections.abc import Iterator
from typing import NamedTuple

LIKELY = re.compile(
    rb"^--([^\r\n]{1,200}+)\r{0,2}\n(?=content-[\w-]{1,40}[ \t]{0,100}:|\r{0,2}\n)", re.MULTILINE | re.IGNORECASE
)
"""A line that looks like a boundary: headers of a part, or an empty line, come after it."""
SEARCHED = 1 << 16
"""Bytes at the beginning that are searched for such a line."""


class Span(NamedTuple):
    """A stretch of bytes."""

    data: bytes
    start: int
    end: int

    def take(self) -> bytes:
        """Return the bytes."""
        return self.data[self.start : self.end]


class Segment(NamedTuple):
    """What is between two boundaries; ``ends`` is false if the second one is missing."""

    span: Span
    ends: bool


def split_pieces(body: Span, boundary: bytes) -> Iterator[Segment]:
    """Yield what is between the lines with this boundary. The end of the line before a boundary belongs to it."""
    data, start = body.data, -1
    for found in _find_marks(body, boundary.rstrip()):
        if start >= 0:
            yield Segment(Span(data, start, max(start, _step_back(data, found))), ends=True)
        start = min(found.end() + 1, body.end)
        if found[2]:
            return
    if start >= 0:
        yield Segment(Span(data, start, body.end), ends=False)


def _find_marks(body: Span, boundary: bytes) -> Iterator[re.Match[bytes]]:
    """Yield the lines with a boundary, and the break before each; another boundary may begin with this one."""
    mark = re.compile(rb"(\A|[\r\n])--" + re.escape(boundary) + rb"(--)?[ \t\r]*+(?=\n|\Z)")
    return mark.finditer(body.data, max(0, body.start - 1), body.end)


def _step_back(data: bytes, mark: re.Match[bytes]) -> int:
    """Return where a piece ends, before the line break that leads to the boundary."""
    at = mark.start()
    return at - (mark[1] == b"\n" and data[max(0, at - 1) : at] == b"\r")


def guess_boundary(body: Span) -> bytes:
    """Return what looks like a boundary, empty if nothing does."""
    found = LIKELY.search(body.data, body.start, min(body.end, body.start + SEARCHED))
    return found[1].rstrip() if found else b""
