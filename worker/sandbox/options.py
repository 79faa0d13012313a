"""Options of the sandbox: its mail, what nobody documents, and what other people do meanwhile."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import fields, force_setattr

if TYPE_CHECKING:
    from collections.abc import Mapping

Era = Literal["today", "seeds"]
IN_THE_SEEDS: Mapping[str, object] = MappingProxyType({
    "deprecated": True, "page": "honoured", "postfix_path": True, "preview_body": "postfix_id", "release_body": "array",
})  # fmt: skip
"""The switches that the era of the seeds turns, unless they are set otherwise."""


class MailFlow(Struct, frozen=True):
    """How much mail there is: ``messages`` scanned in the last ``history`` seconds, then ``arrivals`` every second."""

    messages: int = 0
    history: float = 3600.0
    arrivals: float = 0.0


class SandboxOptions(Struct, frozen=True):
    """Each default is the likeliest behaviour of the real API. Shares are 0 to 1, times in seconds.

    ``era`` is "today", or "seeds" for the API of Cloudflare's older reference pages: ids of lists are numbers, fields
    have their older names, messages are named by their postfix ids. A bulk job finds ``job_discovers`` messages in a
    ``job_step`` and handles ``job_handles`` in another.
    """

    era: Era = "today"

    # what the account has
    google: bool = False  # Google Workspace instead of Microsoft 365
    entitled: bool = True  # a subscription to Email Security
    phishguard: bool = True
    unsubscribed: Literal["403", "empty"] = "403"  # reports in an account without PhishGuard
    integration: Literal["on", "off", "refused"] = "on"  # without it moves fail one by one, or are refused as a whole
    out_of_reach: tuple[str, ...] = ()  # mailboxes that the integration does not reach
    precedence: Literal["block", "allow"] = "block"  # which of two entries wins that both match a message
    auto_moves: tuple[tuple[str, str], ...] = ()  # (disposition, folder) that Cloudflare moves after delivery
    auto_move_after: float = 60.0

    # what the API does
    invalid: Literal[400, 422] = 400  # the status of a refused value
    page: Literal["ignored", "honoured", "refused"] = "ignored"  # the old parameter of a search
    deprecated: bool = False  # fields past their end of life are still there
    postfix_path: bool = False  # a postfix id in a path stands for the investigate id
    malicious_includes_bec: bool = False  # a search for MALICIOUS finds MALICIOUS-BEC too
    release_body: Literal["both", "object", "array"] = "both"
    release_unknown: Literal["omitted", "404"] = "omitted"
    action_log: Literal["paged", "whole"] = "paged"  # in pages, or everything at once with the fields of old
    preview_body: Literal["id", "postfix_id", "both"] = "id"
    reclassify: Literal["on", "404", "405", "410"] = "on"  # gone, it has no route; only POST submissions is left
    duplicates: Literal["409", "second"] = "409"  # an entry like another is refused, or becomes a second one
    cursor_life: float = 3600.0
    trace_pending: float = 60.0
    submission_delay: float = 0.5  # until a request for another verdict is on record
    review_delay: float = 900.0  # from then until it is decided
    move_failed: float = 0.0
    release_failed: float = 0.0
    lag: float = 0.0  # how far reads are behind writes
    lag_jitter: bool = False  # each record lags by a share of that of its own

    # bulk jobs; of their pages only the numbers are documented as parameters, and only the cursor as an answer
    job_pages: Literal["both", "numbers", "cursor"] = "both"
    job_refusal: Literal[400, 409] = 409  # to delete what still runs, to cancel what has ended
    job_step: float = 1.0
    job_discovers: int = 1000
    job_handles: int = 50
    job_retries: int = 3
    job_retry_after: float = 30.0
    job_failed: float = 0.0

    # own domains
    domain_check: float = 600.0  # until a new one is verified or has failed
    verified_domain: Literal["204", "200"] = "204"  # verification of an active one: nothing, or still its record
    domains_without_ids: Literal["400", "all"] = "400"  # DELETE settings/domains without a body

    # what others do with the mail
    late: float = 0.0  # the index knows it only later
    late_by: float = 600.0
    verdicts: float = 0.0  # Cloudflare changes its verdict
    verdict_after: float = 1800.0
    analysts: float = 0.0  # somebody deletes it
    analyst_after: float = 600.0
    moved_back: float = 0.0  # the user moves it back into the inbox
    moved_back_after: float = 900.0
    reports: float = 0.02  # PhishGuard reports it
    report_after: float = 300.0
    user_submissions: float = 0.01  # a recipient sends it in
    user_submission_after: float = 600.0
    user_submissions_reviewed: float = 0.5
    user_submissions_escalated: float = 0.0

    @property
    def seeds(self) -> bool:
        """Whether this is the API of the older reference pages."""
        return self.era == "seeds"

    def __post_init__(self) -> None:
        """Turn the switches of the era."""
        for one in fields(self) if self.seeds else ():
            if one.name in IN_THE_SEEDS and getattr(self, one.name) == one.default:
                force_setattr(self, one.name, IN_THE_SEEDS[one.name])
