"""How long an answer asks to wait. Pure."""

from collections.abc import Mapping

from worker.api.clock import read_date

LONGEST_RETRY_AFTER = 3600.0
"""A header that names a longer wait is wrong."""


def read_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds in a Retry-After header, 0 to an hour; None when it names no time.

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
