"""Draws a message as a PNG: each word is a bar as wide as the word is long, each kind of line has a colour.

From the top: who wrote it, to whom, the subject, the text, the links, the files.
"""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.sandbox.content.content import Content

WIDTH, HEIGHT = 320, 240
MARGIN, LINE, BAR, LETTER, GAP = 8, 10, 6, 3, 4
LONGEST_WORD = 24
MOST_CHARACTERS = 2000  # of one line; more would not fit on the picture
PAPER, PEOPLE, SUBJECT, TEXT, LINK, FILE = range(6)
PALETTE = bytes.fromhex("ffffff 404040 000000 a0a0a0 1a5fb4 c64600")


def draw_screenshot(content: Content) -> str:
    """Draw a message: base64 of a PNG of 320 × 240. The same content gives the same picture."""
    canvas = [bytearray(WIDTH) for _ in range(HEIGHT)]
    top = MARGIN
    for colour, line in _list_lines(content):
        top = _draw(canvas, top, colour, line)
    return b64encode(_write_png(canvas)).decode()


def _list_lines(content: Content) -> list[tuple[int, str]]:
    head = [(PEOPLE, content.header("From")), (PEOPLE, content.header("To")), (SUBJECT, content.header("Subject"))]
    text = [(TEXT, line) for line in content.text[:MOST_CHARACTERS].splitlines() if line.strip()]
    links = [(LINK, link.text or link.href) for link in content.links[:HEIGHT]]
    return [*head, *text, *links, *((FILE, file.name) for file in content.files[:HEIGHT])]


def measure_bars(line: str) -> list[int]:
    """Return how wide each word of a line is drawn, in pixels."""
    return [LETTER * min(len(word), LONGEST_WORD) for word in line[:MOST_CHARACTERS].split()]


def _draw(canvas: list[bytearray], top: int, colour: int, line: str) -> int:
    """Draw one line, which may wrap, and return where the next one begins. What is below the edge is cut off."""
    left = MARGIN
    for width in measure_bars(line):
        if left + width > WIDTH - MARGIN:
            left, top = MARGIN, top + LINE
        for row in canvas[top : top + BAR]:
            row[left : left + width] = bytes([colour]) * width
        left += width + GAP
    return top + LINE


def _write_png(canvas: list[bytearray]) -> bytes:
    """Write pixels as a PNG with a palette of one byte each (PNG specification, colour type 3)."""
    rows = b"".join(b"\0" + row for row in canvas)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", PALETTE), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_write_chunk(name, data) for name, data in chunks)


def _write_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
