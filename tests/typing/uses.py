"""What rule authors may write. Type-checked and never run."""

from datetime import timedelta
from typing import assert_type

from worker import (
    APPROVE,
    ENFORCE,
    ActionLog,
    AllowPolicy,
    AllowSender,
    BlockedSender,
    BlockSender,
    Detection,
    Disallow,
    Distrust,
    Escalate,
    History,
    Keep,
    Message,
    Move,
    Notify,
    Now,
    Policies,
    Raw,
    Reclassify,
    Registry,
    Release,
    Report,
    Submission,
    Trace,
    TrustDomain,
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
@example(mail, gives=(Disallow("a@b.example"), Distrust("b.example")))
def lists(message: Message) -> tuple[Disallow, Distrust] | tuple[AllowSender, TrustDomain]:
    """A rule may let senders through, and take that back."""
    if message.dmarc == "fail":
        return Disallow(message.sender), Distrust(message.domain)
    spared = AllowSender(message.sender, kind="trusted", verify=False, for_=timedelta(days=1))
    return spared, TrustDomain(message.domain, similarity=False, recent=True)


@rule
@example(mail, sample.registry(), sample.history("SPAM"), sample.raw(), sample.trace(), gives=None)
def other_facts(message: Message, registry: Registry, history: History, raw: Raw, trace: Trace) -> Move | None:
    """A rule may look at the mail itself, at people and at the past."""
    assert_type(registry.addresses(message.from_name), tuple[str, ...])
    assert_type(history.dispositions.get("SPAM", 0), int)
    named = any(one.filename.endswith(".html") for one in raw.attachments) or raw.header("X-Mailer")
    pending = trace.outbound.pending and not trace.inbound.lines
    return Move("JunkEmail") if registry.knows(message.from_name) and (named or pending) else None


@rule
@example(sample.blocked_sender(), gives=None)
def about_blocks(entry: BlockedSender) -> Unblock | None:
    """A rule may be about an entry of the block list."""
    return Unblock(entry.pattern) if entry.pattern_type == "EMAIL" and entry.changed_at else None


@rule
@example(sample.allow_policy("gmail.com", pattern_type="DOMAIN"), sample.policies(), gives=Notify("soc"))
def about_allow_policies(policy: AllowPolicy, policies: Policies) -> Notify | None:
    """A rule may be about an allow policy."""
    return None if policies.protects(policy.comments) else Notify("soc")


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


@rule
@example(sample.submission(), gives=Escalate("MALICIOUS"))
def about_users(submission: Submission) -> Escalate | None:
    """What a user submitted may be handed on."""
    return Escalate("MALICIOUS", because=submission.subject) if submission.type == "User" else None


@rule
@example(
    sample.message(properties=sample.Properties(blocklisted_message=True)),
    sample.detection(attachments=[sample.Attachment(size=9)], sender_info=sample.SenderInfo(geo="Nowhere")),
    gives=None,
)
def about_parts(message: Message, detection: Detection) -> Keep | None:
    """A sample may be given parts of its own."""
    return None if detection.attachments and message.properties.blocklisted_message else Keep()


# A rule is still the function it was: it can be called, and its answer has its type.
assert_type(several(mail, sample.detection()), tuple[Move, Notify] | None)
assert_type(bare(message=mail), Keep | None)
