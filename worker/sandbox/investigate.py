"""One message: get, action log, detections, reclassify."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.sandbox import reviewing
from worker.sandbox.wire import Answer, Call, Json, Refused, ok, ok_raw

if TYPE_CHECKING:
    from worker.sandbox.life import Life
    from worker.sandbox.mail import Mail, State


def get(life: Life, call: Call) -> Answer:
    """Answer one message."""
    mail, state = _message(life, call)
    return ok_raw(mail.encoded(state, deprecated=life.switches.deprecated))


def action_log(life: Life, call: Call) -> Answer:
    """Answer what was tried on a message, in its order, failed attempts too."""
    return ok(_message(life, call)[1].log)


def detections(life: Life, call: Call) -> Answer:
    """Answer why a message was detected; there is nothing for one that was not."""
    mail, state = _message(life, call)
    if state.disposition == "NONE":
        raise Refused(404, 10002, "no detection for this message")
    return ok(_detection(mail, state))


def _message(life: Life, call: Call) -> tuple[Mail, State]:
    mail = life.find(call.ids[0], call.now)
    state = life.seen(mail, call.now) if mail is not None else None
    if mail is None or state is None:
        raise Refused(404, 10002, "message not found")
    return mail, state


def _detection(mail: Mail, state: State) -> Json:
    fixed = mail.fixed()
    findings = [
        {"detail": reason, "detection": state.disposition, "name": "model", "reason": reason, "score": 0.9}
        for reason in fixed.detection_reasons
    ]
    return {
        "action": "QUARANTINED" if state.quarantined else "DELIVERED",
        "attachments": _attachments(mail, state),
        "findings": findings or None,
        "headers": [{"name": "Subject", "value": fixed.subject or ""}, {"name": "From", "value": fixed.sender or ""}],
        "links": [{"href": href, "text": None} for href in mail.links],
        "sender_info": {"as_name": "Example Net", "as_number": 64500, "geo": "NL", "ip": fixed.smtp_helo_server_ip},
        "threat_categories": [{"id": 1, "name": "IPReputation", "description": None}],
        "validation": fixed.validation or {},
        "final_disposition": state.disposition,
    }


def _attachments(mail: Mail, state: State) -> list[Json]:
    """Held campaigns carry a file; no other kind of mail does."""
    if mail.kind != "phish_held":
        return []
    name, kind = "refund.html", "text/html"
    return [{"size": 4812, "content_type": kind, "detection": state.disposition, "encrypted": False, "name": name}]


def reclassify(life: Life, call: Call) -> Answer:
    """Accept a request for another verdict: a TEAM submission appears later, the verdict may change much later."""
    body = life.reader.mapping(call.request)
    mail = life.find(call.ids[0], call.now)
    if mail is None:
        raise Refused(404, 10002, "message not found")
    reviewing.ask(life, reviewing.read_wish(life, mail, call.by, call.now, body))
    return ok({}, status=202)
