"""Refusals: what rules want in vain is entered with the reason, and never tried. Pure."""

from worker.language.actions import AnyAction, Escalate, Reclassify
from worker.language.models import Submission
from worker.ledger.values import Reading

NO_BODY = "Cloudflare cannot review clean mail that no user submitted, because it has not kept its body"
NOT_A_USERS = "only what a user submitted can be escalated"
ESCALATED = "the user's submission is escalated already"


def refuse(action: AnyAction, submission: Submission | None, subject: Reading, *, sent_in: bool) -> str:
    """Say why an action about a message would be in vain; empty when it would not.

    ``submission`` is the event, if it is one; ``sent_in`` tells whether the message itself says that it was submitted.
    """
    by_user = submission is not None and is_users(submission)
    if isinstance(action, Escalate) and not by_user:
        return NOT_A_USERS
    if isinstance(action, Escalate) and submission is not None and is_escalated(submission):
        return ESCALATED
    known = by_user or sent_in or "SUBMISSION" in (subject.look.operations if subject.look else ())
    return NO_BODY if isinstance(action, Reclassify) and subject.verdict == "NONE" and not known else ""


def is_users(submission: Submission) -> bool:
    """Tell whether a user submitted this, not the security team."""
    return submission.type.upper() == "USER"


def is_escalated(submission: Submission) -> bool:
    """Tell whether the security team has handed this on already."""
    return submission.customer_status.lower() == "escalated"


def address(action: AnyAction, submission: Submission | None) -> AnyAction:
    """Return an action that names what it is about, where only the event tells that."""
    if isinstance(action, Escalate) and submission is not None:
        return Escalate(action.expected_disposition, submission_id=submission.submission_id, because=action.because)
    return action
