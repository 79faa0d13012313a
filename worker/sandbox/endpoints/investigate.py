"""One message: get, action log, detections, preview, raw, trace, reclassify."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.sandbox.account import reviews
from worker.sandbox.account.account import Effect
from worker.sandbox.account.mail import DONE, NO_INTEGRATION, aged
from worker.sandbox.content import mime_reader, mime_writer
from worker.sandbox.content.detections import detection
from worker.sandbox.content.preview import screenshot
from worker.sandbox.content.traces import trace as traced
from worker.sandbox.content.writing import written
from worker.sandbox.wire import Answer, Call, Refused, ok, ok_raw

if TYPE_CHECKING:
    from worker.sandbox.account.activity import Life
    from worker.sandbox.account.mail import Mail, State
    from worker.sandbox.content.content import Content

ABSENT = "the message is no longer in the inbox"


def get(life: Life, call: Call) -> Answer:
    """Answer one message."""
    mail, state = _message(life, call, submitted=_submitted(life, call))
    return ok_raw(mail.encoded(state, deprecated=life.switches.deprecated))


def action_log(life: Life, call: Call) -> Answer:
    """Answer what was tried on a message, in its order, failed attempts too."""
    _, state = _message(life, call, submitted=_submitted(life, call))
    return ok(aged(state.log) if life.switches.deprecated else state.log)


def detections(life: Life, call: Call) -> Answer:
    """Answer why a message was detected; there is nothing for one that was not."""
    mail, state = _detected(life, call)
    return ok(detection(mail, state, _content(mail)))


def raw(life: Life, call: Call) -> Answer:
    """Answer the text of a detection: that of a real message as it was, byte for byte where it is text."""
    mail, _ = _detected(life, call)
    return ok({"raw": mime_reader.text(mail.original) if mail.original else mime_writer.eml(written(mail))})


def trace(life: Life, call: Call) -> Answer:
    """Answer the way of any message through the mail servers; more may follow soon after the scan."""
    mail, _ = _message(life, call)
    pending = call.now < mail.scanned + life.switches.trace_pending
    horizon = life.horizon(call.now, mail.id)
    return ok(traced(mail, call.now, horizon, pending=pending, deprecated=life.switches.deprecated))


def preview(life: Life, call: Call) -> Answer:
    """Answer a picture of a detection."""
    mail, _ = _detected(life, call)
    return _shown(life, call, mail)


def preview_other(life: Life, call: Call) -> Answer:
    """Answer a picture of a message that is no detection, fetched from the inbox, where it must still lie."""
    mail = _asked_for(life, call)
    if mail.now.disposition != "NONE":
        life.reader.wrong("the message is a detection: get its preview by its id")
    if life.switches.integration != "on":
        raise _unshown(life, call, mail, Refused(400, 10003, NO_INTEGRATION))
    if mail.now.folder != "Inbox":
        raise _unshown(life, call, mail, Refused(404, 10002, ABSENT))
    return _shown(life, call, mail)


def _asked_for(life: Life, call: Call) -> Mail:
    """Find the message that the body names, in the form or the forms a switch allows."""
    body, form = life.reader.mapping(call.request), life.switches.preview_body
    ident, postfix = body.get("id"), body.get("postfix_id")
    mail = None
    if isinstance(ident, str) and form != "postfix_id":
        mail = life.find(ident, call.now)
    elif isinstance(postfix, str) and form != "id":
        mail = next((one for one in life.mails if one.postfix == postfix and one.first <= call.now), None)
    else:
        life.reader.wrong(f"the body must name the message by {'id or postfix_id' if form == 'both' else form}")
    if mail is None:
        raise Refused(404, 10002, "message not found")
    return mail


def _shown(life: Life, call: Call, mail: Mail) -> Answer:
    """Draw a message, and put on record that somebody looked at it."""
    fresh = "PREVIEW" not in (mail.now.operations or ())
    mail.become(call.now, mail.now.previewed(call.now, call.by))
    life.note(Effect(call.now, "preview", mail.id, call.by, fresh, {"status": DONE}))
    return ok({"screenshot": screenshot(_content(mail))})


def _unshown(life: Life, call: Call, mail: Mail, refused: Refused) -> Refused:
    """Put on record that somebody tried to look at it."""
    mail.become(call.now, mail.now.previewed(call.now, call.by, refused.message))
    life.note(Effect(call.now, "preview", mail.id, call.by, changed=False, detail={"status": refused.message}))
    return refused


def _content(mail: Mail) -> Content:
    return mime_reader.read(mail.original).content if mail.original else written(mail)


def _detected(life: Life, call: Call) -> tuple[Mail, State]:
    mail, state = _message(life, call)
    if state.disposition == "NONE":
        raise Refused(404, 10002, "no detection for this message")
    return mail, state


def _submitted(life: Life, call: Call) -> bool:
    return life.reader.flag(call.request, "submission", default=False) is True


def _message(life: Life, call: Call, *, submitted: bool = False) -> tuple[Mail, State]:
    """Find a message; where only the submissions count, one that somebody sent in."""
    mail = life.find(call.ids[0], call.now)
    state = life.seen(mail, call.now) if mail is not None else None
    if mail is None or state is None or (submitted and not _sent_in(life, call, mail)):
        raise Refused(404, 10002, "message not found")
    return mail, state


def _sent_in(life: Life, call: Call, mail: Mail) -> bool:
    rows = life.shown(life.submissions, call.now)
    return any(row.get("original_postfix_id") == mail.postfix for row in rows)


def reclassify(life: Life, call: Call) -> Answer:
    """Accept a request for another verdict: a TEAM submission appears later, the verdict may change much later."""
    body = life.reader.mapping(call.request)
    mail = life.find(call.ids[0], call.now)
    if mail is None:
        raise Refused(404, 10002, "message not found")
    reviews.ask(life, reviews.read_wish(life, mail, call.by, call.now, body))
    return ok({}, status=202)
