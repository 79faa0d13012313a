"""Query: audit records by verb, entry, rule, target and time."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any, get_args

import msgspec

from worker.language.models import PatternType
from worker.ledger.ledger import Ledger

AT_ONCE = 1000
PATTERN_TYPES = get_args(PatternType)


async def query(
    ledger: Ledger,
    account: str,
    *,
    verb: str = "",
    entry: str = "",
    rule: str = "",
    target: str = "",
    after: int = 0,
    since: float | None = None,
) -> AsyncIterator[bytes]:
    """Yield an account's records as canonical JSON, in order, that match every filter given.

    ``after`` is the number of a record and ``since`` a time in seconds; both are exclusive. A ``target`` is the id of a
    message, a channel, or a pattern of a list, in any case, with its type before it (``EMAIL:a@b.example``) or without.
    """
    while lines := await ledger.records(account, after=after, limit=AT_ONCE):
        for line in lines:
            record = msgspec.json.decode(line, type=dict[str, Any])
            after = record["number"]
            wanted = {"verb": verb, "entry": entry}
            late = since is None or datetime.fromisoformat(record["at"]).timestamp() > since
            named = (not rule or rule in list_rules(record)) and (not target or _is_about(record, target))
            if late and named and all(record.get(name) == value for name, value in wanted.items() if value):
                yield line


def list_rules(record: Mapping[str, Any]) -> list[str]:
    """Return the names of the rules in a record."""
    return [each[0] for each in record.get("rules", ())]


def _is_about(record: Mapping[str, Any], target: str) -> bool:
    """Tell whether a record names a target; people know patterns of lists without their type, and in any case."""
    on = str(record.get("target", ""))
    kind, _, pattern = on.partition(":")
    return on == target or (kind in PATTERN_TYPES and target.lower() in {on.lower(), pattern.lower()})
