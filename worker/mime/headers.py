"""Headers: lines as they are sent, which need not be as the standards want them."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from worker.mime.charsets import decode_line

LONGEST = 65_536
"""Bytes of the headers of a part that are read at most."""
MOST_LINES = 2_000
"""Lines of the headers of a part that are read at most."""
NAME = re.compile(rb"([!-9;-~\x80-\xff]{1,100})[ \t]{0,100}:(?!//)")
"""The beginning of a header; a blank before the colon is wrong, and understood by everybody."""
USUAL = re.compile(
    rb"(?:content-|mime-|x-|list-|arc-|dkim-|resent-|received|return-|reply-|authentication|message-id|in-reply|"
    rb"references|subject|from|to|cc|bcc|date|sender|importance|priority|thread-)[\w-]{0,80}[ \t]{0,100}:",
    re.IGNORECASE,
)
"""What tells headers from the text of a body."""
MARK = b"\xef\xbb\xbf"
NULS = "the headers have NUL characters"
NO_HEADER = "a line among the headers is none"
NO_BLANK = "no empty line is between headers and body"
NO_BODY = "the mail or a part ends among its headers"
EMPTY = re.compile(rb"\n\r*\n")
TOO_LONG = f"only the first {LONGEST:,} bytes and {MOST_LINES:,} lines of the headers of a part were read"


class RawField(NamedTuple):
    """A header as it was sent, unfolded."""

    name: str
    value: bytes


class HeaderBlock(NamedTuple):
    """The headers of a part, where its body begins, and what is wrong with them."""

    fields: tuple[RawField, ...]
    body: int
    problems: tuple[str, ...]

    def get(self, name: str) -> bytes:
        """Return the first value of a header, empty without one."""
        return next((one.value for one in self.fields if one.name.lower() == name), b"")

    def count(self, name: str) -> int:
        """Return how often a header is there."""
        return sum(one.name.lower() == name for one in self.fields)


class Line(NamedTuple):
    """A line, where it begins, and where the next one does."""

    text: bytes
    start: int
    following: int


def read_head(data: bytes, start: int, end: int) -> HeaderBlock:
    """Read headers up to an empty line, or to where the body must have begun without one."""
    start += len(MARK) * data.startswith(MARK, start, end)
    lines = list(_split_lines(data, start, min(end, start + LONGEST)))
    reading = _Reading(lines)
    body = reading.read()
    if body is None:
        body = _look_further(data, lines[-1].following, end, reading) if lines else end
    if body == end and reading.fields and not reading.has_usual:
        return HeaderBlock((), start, (NO_BLANK,))
    return HeaderBlock(tuple(reading.fields), body, tuple(dict.fromkeys(reading.problems)))


def _split_lines(data: bytes, start: int, end: int) -> Iterator[Line]:
    """Yield the lines up to an empty one."""
    for _ in range(MOST_LINES):
        if start >= end:
            return
        following = data.find(b"\n", start, end) + 1 or end
        line = Line(data[start:following].rstrip(b"\r\n"), start, following)
        yield line
        if not line.text:
            return
        start = following


def _look_further(data: bytes, start: int, end: int, reading: "_Reading") -> int:
    """Return where the body begins behind the headers that are read."""
    if start == end:
        reading.problems.append(NO_BODY)
        return end
    reading.problems.append(TOO_LONG)
    found = EMPTY.search(data, start - 1, end)
    return found.end() if found else end


class _Reading:
    """Headers while they are being read."""

    def __init__(self, lines: list[Line]) -> None:
        self.fields: list[RawField] = []
        self.problems: list[str] = []
        self._lines = lines
        self._last_usual = max((number for number, line in enumerate(lines) if USUAL.match(line.text)), default=-1)

    @property
    def has_usual(self) -> bool:
        """Whether one of them is a header as mail has it."""
        return self._last_usual >= 0

    def read(self) -> int | None:
        """Read the lines, and return where the body begins; None if that is behind them."""
        for number, line in enumerate(self._lines):
            if not line.text:
                return line.following
            if not self._take(line.text.replace(b"\0", b"")) and not self._skip(number, line):
                self.problems.append(NO_BLANK)
                return line.start
            self.problems += [NULS] if b"\0" in line.text else []
        return None

    def _take(self, line: bytes) -> bool:
        """Add a line to the headers; return whether it is one, or continues one."""
        if line[:1] in {b" ", b"\t"} and line.strip() and self.fields:
            name, value = self.fields[-1]
            self.fields[-1] = RawField(name, value + line)
            return True
        found = NAME.match(line)
        if found:
            self.fields.append(RawField(decode_line(found[1]), line[found.end() :].strip()))
        return found is not None

    def _skip(self, number: int, line: Line) -> bool:
        """Pass over what is no header, if usual headers come after it; return whether that is so."""
        if number > self._last_usual or line.text.startswith(b"--"):
            return False
        self.problems += [NO_HEADER] if line.text.strip() else []
        return True
