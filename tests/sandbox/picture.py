"""Reads the sandbox's PNGs back: pixels, and the bars in a row of them."""

import struct
import zlib
from base64 import b64decode
from itertools import groupby, pairwise


def pixels(screenshot: str) -> list[bytes]:
    """Return the rows of a PNG with a palette of one byte each, after checking every checksum."""
    data = b64decode(screenshot, validate=True)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    chunks: dict[bytes, bytes] = {}
    place = 8
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        name, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", data, place + 8 + length) == (zlib.crc32(name + body),)
        chunks[name] = body
        place += 12 + length
    width, height, depth, colours = struct.unpack_from(">IIBB", chunks[b"IHDR"])
    rows = zlib.decompress(chunks[b"IDAT"])
    assert (depth, colours, len(rows), list(chunks)[-1]) == (8, 3, height * (width + 1), b"IEND")
    assert {rows[at] for at in range(0, len(rows), width + 1)} == {0}
    return [rows[at + 1 : at + 1 + width] for at in range(0, len(rows), width + 1)]


def bars(screenshot: str) -> list[tuple[int, list[int]]]:
    """Return for each line of the picture its colour and how wide its bars are."""
    rows = pixels(screenshot)
    shown = [row for above, row in pairwise([bytes(len(rows[0])), *rows]) if row != above]
    lines = [[(colour, len(list(run))) for colour, run in groupby(row) if colour] for row in shown]
    return [(line[0][0], [width for _, width in line]) for line in lines if line]
