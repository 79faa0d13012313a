"""Writes the content of an invented message from its record and its kind, again whenever somebody asks."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from html import escape
from typing import TYPE_CHECKING

import msgspec

from worker.sandbox.account.mail import Fixed
from worker.sandbox.account.traffic import KINDS, Kind
from worker.sandbox.content.content import Content, File, HeaderField, Hyperlink, NamedAddress

if TYPE_CHECKING:
    from worker.sandbox.account.mail import Mail

HOST = "inbound.mail.example"
BY_HAND = Kind(0, "", (), (), ())


class Record(Fixed, frozen=True, rename={"sender": "from"}):
    """The fields of the fixed part that the content needs, beyond those of filters."""

    envelope_to: tuple[str, ...] | None = None
    sent_at: str | None = None
    threat_categories: tuple[str, ...] | None = None
    to: tuple[str, ...] | None = None


_read = msgspec.json.Decoder(Record).decode


def read_record(mail: Mail) -> Record:
    """Decode the fixed part of a message."""
    return _read(mail.head + b"}")


def write_content(mail: Mail) -> Content:
    """Write the content of a message; it is the same every time."""
    record, kind = read_record(mail), KINDS.get(mail.kind, BY_HAND)
    links = tuple(Hyperlink(href, kind.shown) for href in mail.links)
    files = tuple(_write_file(name, links) for name in kind.files)
    text = f"{record.subject or ''}\n\n{kind.body}\n\n{record.from_name or ''}\n"
    return Content(tuple(_write_headers(mail, record)), text, links, files)


def _write_headers(mail: Mail, record: Record) -> list[HeaderField]:
    when = _read_sent(record, mail.scanned)
    headers = [
        HeaderField("Return-Path", f"<{record.envelope_from or ''}>"),
        *_write_hops(mail, record, format_datetime(datetime.fromtimestamp(mail.scanned, UTC))),
        *_write_checks(record),
        HeaderField("From", people=_pair_names([record.from_name], [record.sender])),
        HeaderField("To", people=_pair_names(record.to_name or (), _find_recipients(record))),
        HeaderField("Reply-To", people=_pair_names([], [record.replyto])),
        HeaderField("Date", format_datetime(when)),
        HeaderField("Message-ID", record.message_id or ""),
    ]
    present = [header for header in headers if header.value]
    return present if record.subject is None else [*present, HeaderField("Subject", record.subject)]


def _write_hops(mail: Mail, record: Record, date: str) -> list[HeaderField]:
    servers = (record.smtp_helo_server_ip, record.smtp_previous_hop_ip)
    hops = [f"from mail ([{server}]) by {HOST} with ESMTPS id {mail.postfix}; {date}" for server in servers if server]
    headers = [HeaderField("Received", hop) for hop in hops]
    return (
        [*headers, HeaderField("X-Originating-IP", f"[{record.x_originating_ip}]")]
        if record.x_originating_ip
        else headers
    )


def _write_checks(record: Record) -> list[HeaderField]:
    """Write the checks of the sender, if the record has any."""
    found = record.validation or {}
    told = [f"{name}={found[name]}" for name in ("spf", "dkim", "dmarc") if found.get(name)]
    return [HeaderField("Authentication-Results", "; ".join([HOST, *told]))] if told else []


def _find_recipients(record: Record) -> tuple[str, ...]:
    return record.to or record.envelope_to or record.client_recipients


def _pair_names(
    names: list[str | None] | tuple[str, ...], addresses: list[str | None] | tuple[str, ...]
) -> tuple[NamedAddress, ...]:
    """Pair addresses with names, as far as there are names."""
    known = [name or "" for name in names][: len(addresses)]
    padded = [*known, *[""] * (len(addresses) - len(known))]
    return tuple(NamedAddress(name, address) for name, address in zip(padded, addresses, strict=True) if address)


def _read_sent(record: Record, scanned: int) -> datetime:
    """Return when the message was sent; a record made by hand may say nothing, or nonsense."""
    try:
        return datetime.fromisoformat(record.sent_at or "").astimezone(UTC)
    except (ValueError, OverflowError):
        return datetime.fromtimestamp(scanned, UTC)


def _write_file(name: str, links: tuple[Hyperlink, ...]) -> File:
    """Write a file. All copies of a campaign carry the same one, so that its hash is worth asking for."""
    if name.endswith(".pdf"):
        return File(
            name, "application/pdf", b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
        )
    forms = "".join(f'<form action="{escape(link.href)}"><input name="card"></form>' for link in links)
    return File(name, "text/html", f"<!doctype html><title>{escape(name)}</title>{forms}\n".encode())
