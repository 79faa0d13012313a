"""How long an answer asks to wait. Pure."""

from collections.abc import Mapping

from worker.api.clock import read_date

LONGEST_RETRY_AFTER = 900.0
"""Seconds that are waited at once, whatever a header names: then the API is asked again."""


def read_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds in a Retry-After header, 0 to 15 minutes; None when it names no time.

    An HTTP date counts from the answer's own Date, because its clock is the one that the API goes by; without one from
    ``now``, in seconds since the epoch.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_RETRY_AFTER)
    until, answered = read_date(text), read_date(headers.get("date", ""))
    if until is None:
        return None
    return min(max(0.0, until - (now if answered is None else answered)), LONGEST_RETRY_AFTER)
