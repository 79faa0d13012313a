"""What our own people sent in because it looked wrong to them."""

from worker import ENFORCE, Move, Notify, Submission, example, per_hour, rule, sample

BAD = frozenset({"MALICIOUS", "MALICIOUS-BEC"})
waiting = sample.submission(subject="Your invoice")
right = sample.submission(status="completed", outcome_disposition="MALICIOUS")
known = sample.submission(status="completed", outcome_disposition="MALICIOUS", original_disposition="MALICIOUS")
wrong = sample.submission(status="completed", outcome_disposition="NONE")
nameless = sample.submission(status="completed", outcome_disposition="MALICIOUS", original_postfix_id="")
ours = sample.submission(type="Team", status="completed", outcome_disposition="MALICIOUS")


# Without PhishGuard nobody looks at what users send in until somebody takes it further.
@rule(mode=ENFORCE)
@example(waiting, gives=Notify("soc"))
@example(known, gives=None)
@example(wrong, gives=None)
@example(ours, gives=None)
def user_waits(submission: Submission) -> Notify | None:
    """A user sent in mail that was let through, and nobody has looked at it."""
    passed = submission.original_disposition not in BAD and submission.requested_disposition in BAD
    if submission.type.upper() != "USER" or not passed or submission.outcome_disposition:
        return None
    if submission.customer_status != "unreviewed":
        return None
    return Notify("soc", because=f"{submission.requested_by} sent in {submission.subject!r}")


@rule(mode=ENFORCE, limit=per_hour(1000))
@example(right, gives=(Move("DeletedItems"), Notify("soc")))
@example(nameless, gives=Notify("soc"))
@example(known, gives=None)
@example(wrong, gives=None)
@example(ours, gives=None)
def user_was_right(submission: Submission) -> tuple[Move, Notify] | Notify | None:
    """A user sent in mail that had been let through, and it was found malicious."""
    found = submission.outcome_disposition in BAD and submission.original_disposition not in BAD
    if submission.type.upper() != "USER" or not found:
        return None
    tell = Notify("soc", because=f"{submission.requested_by} was right about {submission.subject!r}: thanks are due")
    if not submission.original_postfix_id:
        return tell
    return Move("DeletedItems", because=f"{submission.requested_by} sent it in, and it is malicious"), tell
