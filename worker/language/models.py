"""Records of Email Security, as frozen values that rules read.

Where the API sends null or leaves a field out, the field has its empty value.
Names are Cloudflare's own, except ``from``, which Python forbids: it is ``sender``.
"""

from datetime import UTC, datetime
from typing import ClassVar, Literal, get_args

from msgspec import field

from worker.language.base import Flag, Noun, Nullable, Number, Text, Texts, domain_of
from worker.language.domains import authenticate
from worker.language.policies import AllowPolicy, BlockedSender, Policies, Registry
from worker.language.times import Time

Disposition = Literal[
    "MALICIOUS",
    "MALICIOUS-BEC",
    "SUSPICIOUS",
    "SPOOF",
    "SPAM",
    "BULK",
    "ENCRYPTED",
    "EXTERNAL",
    "UNKNOWN",
    "NONE",
]
AskedDisposition = Literal["MALICIOUS", "SUSPICIOUS", "SPOOF", "SPAM", "BULK", "NONE"]
Destination = Literal["Inbox", "JunkEmail", "DeletedItems", "RecoverableItemsDeletions", "RecoverableItemsPurges"]
PatternType = Literal["EMAIL", "DOMAIN", "IP"]

DISPOSITIONS: tuple[str, ...] = get_args(Disposition)
"""The worst first."""
URGENT = frozenset({"MALICIOUS", "MALICIOUS-BEC"})
"""Verdicts on mail that does harm while it waits."""


class Validation(Noun, frozen=True, kw_only=True):
    """Results of the sender's authentication checks: pass, neutral, fail, error or none."""

    spf: Text = ""
    dkim: Text = ""
    dmarc: Text = ""
    comment: Text = ""


class Properties(Noun, frozen=True, kw_only=True):
    """The account's lists that matched this message."""

    _older: ClassVar[dict[str, str]] = {"allowlisted_pattern_type": "whitelisted_pattern_type"}

    allowlisted_pattern: Text = ""
    allowlisted_pattern_type: Text = ""
    blocklisted_message: Flag = False
    blocklisted_pattern: Text = ""


class Message(Noun, frozen=True, kw_only=True):
    """A mail that Email Security scanned, as a search returns it (``GET investigate``)."""

    _keys = ("final_disposition", "is_quarantined")
    _older: ClassVar[dict[str, str]] = {"scanned_at": "ts", "sent_at": "sent_date"}

    id: str
    postfix_id: Text = ""
    alert_id: Text = ""
    message_id: Text = ""
    scanned_at: Time = None
    sent_at: Time = None
    sender: Text = field(name="from", default="")
    from_name: Text = ""
    replyto: Text = ""
    to: Texts = ()
    to_name: Texts = ()
    envelope_from: Text = ""
    envelope_to: Texts = ()
    client_recipients: Texts = ()
    subject: Text = ""
    final_disposition: Text = "NONE"
    detection_reasons: Texts = ()
    threat_categories: Texts = ()
    is_quarantined: Flag = False
    is_phish_submission: Flag = False
    delivery_mode: Text = ""
    delivery_status: Texts = ()
    post_delivery_operations: Texts = ()
    properties: Nullable[Properties] = Properties()
    validation: Nullable[Validation] = Validation()
    edf_hash: Text = ""
    smtp_helo_server_ip: Text = ""
    smtp_previous_hop_ip: Text = ""
    x_originating_ip: Text = ""

    @property
    def domain(self) -> str:
        """The lower-case domain of the sender; empty unless that is one plain address."""
        return domain_of(self.sender)

    @property
    def authenticated(self) -> str:
        """The registrable domain that it proves to come from, by DMARC or an aligned SPF; empty when it proves none."""
        return authenticate(self.sender, self.envelope_from, self.spf, self.dmarc)

    @property
    def spf(self) -> str:
        """The SPF result: pass, neutral, fail, error, none, or empty when unknown."""
        return self.validation.spf

    @property
    def dkim(self) -> str:
        """The DKIM result, as ``spf``."""
        return self.validation.dkim

    @property
    def dmarc(self) -> str:
        """The DMARC result, as ``spf``."""
        return self.validation.dmarc


class ReportFields(Noun, frozen=True, kw_only=True):
    """The mail a PhishGuard report is about."""

    _older: ClassVar[dict[str, str]] = {"occurred_at": "ts"}

    to: Texts = ()
    sender: Text = field(name="from", default="")
    postfix_id: Text = ""
    occurred_at: Time = None


class Tag(Noun, frozen=True, kw_only=True):
    """A category and its value."""

    category: Text = ""
    value: Text = ""


class Report(Noun, frozen=True, kw_only=True):
    """A PhishGuard analyst's report about a mail (``GET phishguard/reports``)."""

    _older: ClassVar[dict[str, str]] = {"created_at": "ts"}

    id: int
    title: Text = ""
    content: Text = ""
    disposition: Text = "UNKNOWN"
    priority: Text = ""
    fields: Nullable[ReportFields] = ReportFields()
    tags: Nullable[tuple[Tag, ...]] = ()
    created_at: Time = None
    updated_at: Time = None


class Submission(Noun, frozen=True, kw_only=True):
    """A request to look at a mail again, by a user or by the team (``GET submissions``)."""

    _older: ClassVar[dict[str, str]] = {"requested_at": "requested_ts"}

    submission_id: str
    requested_at: Time = None
    type: Text = ""
    status: Text = ""
    customer_status: Text = ""
    outcome: Text = ""
    original_disposition: Text = ""
    requested_disposition: Text = ""
    outcome_disposition: Text = ""
    original_postfix_id: Text = ""
    escalated_submission_id: Text = ""
    requested_by: Text = ""
    subject: Text = ""


