"""Options of the sandbox: its mail, what nobody documents, and what other people do meanwhile."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class MailFlow(Struct, frozen=True):
    """How much mail there is: ``messages`` scanned in the last ``history`` seconds, then ``arrivals`` every second."""

    messages: int = 0
    history: float = 3600.0
    arrivals: float = 0.0


class SandboxOptions(Struct, frozen=True):
    """Each default is the likeliest behaviour of the real API. Shares are 0 to 1, times in seconds.

    A bulk job finds ``job_discovers`` messages in a ``job_step`` and handles ``job_handles`` in another.
    """

    # what the API does
    google: bool = False
    entitled: bool = True
    phishguard: bool = True
    invalid: Literal[400, 422] = 400
    page: Literal["ignored", "honoured", "refused"] = "ignored"
    deprecated: bool = False
    postfix_path: bool = False
    malicious_includes_bec: bool = False
    release_body: Literal["both", "object", "array"] = "both"
    release_unknown: Literal["omitted", "404"] = "omitted"
    preview_body: Literal["id", "postfix_id", "both"] = "id"
    trace_pending: float = 60.0
    duplicates: Literal["409", "second"] = "409"
    integration: Literal["on", "off", "refused"] = "on"
    cursor_life: float = 3600.0
    submission_delay: float = 0.5
    review_delay: float = 900.0
    move_failed: float = 0.0
    release_failed: float = 0.0
    lag: float = 0.0  # how far reads are behind writes
    lag_jitter: bool = False  # each thing lags by a share of that of its own
    unsubscribed: Literal["403", "empty"] = "403"  # the reports of an account without PhishGuard
    precedence: Literal["block", "allow"] = "block"  # which of two entries wins that both mean a message
    auto_moves: tuple[tuple[str, str], ...] = ()  # (disposition, folder) that Cloudflare moves after delivery
    auto_move_after: float = 60.0

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

    # what happens to the mail without us
    late: float = 0.0
    late_by: float = 600.0
    verdicts: float = 0.0
    verdict_after: float = 1800.0
    analysts: float = 0.0
    analyst_after: float = 600.0
    moved_back: float = 0.0
    moved_back_after: float = 900.0
    reports: float = 0.02
    report_after: float = 300.0
    user_submissions: float = 0.01
    user_submission_after: float = 600.0
    user_submissions_reviewed: float = 0.5
    user_submissions_escalated: float = 0.0
