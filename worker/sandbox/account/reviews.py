"""Requests for another verdict: each becomes a submission, is reviewed later, and may change the verdict."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from worker.sandbox.account.account import Effect
from worker.sandbox.account.mail import SIX, Mail
from worker.sandbox.wire import Json, format_moment

if TYPE_CHECKING:
    from worker.sandbox.account.account import AccountState

GRANTED = 2 / 3
INVALID = "invalid submission: no message body"


class VerdictRequest(Struct, frozen=True):
    """A request for another verdict, at ``at`` epoch seconds.

    Without a stored body nobody can review it. ``escalates`` is the submission of a user that it escalates.
    """

    mail: Mail
    disposition: str
    by: str
    at: float
    stored: bool
    escalates: str | None = None


def read_request(account: AccountState, mail: Mail, by: str, at: float, body: Json) -> VerdictRequest:
    """Read a request for another verdict out of the fields of a reclassification."""
    wanted = body.get("expected_disposition")
    if not isinstance(wanted, str) or wanted not in SIX:
        account.reader.refuse(f"expected_disposition must be one of {', '.join(sorted(SIX))}")
    text, escalated = (_read_text(account, body, name) for name in ("eml_content", "escalated_submission_id"))
    stored = bool(text) or has_body(account, mail)
    return VerdictRequest(mail, wanted, by, at, stored=stored, escalates=escalated)


def has_body(account: AccountState, mail: Mail) -> bool:
    """Tell whether somebody can review a message: its body was kept, or came with what a user submitted."""
    rows = (timeline.value or {} for timeline in account.submissions.values())
    return mail.stored or any(
        (row.get("type"), row.get("original_postfix_id")) == ("User", mail.postfix) for row in rows
    )


def _read_text(account: AccountState, body: Json, name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        account.reader.refuse(f"{name} must be a string")
    return value


def request_verdict(account: AccountState, request: VerdictRequest) -> None:
    """Accept a request. It is on record a little later, and decided much later."""
    detail: Json = {"disposition": request.disposition}
    detail |= {"escalates": request.escalates} if request.escalates else {}
    account.record(Effect(request.at, "reclassify", request.mail.id, request.by, changed=True, detail=detail))
    account.schedule(request.at + account.options.submission_delay, partial(_submit, account, request))


def _submit(account: AccountState, request: VerdictRequest, at: float) -> None:
    """Put the request on record."""
    mail = request.mail
    ident = account.add_submission(
        at=at,
        type="Team",
        requested_at=format_moment(request.at),
        requested_by=request.by,
        requested_disposition=request.disposition,
        original_disposition=limit_to_six(mail.now.disposition),
        original_postfix_id=mail.postfix,
        subject=mail.read_fixed().subject,
        status="pending" if request.stored else "invalid",
        outcome=None if request.stored else INVALID,
    )
    status = "OK" if request.stored else INVALID
    mail.become(at, mail.now.record_submission(request.at, request.by, status, request.disposition, ident))
    _escalate(account, request, ident, at)
    if request.stored:
        account.schedule(at + account.options.review_delay, partial(_review, account, request, ident))


def _escalate(account: AccountState, request: VerdictRequest, ident: str, at: float) -> None:
    """Mark the submission of a user as escalated by the submission ``ident``."""
    users = account.submissions.get(request.escalates or "")
    if users is None or users.value is None or users.value["type"] != "User":
        return
    account.change_submission(
        str(request.escalates),
        at=at,
        customer_status="escalated",
        escalated_as=request.disposition,
        escalated_at=format_moment(request.at),
        escalated_by=request.by,
        escalated_submission_id=ident,
    )


def _review(account: AccountState, request: VerdictRequest, ident: str, at: float) -> None:
    """Decide a request: two in three are granted, and then the verdict changes."""
    granted = account.rng.random() < GRANTED
    outcome = request.disposition if granted else request.mail.now.disposition
    said = "accepted" if granted else "rejected"
    account.change_submission(ident, at=at, status="completed", outcome=said, outcome_disposition=limit_to_six(outcome))
    if granted:
        account.change_verdict(request.mail.id, request.disposition, at=at)


def limit_to_six(disposition: str) -> str | None:
    """Return a disposition as submissions show it; they know six, and null."""
    return disposition if disposition in SIX else None
