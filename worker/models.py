"""The nouns: what Email Security tells us, as frozen values that rules read.

The API sends null, or nothing, where it has nothing to say; here that reads as the empty value of the field.
Names are Cloudflare's own, except ``from``, which Python forbids: it is ``sender``.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal, Self, get_args

from msgspec import field

from worker.nouns import Flag, Noun, Nullable, Number, Text, Texts, domain_of, folded

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


class Validation(Noun, frozen=True, kw_only=True):
    """What the sender's authentication checks came to: pass, neutral, fail, error or none."""

    spf: Text = ""
    dkim: Text = ""
    dmarc: Text = ""
    comment: Text = ""


class Properties(Noun, frozen=True, kw_only=True):
    """Lists of the account that this message met on its way."""

    allowlisted_pattern: Text = ""
    allowlisted_pattern_type: Text = ""
    blocklisted_message: Flag = False
    blocklisted_pattern: Text = ""


class Message(Noun, frozen=True, kw_only=True):
    """A mail that Email Security scanned, as a search tells it (``GET investigate``)."""

    id: str
    postfix_id: Text = ""
    alert_id: Text = ""
    message_id: Text = ""
    scanned_at: datetime | None = None
    sent_at: datetime | None = None
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
        """The lower-case domain of the sender."""
        return domain_of(self.sender)

    @property
    def spf(self) -> str:
        """The SPF result: pass, neutral, fail, error, none, or empty when not told."""
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

    to: Texts = ()
    sender: Text = field(name="from", default="")
    postfix_id: Text = ""
    occurred_at: datetime | None = None


class Tag(Noun, frozen=True, kw_only=True):
    """A category and its value."""

    category: Text = ""
    value: Text = ""


class Report(Noun, frozen=True, kw_only=True):
    """What a PhishGuard analyst wrote about a mail (``GET phishguard/reports``)."""

    id: int
    title: Text = ""
    content: Text = ""
    disposition: Text = "UNKNOWN"
    priority: Text = ""
    fields: Nullable[ReportFields] = ReportFields()
    tags: Nullable[tuple[Tag, ...]] = ()
    created_at: datetime | None = None
    updated_at: datetime | None = None


class Submission(Noun, frozen=True, kw_only=True):
    """A request to look at a mail again, by a user or by the team (``GET submissions``)."""

    submission_id: str
    requested_at: datetime | None = None
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


class ListEntry(Noun, frozen=True, kw_only=True):
    """What the entries of all lists of an account have in common."""

    id: Text = ""
    comments: Text = ""
    created_at: datetime | None = None
    modified_at: datetime | None = None
    last_modified: datetime | None = None

    @property
    def changed_at(self) -> datetime | None:
        """When it was changed last, or made; ``last_modified`` is the older name of that time."""
        return self.modified_at or self.last_modified or self.created_at


class BlockedSender(ListEntry, frozen=True, kw_only=True):
    """An entry of the block list (``GET settings/block_senders``)."""

    pattern: Text = ""
    pattern_type: Text = ""
    is_regex: Flag = False


class AllowPolicy(ListEntry, frozen=True, kw_only=True):
    """A pattern whose mail is let through (``GET settings/allow_policies``).

    An acceptable sender is exempt from SPAM, SPOOF and BULK, a trusted sender and an exempt recipient from everything.
    """

    pattern: Text = ""
    pattern_type: Text = ""
    is_regex: Flag = False
    is_acceptable_sender: Flag = False
    is_trusted_sender: Flag = False
    is_exempt_recipient: Flag = False
    verify_sender: Flag = False


class Link(Noun, frozen=True, kw_only=True):
    """A link in a mail and the text it hid behind."""

    href: Text = ""
    text: Text = ""


class Attachment(Noun, frozen=True, kw_only=True):
    """A file that came with a mail."""

    filename: Text = ""
    content_type: Text = ""
    size: int = 0
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
    """A kind of threat that was found."""

    name: Text = ""
    description: Text = ""


class SenderInfo(Noun, frozen=True, kw_only=True):
    """Where a mail came from on the network."""

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
    """One thing done to a mail after delivery."""

    operation: Text = ""
    completed_at: datetime | None = None
    status: Text = ""
    folder: Text = ""
    requested_by: Text = ""


class ActionLog(Noun, frozen=True, kw_only=True):
    """Everything done to a mail after delivery, oldest first (``GET investigate/{id}/action_log``); a fact."""

    entries: tuple[LogEntry, ...] = ()


