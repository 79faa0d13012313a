"""Reads real messages from .eml files with the standard library; nothing in them is trusted."""

from __future__ import annotations

import codecs
from contextlib import suppress
from datetime import UTC, datetime
from email.message import EmailMessage, Message
from email.parser import BytesParser
from email.policy import EmailPolicy
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct

from worker.sandbox.content.content import Content, File, HeaderField, Hyperlink, NamedAddress
from worker.sandbox.content.html import HtmlPage, find_links

if TYPE_CHECKING:
    from email.policy import Policy

# Beyond these the parser of the standard library would need minutes or gigabytes for one hostile message.
MOST_PARTS, MOST_HEADER_LINES, LONGEST_DECODED, LONGEST_TEXT = 300, 20_000, 8000, 256 * 1024
MOST_HEADERS, MOST_LINKS, MOST_PEOPLE = 500, 1000, 100
# Encodings that are not for text, or slow to decode.
NO_CHARSETS = frozenset({"idna", "punycode", "raw-unicode-escape", "unicode-escape", "undefined"})

ZIP_FLAGS = 6  # their offset in a ZIP archive


class UnreadableMessage(ValueError):
    """Data that are no message, or none that can be read in reasonable time."""


class Letter(Struct, frozen=True):
    """The content of a message, who wrote to whom, and its Date (epoch seconds)."""

    content: Content
    sender: NamedAddress | None
    reply_to: NamedAddress | None
    recipients: tuple[NamedAddress, ...]
    sent: float | None


def read(data: bytes) -> Letter:
    """Read a message. Raises UnreadableMessage for what is none."""
    if data.partition(b"\r\n\r\n")[0].partition(b"\n\n")[0].count(b"\n") > MOST_HEADER_LINES:
        raise UnreadableMessage(f"it has more than {MOST_HEADER_LINES:,} lines of headers")
    try:
        return _read_letter(_parse(data))
    except UnreadableMessage:
        raise
    except Exception as error:  # the library fails in ways of its own on what no mail program writes
        raise UnreadableMessage(f"it cannot be read ({type(error).__name__})") from error


def decode_text(data: bytes) -> str:
    """Decode a message as UTF-8; where it is none, as Latin-1, a character for each byte."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


class _Bounded(EmailPolicy):
    """The library's policy, which decodes only the beginning of a header, and keeps what it cannot decode."""

    def header_fetch_parse(self, name: str, value: str) -> Any:  # noqa: ANN401 (a class of its own for each header)
        start = value[:LONGEST_DECODED]
        try:
            return super().header_fetch_parse(name, start)
        except Exception:  # noqa: BLE001 (there is no list of what it raises)
            return _make_encodable(start)


POLICY = _Bounded()


def _parse(data: bytes) -> EmailMessage:
    """Parse, counting the parts."""
    parts = 0

    def part(policy: Policy[Message]) -> Message:
        nonlocal parts
        parts += 1
        if parts > MOST_PARTS:
            raise UnreadableMessage(f"it has more than {MOST_PARTS:,} parts")
        return EmailMessage(policy)

    return cast("EmailMessage", BytesParser(policy=POLICY.clone(message_factory=part)).parsebytes(data))


def _read_letter(message: EmailMessage) -> Letter:
    if not message.keys():
        raise UnreadableMessage("it has no headers")
    sender, reply_to = _read_people(message, "From"), _read_people(message, "Reply-To")
    recipients = (*_read_people(message, "To"), *_read_people(message, "Cc")) or _read_people(message, "Delivered-To")
    return Letter(
        content=_read_content(message),
        sender=next(iter(sender), None),
        reply_to=next(iter(reply_to), None),
        recipients=tuple({one.address: one for one in recipients}.values())[:MOST_PEOPLE],
        sent=_read_date(message),
    )


def _read_people(message: EmailMessage, name: str) -> tuple[NamedAddress, ...]:
    """Return whom a header names, as far as its beginning can be read."""
    header = POLICY.header_fetch_parse("To", str(message.get(name, "")))
    found = [(one.display_name, one.addr_spec) for one in getattr(header, "addresses", ())]
    return tuple(
        NamedAddress(_make_encodable(display), _make_encodable(address)) for display, address in found if "@" in address
    )


def _read_date(message: EmailMessage) -> float | None:
    when = getattr(message.get("Date"), "datetime", None)
    if not isinstance(when, datetime):
        return None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def _read_content(message: EmailMessage) -> Content:
    """Sort the parts into text, pages and files, and find the links."""
    texts: list[str] = []
    pages: list[HtmlPage] = []
    files: list[File] = []
    for part in message.walk():
        if part.is_multipart():
            continue
        data, kind = _read_bytes(part), part.get_content_type()
        name = _read_name(part)
        if name or part.get_content_disposition() == "attachment" or kind not in {"text/plain", "text/html"}:
            files.append(File(name or "unnamed", kind, data, _is_encrypted(data)))
        elif kind == "text/html":
            pages.append(HtmlPage(_decode_part(part, data)))
        else:
            texts.append(_decode_part(part, data))
    found = [link for page in pages for link in page.links] + [link for text in texts for link in find_links(text)]
    first: dict[str, Hyperlink] = {}
    for link in found:
        first.setdefault(link.href, link)
    words = "\n".join(texts or [" ".join(page.words) for page in pages])
    return Content(_read_headers(message), words, tuple(islice(first.values(), MOST_LINKS)), tuple(files))


def _read_headers(message: EmailMessage) -> tuple[HeaderField, ...]:
    return tuple(HeaderField(name, _decode_header(raw)) for name, raw in islice(message.raw_items(), MOST_HEADERS))


def _decode_header(raw: object) -> str:
    """Decode a header; one that is longer than LONGEST_DECODED is kept as it was written."""
    line = _make_encodable(str(raw).replace("\r", "").replace("\n", ""))
    if "=?" not in line or len(line) > LONGEST_DECODED:
        return line
    return _make_encodable(str(POLICY.header_fetch_parse("Subject", line)))


def _make_encodable(text: str) -> str:
    """Return text without surrogates: the bytes they stand for are decoded as UTF-8, or replaced."""
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        data = text.encode("utf-8", "replace")
    return data.decode("utf-8", "replace")


def _read_name(part: EmailMessage) -> str:
    with suppress(ValueError):  # for an unknown charset
        return _make_encodable(part.get_filename() or "")
    return "unnamed"


def _read_bytes(part: EmailMessage) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _decode_part(part: EmailMessage, data: bytes) -> str:
    """Decode the beginning of a text."""
    try:
        charset = codecs.lookup(part.get_content_charset("utf-8")).name
        wanted = "utf-8" if charset in NO_CHARSETS else charset
        return _make_encodable(data[:LONGEST_TEXT].decode(wanted, "replace"))
    except (LookupError, ValueError):
        return data[:LONGEST_TEXT].decode("utf-8", "replace")


def _is_encrypted(data: bytes) -> bool:
    """Tell whether it is a ZIP archive whose first entry is encrypted: the lowest bit of its flags says so."""
    return data.startswith(b"PK\x03\x04") and len(data) > ZIP_FLAGS and data[ZIP_FLAGS] & 1 == 1
