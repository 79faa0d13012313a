"""Switches of the sandbox: what nobody documents, and what other people do meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Switches:
    """Each default is the likeliest behaviour of the real API. Shares are 0 to 1, times in seconds."""

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
    duplicates: Literal["409", "second"] = "409"
    integration: Literal["on", "off", "refused"] = "on"
    cursor_life: float = 3600.0
    submission_delay: float = 0.5
    review_delay: float = 900.0
    move_failed: float = 0.0
    release_failed: float = 0.0
    lag_jitter: bool = False

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
