"""Samples: invented records for examples and tests. Fields that are not given are harmless and plausible."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from worker.language import unread as fields
from worker.language.base import AnyNoun
from worker.language.models import (
    ActionLog,
    Attachment,
    Detection,
    Disposition,
    Header,
    History,
    Link,
    LogEntry,
    Message,
    Now,
    PatternType,
    Properties,
    Raw,
    RawAttachment,
    RawLink,
    Report,
    ReportFields,
    SenderInfo,
    Submission,
    ThreatCategory,
    Trace,
    TraceLine,
    TracePart,
    Validation,
)
from worker.language.policies import AllowPolicy, BlockedSender, Policies, Registry

__all__ = [
    "NOON",
    "Attachment",
    "Properties",
    "RawAttachment",
    "RawLink",
    "SenderInfo",
    "action_log",
    "allow_policy",
    "blocked_sender",
    "detection",
    "history",
    "log_entry",
    "mended",
    "message",
    "now",
    "policies",
    "raw",
    "registry",
    "report",
    "submission",
    "trace",
    "unread",
]
NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
_POSTFIX = "4Njp3P0STMz2c02Q"


def message(
    *,
    sender: str = "someone@elsewhere.example",
    from_name: str = "Some One",
    to: Sequence[str] = ("you@corp.example",),
    subject: str = "Hello",
    final_disposition: Disposition = "SPAM",
    is_quarantined: bool = False,
    replyto: str = "",
    envelope_from: str = "",
    spf: str = "pass",
    dkim: str = "pass",
    dmarc: str = "pass",
    detection_reasons: Sequence[str] = (),
    threat_categories: Sequence[str] = (),
    delivery_status: Sequence[str] = ("delivered",),
    post_delivery_operations: Sequence[str] = (),
    scanned_at: datetime = NOON,
    id: str = "",  # noqa: A002 (the API's name)
    properties: Properties | None = None,
    is_phish_submission: bool = False,
) -> Message:
    """Return a message; with ``is_quarantined`` its delivery status is quarantined."""
    known_as = id or f"{_POSTFIX}-{scanned_at:%Y-%m-%dT%H:%M:%S}-12345678"
    return Message(
        id=known_as,
        postfix_id=known_as.partition("-")[0],
        alert_id=known_as.rpartition("-")[0],
        message_id=f"<{known_as.rpartition('-')[2]}@elsewhere.example>",
        scanned_at=scanned_at,
        sent_at=scanned_at,
        sender=sender,
        from_name=from_name,
        replyto=replyto,
        to=tuple(to),
        envelope_from=envelope_from or sender,
        envelope_to=tuple(to),
        client_recipients=tuple(to),
        subject=subject,
        final_disposition=final_disposition,
        detection_reasons=tuple(detection_reasons),
        threat_categories=tuple(threat_categories),
        is_quarantined=is_quarantined,
        is_phish_submission=is_phish_submission,
        delivery_status=("quarantined",) if is_quarantined else tuple(delivery_status),
        post_delivery_operations=tuple(post_delivery_operations),
        properties=properties or Properties(),
        validation=Validation(spf=spf, dkim=dkim, dmarc=dmarc),
    )


def unread(noun: AnyNoun, *names: str) -> AnyNoun:
    """Return an event or a fact of which these fields could not be read, such as ``subject`` or ``validation.spf``.

    A rule that uses one of them waits, as it does when a fact cannot be fetched, unless it looked at ``unread`` first.
    """
    return fields.mark(noun, names, noun.mended)


def mended(noun: AnyNoun, *names: str) -> AnyNoun:
    """Return an event or a fact of which these texts are not as they came: damaged, or cut at 4,096 characters."""
    return fields.mark(noun, noun.unread, names)


def detection(
    *,
    links: Sequence[str] = (),
    attachments: Sequence[Attachment] = (),
    threat_categories: Sequence[str] = (),
    action: str = "",
    final_disposition: Disposition = "SPAM",
    sender_info: SenderInfo | None = None,
) -> Detection:
    """Return a detection with these links."""
    return Detection(
        action=action,
        final_disposition=final_disposition,
        links=tuple(Link(href=href) for href in links),
        attachments=tuple(attachments),
        threat_categories=tuple(ThreatCategory(name=name) for name in threat_categories),
        sender_info=sender_info or SenderInfo(),
    )


def report(
    *,
    disposition: Disposition = "MALICIOUS",
    title: str = "Credential phishing",
    content: str = "",
    priority: str = "high",
    sender: str = "someone@elsewhere.example",
    to: Sequence[str] = ("you@corp.example",),
    postfix_id: str = _POSTFIX,
    occurred_at: datetime = NOON,
    id: int = 1,  # noqa: A002 (the API's name)
) -> Report:
    """Return a PhishGuard report about a mail."""
    about = ReportFields(to=tuple(to), sender=sender, postfix_id=postfix_id, occurred_at=occurred_at)
    return Report(
        id=id,
        title=title,
        content=content,
        priority=priority,
        disposition=disposition,
        fields=about,
        created_at=occurred_at,
        updated_at=occurred_at,
    )


def submission(
    *,
    type: str = "User",  # noqa: A002 (the API's name)
    requested_disposition: str = "MALICIOUS",
    original_disposition: str = "NONE",
    outcome_disposition: str = "",
    status: str = "",
    customer_status: str = "unreviewed",
    requested_by: str = "you@corp.example",
    subject: str = "Hello",
    original_postfix_id: str = _POSTFIX,
) -> Submission:
    """Return a user's request to look at a mail again."""
    return Submission(
        submission_id="5d3f1a52-0000-4000-8000-000000000001",
        requested_at=NOON,
        type=type,
        status=status,
        customer_status=customer_status,
        requested_disposition=requested_disposition,
        original_disposition=original_disposition,
        outcome_disposition=outcome_disposition,
        original_postfix_id=original_postfix_id,
        requested_by=requested_by,
        subject=subject,
    )


