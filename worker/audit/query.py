"""Query: audit records by verb, entry, rule, target and time."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from worker.ledger.ledger import Ledger

AT_ONCE = 1000


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

    ``after`` is the number of a record and ``since`` a time in seconds; both are exclusive.
    """
    while lines := await ledger.records(account, after=after, limit=AT_ONCE):
        for line in lines:
            record = msgspec.json.decode(line, type=dict[str, Any])
            after = record["number"]
            wanted = {"verb": verb, "entry": entry, "target": target}
            late = since is None or datetime.fromisoformat(record["at"]).timestamp() > since
            ruled = not rule or rule in list_rules(record)
            if late and ruled and all(record.get(name) == value for name, value in wanted.items() if value):
                yield line


def list_rules(record: Mapping[str, Any]) -> list[str]:
    """Return the names of the rules in a record."""
    return [each[0] for each in record.get("rules", ())]