class Link(Noun, frozen=True, kw_only=True):
    """A link in a mail and its visible text."""

    href: Text = ""
    text: Text = ""


class Attachment(Noun, frozen=True, kw_only=True):
    """A file that came with a mail."""

    _older: ClassVar[dict[str, str]] = {"filename": "name"}

    filename: Text = ""
    content_type: Text = ""
    size: Number = 0
    encrypted: Flag = False
    detection: Text = ""
    md5: Text = ""
    sha1: Text = ""
    sha256: Text = ""


class Header(Noun, frozen=True, kw_only=True):
    """One header line of a mail."""

    name: Text = ""
    value: Text = ""


class ThreatCategory(Noun, frozen=True, kw_only=True):
    """A kind of threat that was detected."""

    name: Text = ""
    description: Text = ""


class SenderInfo(Noun, frozen=True, kw_only=True):
    """The network that a mail came from."""

    as_name: Text = ""
    as_number: int | None = None
    geo: Text = ""
    ip: Text = ""
    pld: Text = ""


class Detection(Noun, frozen=True, kw_only=True):
    """Why a mail was detected (``GET investigate/{id}/detections``); a fact."""

    action: Text = ""
    final_disposition: Text = ""
    links: Nullable[tuple[Link, ...]] = ()
    attachments: Nullable[tuple[Attachment, ...]] = ()
    headers: Nullable[tuple[Header, ...]] = ()
    threat_categories: Nullable[tuple[ThreatCategory, ...]] = ()
    sender_info: Nullable[SenderInfo] = SenderInfo()
    validation: Nullable[Validation] = Validation()


class LogEntry(Noun, frozen=True, kw_only=True):
    """One operation on a mail after delivery."""

    operation: Text = ""
    completed_at: Time = None
    status: Text = ""
    folder: Text = ""
    requested_by: Text = ""
    started_at: datetime | None = None
    success: bool | None = None
    requested_disposition: Text = ""
    service: Text = ""
    submission_id: Text = ""
    submission_type: Text = ""


class ActionLog(Noun, frozen=True, kw_only=True):
    """All operations on a mail after delivery, oldest first (``GET investigate/{id}/action_log``); a fact."""

    entries: tuple[LogEntry, ...] = ()


class TraceLine(Noun, frozen=True, kw_only=True):
    """One line from the log of the mail servers."""

    _older: ClassVar[dict[str, str]] = {"logged_at": "ts"}

    lineno: Number = 0
    logged_at: Time = None
    message: Text = ""


class TracePart(Noun, frozen=True, kw_only=True):
    """One direction of a mail's route; more lines may come while it is ``pending``."""

    lines: Nullable[tuple[TraceLine, ...]] = ()
    pending: Flag = False


class Trace(Noun, frozen=True, kw_only=True):
    """How a mail came in and was passed on (``GET investigate/{id}/trace``); a fact."""

    inbound: Nullable[TracePart] = TracePart()
    outbound: Nullable[TracePart] = TracePart()


class RawLink(Noun, frozen=True, kw_only=True):
    """A link in a mail as a person finds it: where a click leads, and what the person sees.

    ``href`` and ``host`` have names in punycode, ``shown`` has them in letters. ``text_host`` is the host that the
    visible ``text`` names, empty if it names none.
    """

    href: Text = ""
    shown: Text = ""
    host: Text = ""
    text: Text = ""
    text_host: Text = ""


class RawAttachment(Attachment, frozen=True, kw_only=True):
    """A file in a mail that was taken apart. ``hyperlinks`` are those of a page, 300 at most of all files."""

    hyperlinks: tuple[RawLink, ...] = ()


class Raw(Noun, frozen=True, kw_only=True):
    """A detected mail itself, parsed (``GET investigate/{id}/raw``); empty for clean mail; a fact.

    ``hyperlinks`` are what a person can click, 300 at most, and ``links`` their addresses, with names in punycode and
    in letters. ``problems`` says what was cut, guessed or could not be read.
    """

    headers: tuple[Header, ...] = ()
    text: Text = ""
    html: Text = ""
    links: Texts = ()
    hyperlinks: tuple[RawLink, ...] = ()
    attachments: tuple[RawAttachment, ...] = ()
    problems: Texts = ()

    def header(self, name: str) -> str:
        """Return the value of the first header with this name in any case, empty when there is none."""
        return next((one.value for one in self.headers if one.name.lower() == name.lower()), "")


class History(Noun, frozen=True, kw_only=True):
    """Mail from the same address in the 30 days before this message, 1,000 at most; a fact."""

    messages: int = 0
    dispositions: dict[str, int] = field(default_factory=dict)
    """Number of messages by disposition; clean mail is ``NONE``."""
    first_at: Time = None
    last_at: Time = None
    more: bool = False
    """Whether there were more messages than were counted."""


class Now(Noun, frozen=True, kw_only=True):
    """The API's time at which an event is judged; a fact."""

    at: datetime = datetime(1970, 1, 1, tzinfo=UTC)


def _by_name(*nouns: type[Noun]) -> dict[str, type[Noun]]:
    return {noun.__name__: noun for noun in nouns}


TRIGGERS = _by_name(Message, Report, Submission, BlockedSender, AllowPolicy)
"""The types of a rule's first parameter. Each has a source that reads it, so that every rule can be triggered."""
FACTS = _by_name(Detection, ActionLog, Policies, Now, Raw, Trace, Registry, History)
"""The types of a rule's other parameters."""
MESSAGE_FACTS = _by_name(Detection, ActionLog, Raw, Trace, History)
"""Facts that only a rule about a message can ask for."""
DISPOSITION_OF = {"Message": "final_disposition", "Report": "disposition"}
"""The field that a rule's ``dispositions`` are compared with; the other triggers have none."""
