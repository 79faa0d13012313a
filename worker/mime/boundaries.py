"""Boundaries: the lines between the parts of a mail."""

import re
from collections.abc import Iterator
from typing import NamedTuple

LIKELY = re.compile(
    rb"^--([^\r\n]{1,200}?)[ \t]{0,100}\r{0,2}\n(?=content-[\w-]{1,40}[ \t]{0,100}:|\r{0,2}\n)",
    re.MULTILINE | re.IGNORECASE,
)
"""A line that looks like a boundary: headers of a part, or an empty line, come after it."""


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
    data, mark, start = body.data, b"--" + boundary.rstrip(), -1
    for at, following, is_last in _find_marks(body, mark):
        if start >= 0:
            yield Segment(Span(data, start, _step_back(data, start, at)), ends=True)
        start = following
        if is_last:
            return
    if start >= 0:
        yield Segment(Span(data, start, body.end), ends=False)


def _find_marks(body: Span, mark: bytes) -> Iterator[tuple[int, int, bool]]:
    """Yield where each boundary begins, where the next line does, and whether it is the last one."""
    data, at = body.data, body.data.find(mark, body.start, body.end)
    while at >= 0:
        following = data.find(b"\n", at, body.end) + 1 or body.end
        if at in {0, body.start} or data[at - 1] in b"\r\n":
            rest = data[at + len(mark) : following].strip()
            if rest in {b"", b"--"}:  # another boundary may begin with this one
                yield at, following, rest == b"--"
        at = data.find(mark, following, body.end)


def _step_back(data: bytes, start: int, at: int) -> int:
    """Return where a piece ends, before the line break that leads to the boundary."""
    at -= at > start and data[at - 1] == 10  # noqa: PLR2004 (a line feed)
    return at - (at > start and data[at - 1] == 13)  # noqa: PLR2004 (a carriage return)


def guess_boundary(body: Span) -> bytes:
    """Return what looks like a boundary, empty if nothing does."""
    found = LIKELY.search(*body)
    return found[1] if found else b""
