"""Records of the API that no rule reads."""

from base64 import b64decode
from typing import Any

from msgspec import Raw

from worker.language.base import Flag, Noun, Nullable, Number, Text, Texts
from worker.language.models import Message
from worker.language.policies import ListEntry
from worker.language.reading import Unreadable, read
from worker.language.times import Time


class RawMail(Noun, frozen=True):
    """A raw mail."""

    raw: str


class LoadedMail(Noun, frozen=True):
    """A raw mail as far as it was loaded. What is no text in it is U+FFFD, and takes nothing else away."""

    raw: str | None = None
    is_cut: Flag = False


def read_mail(result: Raw) -> LoadedMail:
    """Read a raw mail; raise Unreadable when there is none."""
    found = read(LoadedMail, result)
    if found.raw is None:
        raise Unreadable("its raw is missing")
    return LoadedMail(raw=found.raw, is_cut=found.is_cut)


class TrustedDomain(ListEntry, frozen=True, kw_only=True):
    """A domain that is not treated as new or as a lookalike (``settings/trusted_domains``)."""

    _keys = ("pattern", "is_regex")

    pattern: Text = ""
    is_regex: Flag = False
    is_recent: Flag = False
    is_similarity: Flag = False


class ContentPolicy(ListEntry, frozen=True, kw_only=True):
    """A pattern that subjects or bodies are searched for (``settings/content_policies``)."""

    name: Text = ""
    pattern: Text = ""
    enabled: Flag = False
    targets: Texts = ()
    notes: Text = ""


class UrlIgnorePattern(ListEntry, frozen=True, kw_only=True):
    """Links that are ignored (``settings/url_ignore_patterns``)."""

    pattern: Text = ""


class SendingDomainRestriction(ListEntry, frozen=True, kw_only=True):
    """A domain that must send with TLS, with exceptions (``settings/sending_domain_restrictions``)."""

    domain: Text = ""
    exclude: Texts = ()


class Authorization(Noun, frozen=True, kw_only=True):
    """Whether the mailboxes of a domain can be accessed."""

    authorized: Flag = False
    timestamp: Time = None
    status_message: Text = ""


class Traffic(Noun, frozen=True, kw_only=True):
    """How many mails were processed, and in the period before."""

    timestamp: Time = None
    total_emails_processed: Number = 0
    total_emails_processed_previous: Number = 0


class AccountDomain(ListEntry, frozen=True, kw_only=True):
    """A domain of the account (``settings/domains``)."""

    _keys = ("domain",)

    domain: Text = ""
    status: Text = ""
    allowed_delivery_modes: Texts = ()
    drop_dispositions: Texts = ()
    ip_restrictions: Texts = ()
    regions: Texts = ()
    folder: Text = ""
    inbox_provider: Text = ""
    integration_id: Text = ""
    o365_tenant_id: Text = ""
    lookback_hops: Number = 0
    require_tls_inbound: Flag = False
    require_tls_outbound: Flag = False
    transport: Text = ""
    dmarc_status: Text = ""
    spf_status: Text = ""
    authorization: Nullable[Authorization] = Authorization()
    emails_processed: Nullable[Traffic] = Traffic()


class Preview(Noun, frozen=True, kw_only=True):
    """A picture of a mail."""

    screenshot: str

    @property
    def png(self) -> bytes:
        """The picture as PNG; raises ValueError when it cannot be decoded."""
        return b64decode(self.screenshot, validate=True)


class BulkAction(Noun, frozen=True, kw_only=True):
    """What a bulk job does; for one of its messages also the recipient."""

    type: Text = ""
    destination: Text = ""
    expected_disposition: Text = ""
    client_recipient: Text = ""


class BulkJob(Noun, frozen=True, kw_only=True):
    """A bulk job; discovered = pending + successful + failed + skipped + cancelled.

    ``search_params`` are the conditions of its search, None when the API does not return them.
    """

    job_id: str
    action_type: Text = ""
    status: Text = ""
    status_message: Text = ""
    comment: Text = ""
    created_at: Time = None
    started_at: Time = None
    completed_at: Time = None
    action_params: Nullable[BulkAction] = BulkAction()
    search_params: dict[str, Any] | None = None
    total_messages_discovered: Number = 0
    messages_pending: Number = 0
    messages_successful: Number = 0
    messages_failed: Number = 0
    messages_skipped: Number = 0
    messages_cancelled: Number = 0


class BulkMessage(Noun, frozen=True, kw_only=True):
    """The result of a bulk job for one message and one recipient."""

    message_id: str
    postfix_id: Text = ""
    alert_id: Text = ""
    email_message_id: Text = ""
    action_type: Text = ""
    action_params: Nullable[BulkAction] = BulkAction()
    status: Text = ""
    status_message: Text = ""
    retry_count: Number = 0
    retry_after: Time = None
    created_at: Time = None
    processed_at: Time = None
    message: Message | None = None
