"""Naming: what a record says of itself, its id and its moment, although nothing else of it may be readable."""

import re
from collections.abc import Iterator

import msgspec

from worker.language.reading import HOSTILE
from worker.language.times import epoch, parse_time
from worker.ledger.values import Broken
from worker.observations import read_scan_time

NAMES = ("id", "submission_id")
TIMES = ("scanned_at", "created_at", "requested_at", "updated_at", "ts", "requested_ts")
"""Fields that tell when something happened, the best first."""
AHEAD = 600.0
"""Seconds by which a moment may lie ahead of the API's time; one further ahead is none."""
FIELD = re.compile(rb'"(\w{2,20})"\s*:\s*"([^"\\]{1,300})"')
LONGEST_ID = 300
Fields = dict[str, object]


def keep_broken(raw: msgspec.Raw, problem: str, began: float) -> Broken:
    """Return a record that could not be read, with its id and its moment where these can be."""
    found = _read_fields(bytes(raw))
    named = next((str(value) for name in NAMES if isinstance(value := found.get(name), str | int)), "")[:LONGEST_ID]
    at = next((at for at in _find_times(named, found) if 0 < at <= began + AHEAD), 0.0)
    return Broken(bytes(raw), problem[:300], id=named, start=at, end=at)


def _read_fields(raw: bytes) -> Fields:
    """Return the fields of a record; of what is no JSON, the first of each name that look like texts."""
    try:
        plain = msgspec.json.decode(raw)
    except HOSTILE:
        return {name.decode(): value.decode("utf-8", "replace") for name, value in reversed(FIELD.findall(raw))}
    return plain if isinstance(plain, dict) else {}


def _find_times(named: str, found: Fields) -> Iterator[float]:
    """Yield what may be the moment of a record: the time in its id, then those of its fields."""
    yield _try_time(named, in_id=True)
    yield from (_try_time(found.get(name)) for name in TIMES)


def _try_time(value: object, *, in_id: bool = False) -> float:
    """Return a time in seconds since the epoch, 0 for what is none."""
    try:
        return read_scan_time(str(value)) if in_id else epoch(parse_time(value))
    except HOSTILE:
        return 0.0
