"""Transfer encodings: the bytes of a part, also when they are badly encoded."""

import binascii
import re
from typing import NamedTuple

from worker.escaping import escape

ALPHABET = bytes(range(48, 58)) + bytes(range(65, 91)) + bytes(range(97, 123)) + b"+/="
REST = bytes(set(range(256)) - set(ALPHABET))
"""What base64 passes over."""
BLANKS = b" \t\r\n"
MOST_PADDINGS = 100_000
"""Pieces of base64 that are read, where padding ends each."""
FOREIGN = 0.1
"""Share of other characters from which on a text is not base64 at all."""
IDENTITY = frozenset({"", "7bit", "8bit", "binary"})
UU = re.compile(rb"^begin [0-7]{3,4} [^\r\n]{1,200}\r?\n", re.MULTILINE)


class Carried(NamedTuple):
    """The bytes of a part, and what is wrong with how they are encoded."""

    data: bytes
    problem: str = ""


def decode_transfer(data: bytes, encoding: str) -> Carried:
    """Return what a part carries."""
    name = encoding.strip(" \t\"';").lower()
    if name == "base64":
        return decode_base64(data)
    if name == "quoted-printable":
        return Carried(binascii.a2b_qp(data))
    if name in {"x-uuencode", "uuencode", "x-uue", "uue"}:
        return decode_uu(data)
    return Carried(data, "" if name in IDENTITY else f"the transfer encoding {escape(name, 40)} is unknown")


def decode_base64(data: bytes) -> Carried:
    """Decode base64 up to its end, also behind padding in the middle, as mail programs do."""
    letters = data.translate(None, REST)
    foreign = len(data.translate(None, BLANKS)) - len(letters)
    if foreign > FOREIGN * len(letters):
        return Carried(data, "a part is not encoded in base64, although it says so")
    pieces = [piece for piece in letters.split(b"=", MOST_PADDINGS)[:MOST_PADDINGS] if piece]
    problem = "a part is not wholly base64" if foreign or any(len(one) % 4 == 1 for one in pieces) else ""
    if len(pieces) > 1:
        problem = "a part in base64 has padding in its middle"
    return Carried(b"".join(map(_decode_piece, pieces)), problem)


def _decode_piece(piece: bytes) -> bytes:
    """Decode base64 without padding; a last letter too many says nothing."""
    whole = piece[: len(piece) - (len(piece) % 4 == 1)]
    return binascii.a2b_base64(whole + b"=" * (-len(whole) % 4))


def decode_uu(data: bytes) -> Carried:
    """Decode uuencode, line by line up to one that is none."""
    begin = UU.search(data)
    if begin is None:
        return Carried(data, "a part is not encoded in uuencode, although it says so")
    lines = list[bytes]()
    for line in data[begin.end() :].splitlines():
        if line.strip() in {b"end", b"`", b""}:
            break
        try:
            lines.append(binascii.a2b_uu(line))
        except binascii.Error:
            return Carried(b"".join(lines), "a part is not wholly uuencode")
    return Carried(b"".join(lines))
