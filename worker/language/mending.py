"""Mending: JSON in whose texts strangers have put what JSON does not allow, read without losing what is around it.

A damaged text becomes one that JSON allows, and a byte that is no UTF-8 after it. Whoever only splits the JSON passes
over that byte, and whoever reads such a text knows by it that it was damaged.
"""

import json
import re
from typing import NoReturn

import msgspec
from msgspec import Raw

TEXT = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)("|\\?\Z)', re.DOTALL)
"""A text; one that does not end goes on to the end, so that no quotation mark in it is tried as the beginning."""
CONTROL = re.compile(rb"[\x00-\x1f]")
_HIGH, _LOW = rb"\\u[dD][89abAB][0-9a-fA-F]{2}", rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
HALF_ESCAPE = re.compile(_HIGH + rb"(?!" + _LOW + rb")|(?<!" + _HIGH + rb")" + _LOW)
"""Half of a pair of surrogates, where every backslash begins an escape."""
HALF = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
MARK = b"\xfe"
"""What stands after a damaged text; it is no UTF-8, and only we write it, see ``disarm``."""
MARKED = MARK.decode("utf-8", "surrogateescape")
BACKSLASH = rb"\\"
SPARED = MARK * len(BACKSLASH)
"""Stands for a backslash that begins no escape, while escapes are looked for."""


def disarm(body: bytes) -> bytes:
    """Return a body as it came without the byte by which we mark texts; it is no UTF-8 either way."""
    return body.replace(MARK, b"\xff")


def mend(body: bytes | Raw) -> bytes:
    """Return JSON of which no text keeps others from being told apart; what is whole stays as it is."""
    return TEXT.sub(_mend_text, bytes(body))


def decode(raw: bytes | Raw) -> object:
    """Decode JSON; texts that were damaged are to be healed. Raises ValueError and RecursionError."""
    try:
        return msgspec.json.decode(raw)
    except ValueError:
        return json.loads(mend(raw).decode("utf-8", "surrogateescape"), parse_constant=_refuse)


def heal(value: object) -> tuple[object, bool]:
    """Return a decoded value without the marks, and whether there were any."""
    if isinstance(value, str):
        return (value.removesuffix(MARKED), True) if value.endswith(MARKED) else (value, False)
    if isinstance(value, list):
        healed = [heal(one) for one in value]
        return [one for one, _ in healed], any(was for _, was in healed)
    if isinstance(value, dict):
        pairs = [(heal(name), heal(one)) for name, one in value.items()]
        return {name: one for (name, _), (one, _) in pairs}, any(name[1] or one[1] for name, one in pairs)
    return value, False


def _mend_text(found: re.Match[bytes]) -> bytes:
    """Return a text as one that JSON allows, marked if it was none."""
    inside = found[1]
    if inside.endswith(MARK):
        return found[0]
    whole = _make_utf_8(_escape_controls(_replace_halves(inside)))
    return found[0] if whole == inside else b'"' + whole + MARK + found[2]


def _replace_halves(text: bytes) -> bytes:
    if b"\\u" not in text:
        return text
    return HALF_ESCAPE.sub(rb"\\ufffd", text.replace(BACKSLASH, SPARED)).replace(SPARED, BACKSLASH)


def _escape_controls(text: bytes) -> bytes:
    """Escape one kind of control character after the other: each costs one pass, however many there are."""
    at = 0
    while found := CONTROL.search(text, at):
        text, at = text.replace(found[0], b"\\u%04x" % found[0][0]), found.start()
    return text


def _make_utf_8(text: bytes) -> bytes:
    return text if text.isascii() else HALF.sub("\ufffd".encode(), text).decode("utf-8", "replace").encode()


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")
