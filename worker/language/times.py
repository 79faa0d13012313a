"""Times: every form in which Cloudflare's services write one, read as an aware time in UTC."""

import re
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

Time = Annotated[datetime, Meta(tz=True)] | None
"""A time with a zone, null on the wire when there is none."""
LATEST = 7_258_118_400.0
"""The year 2200: later times, and times before 1970, are mistakes."""
UNITS = (1.0, 1e3, 1e6, 1e9)
"""Seconds, milliseconds, microseconds and nanoseconds: the first that is not beyond the latest time is meant."""
GO = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) ([+-]\d{4})(?: [A-Z]{1,5}| [+-]\d{2,4})?(?: m=\S+)?")
"""As Go prints a time: ``2026-11-29 10:00:00.123 +0000 UTC m=+0.1``."""
LONGEST = 64
"""Characters of a time at most."""


def epoch(when: datetime | None) -> float:
    """Return seconds since the epoch, 0 for no time or an impossible one; a time without a zone is UTC."""
    seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() if when else 0.0
    return seconds if 0.0 < seconds < LATEST else 0.0


def parse_time(value: object) -> datetime:
    """Return a time in UTC; raise ValueError when the value is none. Without a zone it is UTC."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("no time")  # noqa: TRY004 (callers read what strangers wrote, and know one error)
    if isinstance(value, int | float):
        return _from_number(float(value))
    text = value.strip()
    if len(text) > LONGEST:
        raise ValueError("no time")
    return _from_number(float(text)) if re.fullmatch(r"\d+(\.\d+)?", text) else _to_utc(_from_text(text))


def _from_number(number: float) -> datetime:
    for unit in UNITS:
        if 0.0 < number / unit < LATEST:
            return datetime.fromtimestamp(number / unit, UTC)
    raise ValueError("no time")


def _from_text(text: str) -> datetime:
    """Try the forms one after the other, the most likely first."""
    if found := GO.fullmatch(text):
        return datetime.fromisoformat(f"{found[1]}{found[2]}")
    try:
        return msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        pass
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        from email.utils import parsedate_to_datetime  # noqa: PLC0415 (slow to import, rarely needed)

        return parsedate_to_datetime(text)


def _to_utc(when: datetime) -> datetime:
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
