"""Mending: JSON in whose texts strangers have put what JSON does not allow, read without losing what is around it.

Half surrogates, and control characters as they are, become bytes that are no UTF-8: whoever only splits the JSON passes
over these, and whoever reads such a text knows that it was damaged.
"""

import json
import re
from typing import NoReturn

import msgspec
from msgspec import Raw

TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
"""A text; one that does not end goes on to the end, so that no quotation mark in it is tried as the beginning."""
ESCAPE = re.compile(rb"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u([dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.DOTALL)
"""A whole pair of surrogates, a half one, or any other escape."""
CONTROL = re.compile(rb"[\x00-\x1f]")
OVERLONG = re.compile(rb"\xc0([\x80-\x9f])")
"""A control character in two bytes where UTF-8 has one: only we write that, see ``disarm``."""
HALF = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
STRANGE = re.compile("[\ud800-\udfff]")


def disarm(body: bytes) -> bytes:
    """Return a body as it came without the byte by which we mark control characters; it is no UTF-8 either way."""
    return body.replace(b"\xc0", b"\xff")


def mend(body: bytes | Raw) -> bytes:
    """Return JSON of which no text keeps others from being told apart; what is whole stays as it is."""
    return TEXT.sub(lambda found: _mend_text(found[0]), bytes(body))


def decode(raw: bytes | Raw) -> object:
    """Decode JSON; texts that were damaged are to be healed. Raises ValueError and RecursionError."""
    try:
        return msgspec.json.decode(raw)
    except ValueError:
        return json.loads(mend(raw).decode("utf-8", "surrogateescape"), parse_constant=_refuse)


def heal(value: object) -> tuple[object, bool]:
    """Return a decoded value with U+FFFD for what is no text, and whether there was anything to heal."""
    if isinstance(value, str):
        return (_heal_text(value), True) if STRANGE.search(value) else (value, False)
    if isinstance(value, list):
        healed = [heal(one) for one in value]
        return [one for one, _ in healed], any(was for _, was in healed)
    if isinstance(value, dict):
        pairs = [(heal(name), heal(one)) for name, one in value.items()]
        return {name: one for (name, _), (one, _) in pairs}, any(name[1] or one[1] for name, one in pairs)
    return value, False


def _mend_text(text: bytes) -> bytes:
    text = CONTROL.sub(lambda found: bytes((0xC0, 0x80 | found[0][0])), text)
    return ESCAPE.sub(_mend_escape, text) if b"\\u" in text else text


def _mend_escape(found: re.Match[bytes]) -> bytes:
    return chr(int(found[1], 16)).encode("utf-8", "surrogatepass") if found[1] else found[0]


def _heal_text(text: str) -> str:
    raw = OVERLONG.sub(lambda found: bytes((found[1][0] & 0x1F,)), text.encode("utf-8", "surrogateescape"))
    return HALF.sub("\ufffd".encode(), raw).decode("utf-8", "replace")


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")
