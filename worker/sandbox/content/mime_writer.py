"""Writes content as the text of an .eml file. Nothing an attacker wrote can end a header or begin another part."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import blake2s
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.sandbox.content.content import Content, HeaderField, NamedAddress

END = "\r\n"
LONGEST_PLAIN = 900  # a line may have 998 characters
WORD_BYTES = 45  # an encoded word may have 75 characters
CONTINUES = 0b10  # the first two bits of every byte of a UTF-8 character but its first
PLAIN_NAME = re.compile(r"[A-Za-z0-9]+(?: [A-Za-z0-9]+)*")
PLAIN_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
PLAIN_ADDRESS = re.compile(r"[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+")


def write_eml(content: Content) -> str:
    """Write the whole message; the same content gives the same text."""
    lines = [f"{header.name}: {_write_value(header)}" for header in content.headers]
    body = _join_parts("alternative", [_write_part("text/plain", _write_plain(content).encode()), _write_html(content)])
    files = [_write_part(file.kind, file.data, file.name) for file in content.files]
    whole = _join_parts("mixed", [body, *files]) if files else body
    return END.join([*lines, "MIME-Version: 1.0", whole])


def _write_plain(content: Content) -> str:
    return content.text + "".join(f"{link.href}\n" for link in content.links)


def _write_html(content: Content) -> str:
    links = "".join(
        f'<p><a href="{escape(link.href)}">{escape(link.text or link.href)}</a></p>' for link in content.links
    )
    return _write_part("text/html", f"<html><body><pre>{escape(content.text)}</pre>{links}</body></html>\n".encode())


def _write_part(kind: str, data: bytes, name: str = "") -> str:
    """Write one part with its headers. In base64 nothing can be mistaken for a boundary."""
    charset = '; charset="utf-8"' if kind.startswith("text/") and not name else ""
    headers = [f"Content-Type: {kind}{charset}", "Content-Transfer-Encoding: base64"]
    if name:
        headers.append(f"Content-Disposition: attachment; {_write_filename(name)}")
    text = b64encode(data).decode()
    return END.join([*headers, "", *[text[at : at + 76] for at in range(0, len(text), 76)], ""])


def _write_filename(name: str) -> str:
    """Write the name of a file; what is not plain is percent-encoded (RFC 2231), so that nothing in it is special."""
    return f'filename="{name}"' if _fits(PLAIN_FILE, name) else f"filename*=utf-8''{quote(name, safe='')}"


def _join_parts(kind: str, parts: list[str]) -> str:
    """Join parts. The boundary is a hash of them, so that the same message always has the same text."""
    boundary = f"=_{blake2s(''.join(parts).encode(), digest_size=12).hexdigest()}"
    joined = "".join(f"--{boundary}{END}{part}{END}" for part in parts)
    return f'Content-Type: multipart/{kind}; boundary="{boundary}"{END}{END}{joined}--{boundary}--{END}'


def _write_value(header: HeaderField) -> str:
    return f",{END} ".join(map(_write_address, header.people)) if header.people else _write_words(header.text)


def _write_address(person: NamedAddress) -> str:
    """Write a name and an address. What is not plain becomes encoded words, in which nothing is special."""
    address = person.address if _fits(PLAIN_ADDRESS, person.address) else _encode_words(person.address)
    if not person.name:
        return f"<{address}>"
    name = person.name if _fits(PLAIN_NAME, person.name) else _encode_words(person.name)
    return f"{name}{END} <{address}>"


def _fits(form: re.Pattern[str], text: str) -> bool:
    return len(text) <= LONGEST_PLAIN // 3 and form.fullmatch(text) is not None


def _write_words(text: str) -> str:
    plain = text.isascii() and text.isprintable() and text == text.strip() and "=?" not in text
    return text if plain and len(text) <= LONGEST_PLAIN else _encode_words(text)


def _encode_words(text: str) -> str:
    """Write any text as encoded words (RFC 2047), one to a line."""
    return f"{END} ".join(f"=?utf-8?b?{b64encode(piece).decode()}?=" for piece in _cut(text.encode()))


def _cut(data: bytes) -> Iterator[bytes]:
    """Cut UTF-8 into pieces that fit an encoded word, without cutting a character."""
    start = 0
    while start < len(data):
        end = min(start + WORD_BYTES, len(data))
        while end < len(data) and data[end] >> 6 == CONTINUES:
            end -= 1
        yield data[start:end]
        start = end
