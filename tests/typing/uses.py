"""What rule authors may write. Type-checked and never run."""

from datetime import timedelta
from typing import assert_type

from worker import (
    APPROVE,
    ENFORCE,
    ActionLog,
    BlockSender,
    Detection,
    Keep,
    Message,
    Move,
    Notify,
    Now,
    Policies,
    Reclassify,
    Release,
    Report,
    Submission,
    Unblock,
    example,
    limit,
    per_hour,
    rule,
    sample,
)

mail = sample.message(sender="a@b.example", final_disposition="SPAM", dmarc="fail")


@rule
def bare(message: Message) -> Keep | None:
    """A rule may go without settings."""
    return Keep() if message.dmarc == "pass" else None


@rule(mode=ENFORCE, limit=per_hour(50), priority=1, dispositions=("SPAM", "NONE"))
@example(mail, sample.detection(links=("https://x.example",)), gives=(Move("JunkEmail"), Notify("soc")))
@example(mail, sample.detection(), gives=None)
def several(message: Message, detection: Detection) -> tuple[Move, Notify] | None:
    """A rule may take several actions."""
    return (Move("JunkEmail", because=message.subject), Notify("soc")) if detection.links else None


@rule(mode=APPROVE, limit=limit(5, per="1d", by="sender"))
@example(mail, sample.policies(), sample.now(), sample.action_log(), gives=BlockSender("a@b.example"))
def every_fact(message: Message, policies: Policies, now: Now, log: ActionLog) -> BlockSender | Unblock | None:
    """A rule may ask for several facts."""
    if policies.protects(message.sender) or log.entries or now.at.hour < 1:
        return Unblock(message.domain, "DOMAIN")
    return BlockSender(message.sender, for_=timedelta(days=1))


@rule
@example(sample.report(), gives=None)
def about_reports(report: Report) -> Move | Notify | None:
    """A rule may be about a report."""
    return Move("DeletedItems") if report.fields.postfix_id else Notify("soc")


@rule
@example(sample.submission(), gives=None)
def about_submissions(submission: Submission) -> tuple[Release, Reclassify]:
    """A rule may be about a submission."""
    assert_type(submission.requested_by, str)
    return Release(), Reclassify("NONE")


# A rule is still the function it was: it can be called, and its answer has its type.
assert_type(several(mail, sample.detection()), tuple[Move, Notify] | None)
assert_type(bare(message=mail), Keep | None)
