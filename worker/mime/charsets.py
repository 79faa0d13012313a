"""Charsets: text is decoded as browsers do it, by the table of the WHATWG. No other codec of Python is ever used."""

import re
from typing import NamedTuple

import webencodings

from worker.escaping import escape

ASCII = frozenset({"ascii", "us-ascii", "ansi_x3.4-1968", "iso646-us"})
"""Labels that promise nothing about bytes from 128 on."""
BLANKS = " \t\r\n\"';"
"""What stands around labels of charsets, and means nothing."""
PRESCAN = 4096
"""Bytes at the beginning of a page in which it may name its charset."""
META = re.compile(rb"""<meta[^>]{1,500}?charset\s{0,9}=\s{0,9}["']?([\w.:+-]{1,40})""", re.IGNORECASE)
GUESS = "windows-1252"
NAMED = 40
"""Characters of a charset's name that are shown."""


class Decoded(NamedTuple):
    """A text, and what is wrong with it."""

    text: str
    problem: str = ""


def decode_text(data: bytes, label: str = "") -> Decoded:
    """Decode a text. Without a charset, or with an unknown one, it is UTF-8 if it can be, else windows-1252."""
    label = label.strip(BLANKS).lower()
    encoding = None if label in ASCII else webencodings.lookup(label)
    if encoding is None:
        known = not label or label in ASCII
        return _guess(data, "" if known else f"the charset {escape(label, NAMED)} is unknown")
    if encoding.name.startswith("utf-16") and data.isascii() and b"\0" not in data:
        return _guess(data, f"a text is not {encoding.name}, although it says so")
    if encoding.name == "utf-8" and not _has_multibyte(data):
        return _guess(data, "")
    text = clean(webencodings.decode(data, encoding)[0])
    damaged = "\ufffd" in text
    return Decoded(text, f"a text is not wholly {encoding.name}" if damaged else "")


def decode_page(data: bytes, label: str = "") -> Decoded:
    """Decode HTML. A page says itself which charset it has, if its header does not."""
    found = META.search(data, 0, PRESCAN) if label.strip(BLANKS).lower() in {"", *ASCII} else None
    if found is None:
        return decode_text(data, label)
    named = found[1].decode("ascii", "replace")
    return decode_text(data, "utf-8" if named.lower().startswith("utf-16") else named)


def decode_line(data: bytes) -> str:
    """Decode a line that should be ASCII: as UTF-8 if it can be, else as windows-1252."""
    return _guess(data, "").text


def clean(text: str) -> str:
    """Return text that can be written as JSON and UTF-8: without lone surrogates."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _guess(data: bytes, problem: str) -> Decoded:
    try:
        return Decoded(data.decode("utf-8-sig"), problem)
    except UnicodeDecodeError:
        text = clean(webencodings.decode(data, GUESS)[0])
        return Decoded(text, problem or f"a text does not say its charset: it was read as {GUESS}")


def _has_multibyte(data: bytes) -> bool:
    """Tell whether something in it is UTF-8 beyond ASCII."""
    return not data.decode("utf-8", "ignore").isascii()
