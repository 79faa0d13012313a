"""One message: get, action log, detections, preview, raw, trace, reclassify."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.sandbox.account import reviews
from worker.sandbox.account.account import Effect
from worker.sandbox.account.mail import DONE, NO_INTEGRATION, write_old_log
from worker.sandbox.content import mime_writer, traces
from worker.sandbox.content.detections import write_detection
from worker.sandbox.content.originals import decode_whole, read_original
from worker.sandbox.content.preview import draw_screenshot
from worker.sandbox.content.writing import write_content
from worker.sandbox.wire import Call, OutgoingResponse, Refused, ok, ok_page, ok_raw, refuse_route

if TYPE_CHECKING:
    from worker.sandbox.account.account import AccountState
    from worker.sandbox.account.mail import Mail, State
    from worker.sandbox.content.content import Content

ABSENT = "the message is no longer in the inbox"


def get(account: AccountState, call: Call) -> OutgoingResponse:
    """Answer one message."""
    mail, state = _find_message(account, call, submitted=_asks_for_submission(account, call))
    return ok_raw(mail.encode(state, deprecated=account.options.deprecated))


def get_action_log(account: AccountState, call: Call) -> OutgoingResponse:
    """Answer all that was tried on a message, in order, with failed attempts; page by page, or all as it once was."""
    _, state = _find_message(account, call, submitted=_asks_for_submission(account, call))
    reader, request, deprecated = account.reader, call.request, account.options.deprecated
    if account.options.action_log == "whole":
        return ok(write_old_log(state.log, deprecated=deprecated))
    size, number = reader.number(request, "per_page", 20, 1000), reader.number(request, "page", 1, 10**9)
    old = [account.keep_deprecated(completed_timestamp=entry["completed_at"]) for entry in state.log]
    return ok_page([entry | more for entry, more in zip(state.log, old, strict=True)], number, size)


def get_detections(account: AccountState, call: Call) -> OutgoingResponse:
    """Answer why a message was detected; 404 if it was not."""
    mail, state = _find_detection(account, call)
    return ok(write_detection(mail, state, _read_content(mail)))


def get_raw(account: AccountState, call: Call) -> OutgoingResponse:
    """Answer the text of a detection; that of a real message is passed on as it came."""
    mail, _ = _find_detection(account, call)
    return ok({"raw": decode_whole(mail.original) if mail.original else mime_writer.write_eml(write_content(mail))})


def get_trace(account: AccountState, call: Call) -> OutgoingResponse:
    """Answer the path of any message through the mail servers; for a while after the scan it is marked as pending."""
    mail, _ = _find_message(account, call)
    pending = call.now < mail.scanned + account.options.trace_pending
    horizon = account.horizon(call.now, mail.id)
    return ok(traces.write_trace(mail, call.now, horizon, pending=pending, deprecated=account.options.deprecated))


def get_preview(account: AccountState, call: Call) -> OutgoingResponse:
    """Answer a picture of a detection."""
    mail, _ = _find_detection(account, call)
    return _answer_preview(account, call, mail)


def preview_other(account: AccountState, call: Call) -> OutgoingResponse:
    """Answer a picture of a message that is no detection. It is fetched from the inbox, so it must still be there."""
    mail = _find_named(account, call)
    if mail.now.disposition != "NONE":
        account.reader.refuse("the message is a detection: get its preview by its id")
    if account.options.integration != "on":
        raise _record_refusal(account, call, mail, Refused(400, 10003, NO_INTEGRATION))
    if mail.now.folder != "Inbox":
        raise _record_refusal(account, call, mail, Refused(404, 10002, ABSENT))
    return _answer_preview(account, call, mail)


def _find_named(account: AccountState, call: Call) -> Mail:
    """Find the message that the body names, in a form that an option allows."""
    body, form = account.reader.mapping(call.request), account.options.preview_body
    ident, postfix = body.get("id"), body.get("postfix_id")
    mail = None
    if isinstance(ident, str) and form != "postfix_id":
        mail = account.find_mail(ident, call.now)
    elif isinstance(postfix, str) and form != "id":
        mail = next((one for one in account.mails if one.postfix == postfix and one.first <= call.now), None)
    else:
        account.reader.refuse(f"the body must name the message by {'id or postfix_id' if form == 'both' else form}")
    if mail is None:
        raise Refused(404, 10002, "message not found")
    return mail


def _answer_preview(account: AccountState, call: Call, mail: Mail) -> OutgoingResponse:
    """Draw a message, and record that somebody looked at it."""
    fresh = "PREVIEW" not in (mail.now.operations or ())
    mail.become(call.now, mail.now.record_preview(call.now, call.by))
    account.record(Effect(call.now, "preview", mail.id, call.by, fresh, {"status": DONE}))
    return ok({"screenshot": draw_screenshot(_read_content(mail))})


def _record_refusal(account: AccountState, call: Call, mail: Mail, refused: Refused) -> Refused:
    """Record that somebody was refused a look at a message."""
    mail.become(call.now, mail.now.record_preview(call.now, call.by, refused.message))
    account.record(Effect(call.now, "preview", mail.id, call.by, changed=False, detail={"status": refused.message}))
    return refused


def _read_content(mail: Mail) -> Content:
    return read_original(mail.original).content if mail.original else write_content(mail)


def _find_detection(account: AccountState, call: Call) -> tuple[Mail, State]:
    mail, state = _find_message(account, call)
    if state.disposition == "NONE":
        raise Refused(404, 10002, "no detection for this message")
    return mail, state


def _asks_for_submission(account: AccountState, call: Call) -> bool:
    return account.reader.flag(call.request, "submission", default=False) is True


def _find_message(account: AccountState, call: Call, *, submitted: bool = False) -> tuple[Mail, State]:
    """Find a message; with ``submitted``, only one that somebody sent in."""
    mail = account.find_mail(call.ids[0], call.now)
    state = account.read_mail(mail, call.now) if mail is not None else None
    if mail is None or state is None or (submitted and not _was_submitted(account, call, mail)):
        raise Refused(404, 10002, "message not found")
    return mail, state


def _was_submitted(account: AccountState, call: Call, mail: Mail) -> bool:
    rows = account.read_all(account.submissions, call.now)
    return any(row.get("original_postfix_id") == mail.postfix for row in rows)


def reclassify(account: AccountState, call: Call) -> OutgoingResponse:
    """Accept a request for another verdict: a TEAM submission appears later, the verdict may change much later."""
    if account.options.reclassify != "on":
        raise refuse_route(call.request, int(account.options.reclassify))
    body = account.reader.mapping(call.request)
    mail = account.find_mail(call.ids[0], call.now)
    if mail is None:
        raise Refused(404, 10002, "message not found")
    reviews.request_verdict(account, reviews.read_request(account, mail, call.by, call.now, body))
    return ok({}, status=200 if account.options.seeds else 202)
