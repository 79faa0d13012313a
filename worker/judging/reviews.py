"""Reviews: what submissions say of our requests for another verdict, up to Cloudflare's decision. Pure."""

from collections.abc import Collection, Iterable, Iterator, Sequence

from msgspec.structs import replace

from worker.api.clock import SECOND
from worker.escaping import escape
from worker.judging.refusals import is_escalated
from worker.language.actions import Escalate, Reclassify
from worker.language.models import Submission
from worker.language.times import epoch
from worker.ledger.entries import Entry, Outcome, Review, State, is_accepted

NEVER = 30 * 86400.0
"""Seconds after which nobody waits for a decision any more; submissions of as many days are read again and again."""
INVALID = frozenset({"invalid", "invalid submission"})
"""What ``status`` may say of a request that cannot be reviewed; any other word leaves it open."""
SAME = frozenset({("MALICIOUS", "MALICIOUS-BEC")})
"""What may be asked for, and what comes to the same."""
LONGEST_ID = 200
SAID: dict[Review, str] = {
    "granted": "granted",
    "rejected": "rejected",
    "invalid": "invalid",
    "never_decided": "not decided within 30 days",
}


def asks_for(submission: Submission, entry: Entry) -> bool:
    """Tell whether the team asks here for the verdict that an entry asks for, of the same mail."""
    if not isinstance(entry.action, Reclassify) or submission.type.upper() != "TEAM":
        return False
    same = submission.original_postfix_id == entry.target.partition("-")[0]
    return same and submission.requested_disposition == entry.action.expected_disposition


def request_time(submission: Submission) -> float:
    """Return when a submission was made, 0 when it does not tell."""
    return epoch(submission.requested_at)


def id_of(submission: Submission) -> str:
    """Return a submission's id as the ledger keeps it."""
    return submission.submission_id[:LONGEST_ID]


def give_up_time(entry: Entry) -> float:
    """Return from when on a request counts as never decided."""
    return entry.claimed_at + NEVER


def find_request(entry: Entry, submissions: Sequence[Submission], taken: Collection[str] = ()) -> Submission | None:
    """Find the submission that an entry led to: by its id, once that is known; ``taken`` are those of other entries."""
    if entry.remote:
        return next((one for one in submissions if id_of(one) == entry.remote), None)
    since = entry.claimed_at - SECOND
    mine = (one for one in submissions if asks_for(one, entry) and request_time(one) >= since)
    free = [one for one in mine if id_of(one) not in taken]
    users = find_users(entry, submissions)
    return min(free, key=lambda one: (not _escalates(one, users), request_time(one)), default=None)


def find_users(entry: Entry, submissions: Iterable[Submission]) -> Submission | None:
    """Find the user's submission that an entry escalates."""
    if not isinstance(entry.action, Escalate):
        return None
    return next((one for one in submissions if one.submission_id == entry.action.submission_id), None)


def _escalates(request: Submission, users: Submission | None) -> bool:
    """Tell whether one of the two names the other; which one does is not documented."""
    if users is None:
        return False
    return users.submission_id == request.escalated_submission_id or users.escalated_submission_id == id_of(request)


def judge_review(submission: Submission, wanted: str) -> Review:
    """Say how far Cloudflare is with a request: accepted while it is open."""
    decided = submission.outcome_disposition
    if decided and (decided == wanted or (wanted, decided) in SAME):
        return "granted"
    if is_invalid(submission):
        return "invalid"
    return "rejected" if decided else "accepted"


def is_invalid(submission: Submission) -> bool:
    """Tell whether Cloudflare says that it cannot review a submission."""
    return " ".join(submission.status.lower().replace("_", " ").split()) in INVALID


def judge_request(entry: Entry, submission: Submission, at: float) -> Outcome | None:
    """Say what a request that is on record comes to, as of ``at``; None while there is nothing new."""
    wanted = entry.action.expected_disposition if isinstance(entry.action, Reclassify) else ""
    review = judge_review(submission, wanted)
    if review == "accepted" and at >= give_up_time(entry):
        review = "never_decided"
    if review == "accepted":
        return None if is_accepted(entry) else accept(entry, id_of(submission))
    words = "; ".join(filter(None, (submission.status, submission.outcome, submission.outcome_disposition)))
    return _end(entry, review, words, id_of(submission))


def accept(entry: Entry, remote: str) -> Outcome:
    """Note that a request is on record as a submission; it is looked at again when nobody has decided for long."""
    said = f"submission {escape(remote, 60)} asks for it" if remote else "the user's submission is escalated"
    said += "; Cloudflare has not decided yet"
    shown = Outcome(id=entry.id, state="sent", proof="seen", said=said, remote=remote)
    return replace(shown, review="accepted", next_at=give_up_time(entry))


def give_up(entry: Entry) -> Outcome:
    """End a request that was accepted and is not listed any more."""
    return _end(entry, "never_decided", "it is not listed any more", entry.remote)


def _end(entry: Entry, review: Review, words: str, remote: str) -> Outcome:
    said = f"{SAID[review]}: {escape(words, 300) or 'no words'}"
    state: State = "done" if review == "granted" else "failed"
    return Outcome(id=entry.id, state=state, proof="seen", said=said, remote=remote, review=review)


def follow(
    entries: Iterable[Entry], submissions: Sequence[Submission], at: float, taken: Iterable[str] = ()
) -> Iterator[Outcome]:
    """Say what submissions that were read anyway, at ``at``, show of requests under way."""
    known = set(taken)
    for entry in entries:
        request, users = find_request(entry, submissions, known), find_users(entry, submissions)
        known.update([id_of(request)] if request else ())
        if request is None and users and is_escalated(users) and not is_accepted(entry):
            yield accept(entry, "")
        elif request and (outcome := judge_request(entry, request, at)):
            yield outcome
