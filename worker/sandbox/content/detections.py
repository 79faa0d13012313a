"""Why a message was detected: its sender, links, files and findings, as the API shows them."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from worker.sandbox.content.writing import read_record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.sandbox.account.mail import Mail, State
    from worker.sandbox.content.content import Content, File
    from worker.sandbox.content.writing import Record
    from worker.sandbox.wire import Json

CATEGORIES: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "IPReputation": (1, "The sending server is known for unwanted mail"),
        "DomainAge": (2, "The domain was registered recently"),
    }
)


def write_detection(mail: Mail, state: State, content: Content) -> Json:
    """Return all fields of a detection."""
    record = read_record(mail)
    return {
        "action": _action_of(state),
        "attachments": [_write_attachment(file, state.disposition) for file in content.files],
        "findings": [_write_finding(reason, record, state, content) for reason in record.detection_reasons] or None,
        "headers": [{"name": header.name, "value": header.value} for header in content.headers],
        "links": [{"href": link.href, "text": link.text} for link in content.links],
        "sender_info": _write_sender(record),
        "threat_categories": [_write_category(name) for name in record.threat_categories or ()],
        "validation": record.validation or {},
        "final_disposition": state.disposition,
    }


def _action_of(state: State) -> str:
    if state.quarantined:
        return "QUARANTINED"
    return "MOVED" if "moved" in state.delivery else "DELIVERED"


def _write_attachment(file: File, disposition: str) -> Json:
    """Describe one file; the API has two fields for its name."""
    return {
        "size": len(file.data),
        "content_type": file.kind,
        "detection": disposition if file.risky else "NONE",
        "encrypted": file.encrypted,
        "filename": file.name,
        "name": file.name,
        **file.hashes(),
    }


def _write_finding(reason: str, record: Record, state: State, content: Content) -> Json:
    """Say where a reason was found: in a file, in a link, in the header, else in the text."""
    words, file = reason.lower(), next(iter(content.files), None)
    finding: Json = {"attachment": None, "field": "text", "portion": "BODY", "value": None}
    if "attachment" in words and file is not None:
        finding = {
            "attachment": file.name,
            "field": "sha256",
            "portion": "ATTACHMENT",
            "value": file.hashes()["sha256"],
        }
    elif "link" in words and content.links:
        finding |= {"field": "href", "value": content.links[0].href}
    elif any(word in words for word in ("header", "domain", "name", "sender", "impersonation")):
        finding |= {"field": "From", "portion": "HEADER", "value": record.sender}
    told = {"detail": reason, "detection": state.disposition, "name": "model", "reason": reason, "score": 0.9}
    return told | finding


def _write_sender(record: Record) -> Json:
    """Describe the server that sent it, and the registered part of the sender's domain."""
    domain = (record.sender or record.envelope_from or "").rpartition("@")[2]
    return {
        "as_name": "Example Net",
        "as_number": 64500,
        "geo": "NL",
        "ip": record.smtp_helo_server_ip,
        "pld": ".".join(domain.split(".")[-2:]) or None,
    }


def _write_category(name: str) -> Json:
    number, description = CATEGORIES.get(name, (None, None))
    return {"id": number, "name": name, "description": description}
