"""Originals: real messages, of which anybody may have written the bytes."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from worker.mime.octets import Octets
from worker.mime.pages import read_page
from worker.mime.people import read_people
from worker.mime.reader import read_letter
from worker.sandbox.content.content import Content, File, HeaderField, Hyperlink, NamedAddress, is_web

if TYPE_CHECKING:
    from worker.mime.letter import Letter

LONGEST_TEXT = 256 * 1024


class UnreadableMessage(ValueError):
    """Data that are no message."""


class Original(Struct, frozen=True):
    """The content of a message, who wrote to whom, and its Date (epoch seconds)."""

    content: Content
    sender: NamedAddress | None
    reply_to: NamedAddress | None
    recipients: tuple[NamedAddress, ...]
    sent: float | None


def read_original(data: bytes) -> Original:
    """Read a message. Raises UnreadableMessage for what is none."""
    letter = read_letter(Octets(data))
    if not letter.fields:
        raise UnreadableMessage("it has no headers")
    sender, reply_to = _read_people(letter, "From"), _read_people(letter, "Reply-To")
    recipients = (*_read_people(letter, "To"), *_read_people(letter, "Cc")) or _read_people(letter, "Delivered-To")
    return Original(
        content=_write_content(letter),
        sender=next(iter(sender), None),
        reply_to=next(iter(reply_to), None),
        recipients=tuple({one.address: one for one in recipients}.values()),
        sent=_read_date(letter),
    )


def decode_whole(data: bytes) -> str:
    """Decode a message as UTF-8; where it is none, as Latin-1, a character for each byte."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _read_people(letter: Letter, name: str) -> tuple[NamedAddress, ...]:
    written = next((one.written for one in letter.fields if one.name.lower() == name.lower()), "")
    return tuple(NamedAddress(one.name, one.address) for one in read_people(written))


def _read_date(letter: Letter) -> float | None:
    with suppress(ValueError, OverflowError):
        when = parsedate_to_datetime(letter.header("Date")[:100])
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    return None


def _write_content(letter: Letter) -> Content:
    """Return what the API tells of a message."""
    first: dict[str, Hyperlink] = {}
    for link in letter.links:
        if is_web(link.href):
            is_bare = link.text.rstrip("/") == link.href.rstrip("/")
            first.setdefault(link.href, Hyperlink(link.href, None if is_bare else link.text or None))
    words = letter.text or " ".join(read_page(letter.html, lambda: False).text.split())
    files = tuple(File(one.name or "unnamed", one.kind, one.data, one.encrypted) for one in letter.files)
    headers = tuple(HeaderField(one.name, one.value) for one in letter.fields)
    return Content(headers, words[:LONGEST_TEXT], tuple(first.values()), files)
