"""One message: get, action log, detections, reclassify."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from worker.sandbox.account import Effect
from worker.sandbox.mail import SIX, Mail, State
from worker.sandbox.wire import Answer, Call, Json, Refused, moment, ok, ok_raw

if TYPE_CHECKING:
    from worker.sandbox.life import Life

GRANTED = 2 / 3


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
    wanted = body.get("expected_disposition")
    if not isinstance(wanted, str) or wanted not in SIX:
        life.reader.wrong(f"expected_disposition must be one of {', '.join(sorted(SIX))}")
    mail = life.find(call.ids[0], call.now)
    if mail is None:
        raise Refused(404, 10002, "message not found")
    wish = Wish(mail, wanted, call.by, call.now, stored=mail.stored or bool(body.get("eml_content")))
    life.note(Effect(call.now, "reclassify", mail.id, call.by, changed=True, detail={"disposition": wanted}))
    life.later(call.now + life.switches.submission_delay, partial(_submit, life, wish))
    return ok({}, status=202)


@dataclass(frozen=True, slots=True)
class Wish:
    """A request for another verdict; without a stored body nobody can review it."""

    mail: Mail
    disposition: str
    by: str
    at: float
    stored: bool


def _submit(life: Life, wish: Wish, at: float) -> None:
    """Put the request on record."""
    mail = wish.mail
    ident = life.add_submission(
        at=at,
        type="Team",
        requested_at=moment(wish.at),
        requested_by=wish.by,
        requested_disposition=wish.disposition,
        original_disposition=_six(mail.now.disposition),
        original_postfix_id=mail.postfix,
        subject=mail.fixed().subject,
        status="pending" if wish.stored else "invalid",
        outcome=None if wish.stored else "invalid submission: no message body",
    )
    mail.become(at, mail.now.logged("RECLASSIFY", wish.at, wish.by))
    if wish.stored:
        life.later(at + life.switches.review_delay, partial(_review, life, wish, ident))


def _review(life: Life, wish: Wish, ident: str, at: float) -> None:
    """Decide about a request: two in three are granted, and then the verdict changes."""
    granted = life.rng.random() < GRANTED
    outcome = wish.disposition if granted else wish.mail.now.disposition
    said = "accepted" if granted else "rejected"
    life.change_submission(ident, at=at, status="completed", outcome=said, outcome_disposition=_six(outcome))
    if granted:
        life.change_verdict(wish.mail.id, wish.disposition, at=at)


def _six(disposition: str) -> str | None:
    return disposition if disposition in SIX else None
