"""Values of headers: encoded words, and parameters in all forms in which they are written."""

import re
from binascii import a2b_qp
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from worker.mime.charsets import clean, decode_line, decode_text
from worker.mime.transfer import decode_base64

LONGEST = 16_384
"""Bytes of a value that are searched for parameters."""
MOST_PARAMETERS = 200
COMMENT = re.compile(r"\([^()\"]{0,1000}\)")
PARAMETER = re.compile(r"""(?<=[;\s])([^\s=;"]{1,100}+)\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"?|([^;]*+))""", re.DOTALL)
ESCAPED = re.compile(r"\\(.)", re.DOTALL)
PIECE = re.compile(r"(.{1,80}?)(?:\*(\d{1,3}))?(\*)?\Z", re.DOTALL)
"""The name of a parameter, the number of a piece of it, and a star if it is encoded (RFC 2231)."""
EXTENDED = re.compile(r"([\w.:+-]{0,40})'[\w-]{0,40}'(.*)\Z", re.DOTALL)
"""A charset, a language, and the value."""
PERCENT = re.compile(rb"%([0-9a-fA-F]{2})")
WORD = re.compile(r"=\?([\w.:+-]{1,40})(?:\*[\w-]{0,20})?\?([bBqQ])\?")
"""The beginning of an encoded word: its charset, and how it is encoded (RFC 2047; RFC 2231 adds a language)."""
WORD_END = "?="


class Value(NamedTuple):
    """A value with parameters, such as that of Content-Type; names are in lower case, values as they were sent."""

    main: str
    parameters: Mapping[str, bytes]
    cut: bool = False

    def get(self, name: str) -> str:
        """Return a parameter as text, empty without it."""
        return decode_words(self.parameters.get(name, b""))


def parse_value(value: bytes) -> Value:
    """Parse a value with parameters; of two parameters of one name, the first counts."""
    line = value[:LONGEST].decode("latin-1")
    main, _, rest = line.partition(";")
    word, _, more = COMMENT.sub(" ", main).strip().partition(" ")
    found = list(_find_parameters(f" {more};{rest}"))
    return Value(
        word.lower(), _join_pieces(found[:MOST_PARAMETERS]), len(value) > LONGEST or len(found) > MOST_PARAMETERS
    )


def _find_parameters(line: str) -> Iterator[tuple[str, str]]:
    for found in islice(PARAMETER.finditer(line), MOST_PARAMETERS + 1):
        quoted, bare = found[2], found[3]
        yield found[1].lower(), ESCAPED.sub(r"\1", quoted) if quoted is not None else bare.strip()


def _join_pieces(found: list[tuple[str, str]]) -> dict[str, bytes]:
    """Put together what was sent in pieces, and decode what is encoded."""
    plain, pieces = dict[str, bytes](), dict[str, dict[int, tuple[str, bool]]]()
    for written, value in found:
        name, number, star = PIECE.match(written).groups()  # type: ignore[union-attr]  # matches everything
        if number is None and star is None:
            plain.setdefault(name, value.encode("latin-1"))
        else:
            pieces.setdefault(name, {}).setdefault(int(number or 0), (value, star is not None))
    return plain | {name: _join(dict(sorted(parts.items()))) for name, parts in pieces.items()}


def _join(parts: dict[int, tuple[str, bool]]) -> bytes:
    """Join the pieces of a value, of which the first names the charset."""
    charset, data = "", b""
    for number, (written, is_encoded) in parts.items():
        extended = EXTENDED.match(written) if is_encoded and number == min(parts) else None
        charset, value = (extended[1], extended[2]) if extended else (charset, written)
        piece = value.encode("latin-1")
        data += PERCENT.sub(lambda found: bytes([int(found[1], 16)]), piece) if is_encoded else piece
    return decode_text(data, charset).text.encode() if charset else data


def decode_words(value: bytes) -> str:
    """Return a value as mail programs show it: encoded words are decoded, and so are bytes that should not be there."""
    text = decode_line(value)
    if "=?" not in text:
        return text
    shown, last, words = list[str](), 0, _Words()
    for start, end, word in _find_words(text):
        between = text[last:start]
        if between.strip() or not words.pending:
            shown += [words.take(), between]
        words.add(*word)
        last = end
    return clean("".join((*shown, words.take(), text[last:])))


def _find_words(text: str) -> Iterator[tuple[int, int, tuple[str, str, str]]]:
    """Yield where encoded words begin and end, with their charset, how they are encoded, and what they hold."""
    at = 0
    while (begin := WORD.search(text, at)) and (end := text.find(WORD_END, begin.end())) >= 0:
        at = end + len(WORD_END)
        yield begin.start(), at, (begin[1], begin[2], text[begin.end() : end])


class _Words:
    """Encoded words that follow each other: a letter, or a group of base64, may be split between two of them."""

    def __init__(self) -> None:
        self.pending: list[tuple[str, list[tuple[bool, list[str]]]]] = []

    def add(self, charset: str, how: str, text: str) -> None:
        """Add a word."""
        is_base64 = how in "bB"
        if not self.pending or self.pending[-1][0] != charset.lower():
            self.pending.append((charset.lower(), []))
        pieces = self.pending[-1][1]
        if not pieces or pieces[-1][0] != is_base64:
            pieces.append((is_base64, []))
        pieces[-1][1].append(text)

    def take(self) -> str:
        """Return the words as text, and forget them."""
        text = "".join(
            decode_text(b"".join(_decode_word(is_base64, "".join(texts)) for is_base64, texts in pieces), charset).text
            for charset, pieces in self.pending
        )
        self.pending.clear()
        return text


def _decode_word(is_base64: bool, text: str) -> bytes:  # noqa: FBT001 (it is one of two)
    data = text.encode("utf-8")
    return decode_base64(data).data if is_base64 else a2b_qp(data, header=True)
