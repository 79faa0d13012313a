"""The nouns: what Email Security tells us, as frozen values that rules read.

The API sends null, or nothing, where it has nothing to say; here that reads as the empty value of the field.
Names are Cloudflare's own, except ``from``, which Python forbids: it is ``sender``.
"""

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args

from msgspec import NODEFAULT, Struct, field
from msgspec.structs import fields, force_setattr, replace

T = TypeVar("T")
if TYPE_CHECKING:
    Nullable = Annotated[T, "null on the wire"]
else:  # Noun.__post_init__ makes the annotation above true
    Nullable = Union[T, None]  # noqa: UP007 (a generic alias)
Text = Nullable[str]
Texts = Nullable[tuple[str, ...]]
Flag = Nullable[bool]

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
TEXT_LIMIT = 4096
"""Characters of any one string that a rule gets to see."""
CUT = "… [cut at 4,096 characters]"


def epoch(when: datetime | None) -> float:
    """Return seconds since the epoch, 0 for no time; a time that names no zone is UTC, as all of the API's are."""
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() if when else 0.0


@cache
def _blanks(kind: type["Noun"]) -> tuple[tuple[str, Any], ...]:
    """Each field that has an empty value to stand in for null."""
    return tuple((f.name, f.default) for f in fields(kind) if f.default not in (None, NODEFAULT))


class Noun(Struct, frozen=True, kw_only=True):
    """A value as the API tells it; unknown fields are ignored, null reads as empty."""

    def __post_init__(self) -> None:
        """Turn null into the field's empty value."""
        for name, blank in _blanks(type(self)):
            if getattr(self, name) is None:
                force_setattr(self, name, blank)


AnyNoun = TypeVar("AnyNoun", bound=Noun)


def domain_of(address: str) -> str:
    """Return the lower-case domain of an address, empty when there is none."""
    return address.rpartition("@")[2].lower() if "@" in address else ""


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


class BlockedSender(Noun, frozen=True, kw_only=True):
    """An entry of the block list (``GET settings/block_senders``)."""

    id: Text = ""
    pattern: Text = ""
    pattern_type: Text = ""
    is_regex: Flag = False
    comments: Text = ""
    created_at: datetime | None = None
    modified_at: datetime | None = None


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


class Now(Noun, frozen=True, kw_only=True):
    """The API's time at which an event is judged; a fact."""

    at: datetime = datetime(1970, 1, 1, tzinfo=UTC)


def shortened(noun: AnyNoun) -> AnyNoun:
    """Cut every string longer than 4,096 characters, and say so inside it."""
    long = {f.name: _cut(getattr(noun, f.name)) for f in fields(noun)}
    return replace(noun, **long)


def _cut(value: Any) -> Any:  # noqa: ANN401 (any field of any noun)
    """Cut one value, whatever its shape."""
    if isinstance(value, str):
        return value if len(value) <= TEXT_LIMIT else value[:TEXT_LIMIT] + CUT
    if isinstance(value, tuple):
        return tuple(_cut(item) for item in value)
    return shortened(value) if isinstance(value, Noun) else value


TRIGGERS: dict[str, type[Noun]] = {noun.__name__: noun for noun in (Message, Report)}
"""What a rule may be about, the type of its first parameter: only what a source brings, so that no rule is deaf."""
FACTS: dict[str, type[Noun]] = {noun.__name__: noun for noun in (Detection, ActionLog, Policies, Now)}
"""What a rule may ask for besides: the types of its other parameters."""
OF_A_MESSAGE = frozenset({"Detection", "ActionLog"})
"""Facts that only a rule about a message can ask for."""
