"""Query: audit records by verb, entry, rule, target, mail and time."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any, get_args

import msgspec

from worker.language.models import PatternType
from worker.ledger.ledger import Ledger
from worker.ledger.matching import MailFilter
from worker.ledger.views import RecordQuery

AT_ONCE = 1000
PATTERN_TYPES = get_args(PatternType)
ANY_MAIL = MailFilter()


async def query(
    ledger: Ledger,
    account: str,
    *,
    verb: str = "",
    entry: str = "",
    rule: str = "",
    target: str = "",
    mail: MailFilter = ANY_MAIL,
    after: int = 0,
    since: float = 0.0,
    newest_first: bool = False,
) -> AsyncGenerator[bytes]:
    """Yield an account's records as canonical JSON, in order or the newest first, that match every filter given.

    ``after`` is the number of a record and ``since`` a time in seconds; both are exclusive. A ``target`` is the id of a
    message, also of one that could not be read, of its gap, a channel, or a pattern of a list, in any case, with its
    type before it (``EMAIL:a@b.example``) or without.
    ``mail`` lets through what entries about such mail led to, as long as these are kept.
    """
    wanted = RecordQuery(account, entry, mail, after, since, newest_first)
    beyond = 0
    while lines := await ledger.find_records(wanted, beyond, AT_ONCE):
        for line in lines:
            record = msgspec.json.decode(line, type=dict[str, Any])
            beyond = record["number"]
            named = (not rule or rule in list_rules(record)) and (not target or _is_about(record, target))
            if named and (not verb or record["verb"] == verb):
                yield line


def list_rules(record: Mapping[str, Any]) -> list[str]:
    """Return the names of the rules in a record."""
    return [each[0] for each in record.get("rules", ())]


def _is_about(record: Mapping[str, Any], target: str) -> bool:
    """Tell whether a record names a target, or something that could not be read.

    People know patterns of lists without their type, and in any case.
    """
    if target in {record.get("id"), record.get("gap")}:
        return True
    on = str(record.get("target", ""))
    kind, _, pattern = on.partition(":")
    return on == target or (kind in PATTERN_TYPES and target.lower() in {on.lower(), pattern.lower()})