def blocked_sender(
    pattern: str = "spammer@elsewhere.example", *, pattern_type: str = "EMAIL", comments: str = ""
) -> BlockedSender:
    """Return an entry of the block list."""
    return BlockedSender(id="1", pattern=pattern, pattern_type=pattern_type, comments=comments, created_at=NOON)


def allow_policy(
    pattern: str = "friend@elsewhere.example",
    *,
    pattern_type: PatternType = "EMAIL",
    is_regex: bool = False,
    is_acceptable_sender: bool = True,
    is_trusted_sender: bool = False,
    is_exempt_recipient: bool = False,
    verify_sender: bool = True,
    comments: str = "",
) -> AllowPolicy:
    """Return an allow policy for one address, which exempts authenticated mail only."""
    return AllowPolicy(
        id="1",
        pattern=pattern,
        pattern_type=pattern_type,
        is_regex=is_regex,
        is_acceptable_sender=is_acceptable_sender,
        is_trusted_sender=is_trusted_sender,
        is_exempt_recipient=is_exempt_recipient,
        verify_sender=verify_sender,
        comments=comments,
        created_at=NOON,
    )


def action_log(*entries: LogEntry) -> ActionLog:
    """Return an action log with these entries."""
    return ActionLog(entries=entries)


def log_entry(
    operation: str = "MOVE",
    *,
    folder: str = "",
    requested_by: str = "",
    status: str = "OK",
    success: bool | None = None,
    service: str = "",
    requested_disposition: str = "",
) -> LogEntry:
    """Return one line of an action log."""
    return LogEntry(
        operation=operation,
        completed_at=NOON,
        status=status,
        folder=folder,
        requested_by=requested_by,
        success=success,
        requested_disposition=requested_disposition,
        service=service,
    )


def policies(
    *,
    domains: Sequence[str] = ("corp.example",),
    allowed: Sequence[str] = (),
    trusted: Sequence[str] = (),
    expressions: Sequence[str] = (),
) -> Policies:
    """Return an account's lists; it owns corp.example."""
    return Policies(
        domains=tuple(domains), allowed=tuple(allowed), trusted=tuple(trusted), expressions=tuple(expressions)
    )


def now(at: datetime = NOON) -> Now:
    """Return a time."""
    return Now(at=at)


def raw(
    *,
    headers: Mapping[str, str] | None = None,
    text: str = "Hello.",
    html: str = "",
    links: Sequence[str] = (),
    hyperlinks: Sequence[RawLink] = (),
    attachments: Sequence[str | RawAttachment] = (),
    problems: Sequence[str] = (),
) -> Raw:
    """Return a parsed mail; ``attachments`` are its files or their names, ``links`` come beside ``hyperlinks``."""
    files = (RawAttachment(filename=one, size=1000) if isinstance(one, str) else one for one in attachments)
    return Raw(
        headers=tuple(Header(name=name, value=value) for name, value in (headers or {}).items()),
        text=text,
        html=html,
        links=(*links, *(one.href for one in hyperlinks)),
        hyperlinks=tuple(hyperlinks),
        attachments=tuple(files),
        problems=tuple(problems),
    )


def trace(*, inbound: Sequence[str] = (), outbound: Sequence[str] = (), pending: bool = False) -> Trace:
    """Return a trace with these lines, all logged at noon; ``pending`` says that more may come."""
    there, back = (
        TracePart(
            lines=tuple(TraceLine(lineno=n, logged_at=NOON, message=line) for n, line in enumerate(lines, 1)),
            pending=pending,
        )
        for lines in (inbound, outbound)
    )
    return Trace(inbound=there, outbound=back)


def registry(
    people: Mapping[str, Sequence[str]] | None = None, *, expressions: Mapping[str, str] | None = None
) -> Registry:
    """Return a registry of these names, or of Ada Cole; ``expressions`` are by name, and a name may have no address."""
    given = {"Ada Cole": ("ada@corp.example",)} if people is None and expressions is None else people or {}
    plain = ((name, address) for name, addresses in given.items() for address in addresses or (None,))
    return Registry.of(plain, (expressions or {}).items())


def history(*dispositions: Disposition, more: bool = False) -> History:
    """Return a history of messages with these dispositions, one a day until yesterday; empty for a new sender."""
    count = len(dispositions)
    return History(
        messages=count,
        dispositions={name: dispositions.count(name) for name in dict.fromkeys(dispositions)},
        first_at=NOON - timedelta(days=count) if count else None,
        last_at=NOON - timedelta(days=1) if count else None,
        more=more,
    )