class Policies(Noun, frozen=True, kw_only=True):
    """The account's own lists, in lower case; a fact."""

    domains: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()

    def protects(self, pattern: str) -> str:
        """Say which list speaks for this address or domain; empty when none does."""
        domain = domain_of(pattern) or pattern.lower()
        for name, listed in (("domains", self.domains), ("allow policies", self.allowed), ("trusted", self.trusted)):
            if pattern.lower() in listed or domain in listed:
                return name
        return ""


class TraceLine(Noun, frozen=True, kw_only=True):
    """One line of what the mail servers logged."""

    lineno: Number = 0
    logged_at: datetime | None = None
    message: Text = ""


class TracePart(Noun, frozen=True, kw_only=True):
    """One direction of a mail's way; more may come while it is ``pending``."""

    lines: Nullable[tuple[TraceLine, ...]] = ()
    pending: Flag = False


class Trace(Noun, frozen=True, kw_only=True):
    """How a mail came in and went on (``GET investigate/{id}/trace``); a fact."""

    inbound: Nullable[TracePart] = TracePart()
    outbound: Nullable[TracePart] = TracePart()


class Registrant(ListEntry, frozen=True, kw_only=True):
    """A person whose name strangers may borrow (``GET settings/impersonation_registry``)."""

    name: Text = ""
    email: Text = ""
    is_email_regex: Flag = False
    provenance: Text = ""
    directory_id: Number = 0
    directory_node_id: Number = 0
    external_directory_node_id: Text = ""


class Registry(Noun, frozen=True, kw_only=True):
    """The people whose names strangers may borrow, each name with its addresses, all in lower case; a fact."""

    people: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, people: Iterable[tuple[str, str | None]]) -> Self:
        """Gather addresses by name; a name of which one address is None, for it cannot be told, has none."""
        found: dict[str, list[str | None]] = defaultdict(list)
        for name, address in people:
            found[folded(name)].append(address)
        return cls(people={name: _all_or_none(addresses) for name, addresses in found.items()})

    def knows(self, name: str) -> bool:
        """Tell whether somebody of this name is registered; case and spaces do not matter."""
        return folded(name) in self.people

    def addresses(self, name: str) -> tuple[str, ...]:
        """Return the addresses from which people of this name write, in lower case.

        Empty when there is nobody of this name, and when one of the addresses is a regular expression: its syntax is
        Java's, so what it matches cannot be told here.
        """
        return self.people.get(folded(name), ())


def _all_or_none(addresses: list[str | None]) -> tuple[str, ...]:
    told = tuple(one.lower() for one in addresses if one is not None)
    return told if len(told) == len(addresses) else ()


class Raw(Noun, frozen=True, kw_only=True):
    """A detected mail itself, taken apart (``GET investigate/{id}/raw``); empty for clean mail; a fact.

    ``links`` are addresses found in ``html`` and ``text``, 100 at most. What could not be read is told in ``problems``.
    """

    headers: tuple[Header, ...] = ()
    text: Text = ""
    html: Text = ""
    links: Texts = ()
    attachments: tuple[Attachment, ...] = ()
    problems: Texts = ()

    def header(self, name: str) -> str:
        """Return the first header of this name, empty when there is none; case does not matter."""
        return next((one.value for one in self.headers if one.name.lower() == name.lower()), "")


class History(Noun, frozen=True, kw_only=True):
    """Mail from the same address in the 30 days before this message, 1,000 at most; a fact."""

    messages: int = 0
    dispositions: dict[str, int] = field(default_factory=dict)
    """How many there were of each disposition; clean mail is ``NONE``."""
    first_at: datetime | None = None
    last_at: datetime | None = None
    more: bool = False
    """There were more than are counted here."""


class Now(Noun, frozen=True, kw_only=True):
    """The API's time at which an event is judged; a fact."""

    at: datetime = datetime(1970, 1, 1, tzinfo=UTC)


TRIGGERS: dict[str, type[Noun]] = {
    noun.__name__: noun for noun in (Message, Report, Submission, BlockedSender, AllowPolicy)
}
"""What a rule may be about, the type of its first parameter: only what a source brings, so that no rule is deaf."""
FACTS: dict[str, type[Noun]] = {
    noun.__name__: noun for noun in (Detection, ActionLog, Policies, Now, Raw, Trace, Registry, History)
}
"""What a rule may ask for besides: the types of its other parameters."""
OF_A_MESSAGE = frozenset({"Detection", "ActionLog", "Raw", "Trace", "History"})
"""Facts that only a rule about a message can ask for."""
DISPOSITION_OF = {"Message": "final_disposition", "Report": "disposition"}
"""The field by which a rule can narrow what it hears; the other triggers have none."""
NO_MESSAGE = frozenset({"BlockedSender", "AllowPolicy"})
"""Triggers that are no message and name none."""
