"""Conditions and bodies of requests. Fields that are not given are not sent.

Everywhere a pattern has 1 to 1,024 characters, and comments have at most 1,024. The API checks all other values.
"""

from collections.abc import Iterator
from typing import Literal, TypeVar, Union

import msgspec
from msgspec import UNSET, Struct, UnsetType

from worker.language.models import AskedDisposition, Disposition, PatternType

T = TypeVar("T")
Given = Union[T, UnsetType]  # noqa: UP007 (a generic alias)
"""Sent when given; null, where it is allowed, clears the field."""
Direction = Literal["asc", "desc"]
DeliveryMode = Literal["DIRECT", "BCC", "JOURNAL", "API", "RETRO_SCAN"]
Region = Literal["GLOBAL", "AU", "DE", "IN", "US"]
Folder = Literal["AllItems", "Inbox"]
Target = Literal["SUBJECT", "BODY"]
MessageAction = Literal["PREVIEW", "QUARANTINE_RELEASED", "MOVED"]
Provenance = Literal["A1S_INTERNAL", "SNOOPY-CASB_OFFICE_365", "SNOOPY-OFFICE_365", "SNOOPY-GOOGLE_DIRECTORY"]


class Where(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Conditions on what a list returns; None is no condition."""

    def to_query(self) -> Iterator[tuple[str, str]]:
        """Yield them as query parameters; a name is repeated for several values."""
        given: dict[str, str | bool | tuple[str, ...]] = msgspec.to_builtins(self)
        for name, value in given.items():
            for one in value if isinstance(value, tuple) else [value]:
                yield name, msgspec.json.encode(one).decode() if isinstance(one, bool) else one


class Ordered(Where, frozen=True, kw_only=True):
    """How a list is ordered. ``search`` is for people; the API does not document what it matches."""

    direction: Direction | None = None
    order: str | None = None
    search: str | None = None


class WhereBlocked(Ordered, frozen=True, kw_only=True):
    """Conditions on the block list; ``pattern`` must match the whole pattern."""

    pattern: str | None = None
    pattern_type: PatternType | Literal["UNKNOWN"] | None = None


class WhereAllowed(WhereBlocked, frozen=True, kw_only=True):
    """Conditions on allow policies."""

    is_acceptable_sender: bool | None = None
    is_exempt_recipient: bool | None = None
    is_trusted_sender: bool | None = None
    verify_sender: bool | None = None


class WhereTrusted(Ordered, frozen=True, kw_only=True):
    """Conditions on trusted domains."""

    pattern: str | None = None
    is_recent: bool | None = None
    is_similarity: bool | None = None


class WhereContent(Ordered, frozen=True, kw_only=True):
    """Conditions on content policies."""

    enabled: bool | None = None
    name: str | None = None


class WhereRegistered(Ordered, frozen=True, kw_only=True):
    """Conditions on the impersonation registry."""

    provenance: Provenance | None = None


class WhereDomain(Ordered, frozen=True, kw_only=True):
    """Conditions on domains."""

    active_delivery_mode: DeliveryMode | None = None
    allowed_delivery_mode: DeliveryMode | None = None
    domain: tuple[str, ...] | None = None
    integration_id: str | None = None
    status: Literal["PENDING", "ACTIVE", "FAILED", "TIMEOUT"] | None = None


class Conditions(Where, frozen=True, kw_only=True):
    """Conditions on mail, all of which must hold. ``query`` is one word, searched for in most fields.

    ``sender`` and ``recipient`` match an address or a domain.
    """

    alert_id: str | None = None
    delivery_status: str | None = None
    domain: str | None = None
    message_action: MessageAction | None = None
    message_id: str | None = None
    metric: str | None = None
    query: str | None = None
    recipient: str | None = None
    sender: str | None = None
    smtp_helo_ip: str | None = None
    subject: str | None = None


class WhereMessage(Conditions, frozen=True, kw_only=True):
    """Conditions on a search for mail; only six of the ten dispositions are allowed."""

    final_disposition: AskedDisposition | None = None


class NewBlock(Struct, frozen=True, kw_only=True):
    """A sender to block. Regular expressions are Java's, and are matched with several addresses of a mail."""

    pattern: str
    pattern_type: PatternType
    is_regex: bool = False
    comments: Given[str | None] = UNSET


class BlockChange(Struct, frozen=True, kw_only=True):
    """Changes of a blocked sender."""

    pattern: Given[str] = UNSET
    pattern_type: Given[PatternType] = UNSET
    is_regex: Given[bool] = UNSET
    comments: Given[str | None] = UNSET


class NewAllow(Struct, frozen=True, kw_only=True):
    """Mail to let through; with ``verify_sender`` it must pass SPF, DKIM or DMARC."""

    pattern: str
    pattern_type: PatternType
    is_acceptable_sender: bool = False
    is_exempt_recipient: bool = False
    is_regex: bool = False
    is_trusted_sender: bool = False
    verify_sender: bool = True
    comments: Given[str | None] = UNSET


class AllowChange(BlockChange, frozen=True, kw_only=True):
    """Changes of an allow policy."""

    is_acceptable_sender: Given[bool] = UNSET
    is_exempt_recipient: Given[bool] = UNSET
    is_trusted_sender: Given[bool] = UNSET
    verify_sender: Given[bool] = UNSET


class NewTrust(Struct, frozen=True, kw_only=True):
    """A domain that is not treated as new (``is_recent``) or as a lookalike (``is_similarity``)."""

    pattern: str
    is_recent: bool = False
    is_regex: bool = False
    is_similarity: bool = False
    comments: Given[str | None] = UNSET


class TrustChange(Struct, frozen=True, kw_only=True):
    """Changes of a trusted domain."""

    pattern: Given[str] = UNSET
    is_recent: Given[bool] = UNSET
    is_regex: Given[bool] = UNSET
    is_similarity: Given[bool] = UNSET
    comments: Given[str | None] = UNSET


class NewContent(Struct, frozen=True, kw_only=True):
    """A pattern to search mail for."""

    name: str
    pattern: str
    targets: tuple[Target, ...]
    enabled: bool = True
    notes: Given[str | None] = UNSET


class ContentChange(Struct, frozen=True, kw_only=True):
    """Changes of a content policy."""

    name: Given[str] = UNSET
    pattern: Given[str] = UNSET
    targets: Given[tuple[Target, ...]] = UNSET
    enabled: Given[bool] = UNSET
    notes: Given[str | None] = UNSET


class NewRegistrant(Struct, frozen=True, kw_only=True):
    """A person whom impostors may impersonate."""

    name: str
    email: str
    is_email_regex: bool = False
    comments: Given[str | None] = UNSET
    directory_id: Given[int | None] = UNSET
    directory_node_id: Given[int | None] = UNSET
    external_directory_node_id: Given[str | None] = UNSET
    provenance: Given[Provenance | None] = UNSET


class RegistrantChange(Struct, frozen=True, kw_only=True):
    """Changes of a registered person."""

    name: Given[str] = UNSET
    email: Given[str] = UNSET
    is_email_regex: Given[bool] = UNSET
    comments: Given[str | None] = UNSET
    directory_id: Given[int | None] = UNSET
    directory_node_id: Given[int | None] = UNSET
    external_directory_node_id: Given[str | None] = UNSET
    provenance: Given[Provenance | None] = UNSET


class NewRestriction(Struct, frozen=True, kw_only=True):
    """A domain that must send with TLS, except from the excluded hosts."""

    domain: str
    exclude: tuple[str, ...] = ()
    comments: Given[str | None] = UNSET


class RestrictionChange(Struct, frozen=True, kw_only=True):
    """Changes of a restriction."""

    domain: Given[str] = UNSET
    exclude: Given[tuple[str, ...]] = UNSET
    comments: Given[str | None] = UNSET


class NewIgnore(Struct, frozen=True, kw_only=True):
    """Links to ignore."""

    pattern: str
    comments: Given[str | None] = UNSET


class IgnoreChange(Struct, frozen=True, kw_only=True):
    """Changes of an ignored pattern."""

    pattern: Given[str] = UNSET
    comments: Given[str | None] = UNSET


class DomainSettings(Struct, frozen=True, kw_only=True):
    """All settings of a domain, which replace the earlier ones; ``lookback_hops`` is 1 to 20."""

    allowed_delivery_modes: tuple[DeliveryMode, ...]
    drop_dispositions: tuple[Disposition, ...]
    ip_restrictions: tuple[str, ...]
    regions: tuple[Region, ...]
    folder: Given[Folder | None] = UNSET
    integration_id: Given[str | None] = UNSET
    lookback_hops: Given[int | None] = UNSET
    require_tls_inbound: Given[bool | None] = UNSET
    require_tls_outbound: Given[bool | None] = UNSET
    transport: Given[str | None] = UNSET


class NewDomain(DomainSettings, frozen=True, kw_only=True):
    """A domain to protect."""

    domain: str


class DomainChange(Struct, frozen=True, kw_only=True):
    """Changes of a domain; its name cannot be changed."""

    allowed_delivery_modes: Given[tuple[DeliveryMode, ...]] = UNSET
    drop_dispositions: Given[tuple[Disposition, ...]] = UNSET
    ip_restrictions: Given[tuple[str, ...]] = UNSET
    regions: Given[tuple[Region, ...]] = UNSET
    folder: Given[Folder | None] = UNSET
    integration_id: Given[str | None] = UNSET
    lookback_hops: Given[int] = UNSET
    require_tls_inbound: Given[bool] = UNSET
    require_tls_outbound: Given[bool] = UNSET
    transport: Given[str] = UNSET
