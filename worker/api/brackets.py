"""Brackets: the records of a list that is not JSON as a whole, told apart so that each can be decoded alone. Pure.

A record is sound when it is JSON and the next one, or the end of the list, follows. What lies between is kept as it
came, one piece for each record that begins in it, as far as that can be seen.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import msgspec
from msgspec import Raw

LIST = re.compile(rb'"result"\s*:\s*(?=\[)')
BEGINNING = re.compile(r'\s*\{\s*("[^"\\]{1,40}")\s*:')
BETWEEN = re.compile(r'\}\s*,\s*\{\s*("[^"\\]{1,40}")\s*:')
KEYS = frozenset({"success", "errors", "messages", "result_info"})
"""What may stand after the list in an envelope."""
ENDS, TAIL = 64, 65_536
"""How many brackets may be the end of the list, and in how many of the last bytes."""
MOST_BEGINNINGS = 5_000
"""Places that may be the beginning of a record, at most; whoever can write more must not keep the worker busy."""
GUESSES = 4
"""How many names are tried that may be the first field of a record."""
VALUE = json.JSONDecoder(strict=False)
"""Finds where a value ends; what its texts hold is judged when it is read."""
FOLLOWED = re.compile(r'[^"{}\[\]]{0,8}(?:$|\{)')
"""What may come after a record: another one, or the end, with a little noise before it. A field may not."""


class Piece(NamedTuple):
    """A part of a list: a record that is whole, or what came in the place of one."""

    text: str
    last: str = ""
    """The last field of a record; empty for what is none."""


def find_list(body: bytes) -> tuple[int, int] | None:
    """Return where the list of results begins and ends in an answer; None when it has none, or does not end.

    A list that is cut short ends nowhere: after its end, an envelope has something to say.
    """
    found = LIST.search(body)
    if found is None:
        return None
    begin, ends = found.end(), list[int]()
    end = len(body)
    while len(ends) < ENDS and (end := body.rfind(b"]", max(begin, len(body) - TAIL), end)) > 0:
        ends.append(end + 1)
    return next(((begin, end) for end in reversed(ends) if _is_tail(body[end:])), None)


def _is_tail(rest: bytes) -> bool:
    """Tell whether an envelope can go on so after its list."""
    try:
        told = msgspec.json.decode(b'{"result":[]' + rest, type=dict[str, Raw])
    except (ValueError, RecursionError):
        return False
    return len(told) > 1 and told.keys() - {"result"} <= KEYS


def tell_apart(whole: bytes | Raw) -> list[Raw]:
    """Return the records of a list that is not JSON; raise ValueError for what is no list."""
    text = bytes(whole).decode("utf-8", "surrogateescape").strip()
    if text[:1] != "[" or text[-1:] != "]":
        raise ValueError("it is not a list")
    inside = text[1:-1]
    best = max((_split(inside, name) for name in _guess_first_fields(inside)), key=_measure, default=[])
    pieces = best or [Piece(inside)]
    return [Raw(piece.text.encode("utf-8", "surrogateescape")) for piece in pieces]


def _guess_first_fields(inside: str) -> list[str]:
    """Return names, in quotes, that may be the first field of each record: the first there is, then the usual ones."""
    first = BEGINNING.match(inside)
    usual = [name for name, _ in Counter(BETWEEN.findall(inside)).most_common(GUESSES)]
    return list(dict.fromkeys([*([first[1]] if first else []), *usual]))[:GUESSES]


def _measure(pieces: Sequence[Piece]) -> int:
    return sum(len(piece.text) for piece in pieces if piece.last)


def _split(inside: str, name: str) -> list[Piece]:
    """Split a list into pieces by the first field of its records."""
    begins = re.compile(r"\{\s*" + re.escape(name) + r"\s*:")
    usual = {piece.last for piece in _walk(inside, begins, frozenset()) if piece.last}
    return list(_walk(inside, begins, usual))


def _walk(inside: str, begins: re.Pattern[str], usual: Collection[str]) -> Iterator[Piece]:
    """Yield each record, and what lies between them.

    A record that ends with a ``usual`` field is whole even where the next one does not begin as it should.
    """
    reached = 0
    for start in _find_beginnings(inside, begins):
        end, last = _read_record(inside, start) if start >= reached else (start, "")
        if last in usual or (last and FOLLOWED.match(inside, end)):
            yield from _cut(inside[reached:start], begins)
            yield Piece(inside[start:end], last)
            reached = end
    yield from _cut(inside[reached:], begins)


def _read_record(inside: str, start: int) -> tuple[int, str]:
    """Return where a record ends, and its last field; none for what is no record."""
    try:
        record, end = VALUE.raw_decode(inside, start)
    except (ValueError, RecursionError):
        return start, ""
    return end, next(reversed(record), "")


def _find_beginnings(text: str, begins: re.Pattern[str]) -> list[int]:
    """Return where records may begin."""
    return [found.start() for found in islice(begins.finditer(text), MOST_BEGINNINGS)]


def _cut(between: str, begins: re.Pattern[str]) -> Iterator[Piece]:
    """Yield what lies between two records, cut where another one seems to begin."""
    places = [start for start in _find_beginnings(between, begins) if start]
    for start, end in zip([0, *places], [*places, len(between)], strict=True):
        text = between[start:end].strip(" \t\r\n,")
        if text:
            yield Piece(text)
