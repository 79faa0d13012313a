"""What is missing: stretches of time that are not read, and records that nobody could read, many alike on one line."""

import math
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from worker import wording
from worker.cli import context, output
from worker.errors import SettingsError

if TYPE_CHECKING:
    from worker.intake.sources import Source
    from worker.ledger.ledger import Ledger
    from worker.ledger.unreadable import OpenRecord
    from worker.ledger.values import Coverage
    from worker.settings import Settings

UNREAD, UNREADABLE, UNKNOWN = "unread", "unreadable", "unknown verdict"
"""Why something is missing: it was not read yet, could not be read, or not all rules could hear of it."""
CROWDED, LACKED = "too many held", "judged without a field"
"""Why something that was read is to be read again: it could not be held, or was judged while a field was missing."""
REASONS = {"unheard": CROWDED, "again": LACKED}
GROUP = re.compile(r"([0-9a-f]+)\+([1-9][0-9]{0,8})")
"""The id of a group: that of its newest record, and how many others it has."""
NAMED = 2
"""Records of a group that are named."""
Records = Sequence["OpenRecord"]
Gap = Mapping[str, Any]


class Missing(Struct, frozen=True, kw_only=True):
    """What is missing in all accounts, the newest first."""

    stretches: Sequence[Gap]
    records: Mapping[str, Records]
    """The records that nobody has judged, by account."""
    accounts: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether it is known that nothing is missing: of what was never read, that is not known."""
        return bool(self.accounts) and not self.stretches and not any(self.records.values())

    def sum_up(self) -> str:
        """Say how much is missing."""
        found = [record.is_half_heard for records in self.records.values() for record in records]
        reasons, records, verdicts = [gap["reason"] for gap in self.stretches], found.count(False), found.count(True)
        ends = {UNREAD: "not read", CROWDED: "not heard by all rules", LACKED: "to be judged again"}
        counted = [(reasons.count(reason), end) for reason, end in ends.items()]
        told = [f"{wording.count(number, 'stretch', 'stretches')} of time {end}" for number, end in counted if number]
        told += [f"{wording.count(records, 'record')} that nobody could read"] if records else []
        told += [f"{wording.count(verdicts, 'message')} with an unknown verdict"] if verdicts else []
        return ", ".join(told)

    def list_gaps(self) -> list[Gap]:
        """Describe all that is missing for programs."""
        unreadable = [describe_record(account, one) for account, found in self.records.items() for one in found]
        return [*self.stretches, *unreadable]

    def list_groups(self) -> list[tuple[str, Records]]:
        """Return the records with their account, those of one source that have the same problem together."""
        groups: dict[tuple[str, str, str], list[OpenRecord]] = defaultdict(list)
        for account, found in self.records.items():
            for record in found:
                groups[account, record.source, record.why].append(record)
        found_groups = [(account, alike) for (account, *_), alike in groups.items()]
        return sorted(found_groups, key=lambda group: group[1][0].at, reverse=True)


async def find_missing(settings: "Settings", id_: str = "") -> Missing:
    """Find what is missing in all accounts that are meant, or only the records that an id names."""
    async with context.read_ledger(settings) as (ledger, accounts):
        read = () if id_ else accounts
        stretches = [gap for account in read for gap in await _find_stretches(ledger, account, settings)]
        records = {account: await choose_records(ledger, account, id_) for account in accounts}
    stretches.sort(key=lambda gap: gap["end"].timestamp() if gap["end"] else math.inf, reverse=True)
    return Missing(stretches=stretches, records=records, accounts=accounts)


async def choose_records(ledger: "Ledger", account: str, id_: str) -> Records:
    """Return the open records that an id names, all for an empty one; of a group, no more than was shown."""
    found = await ledger.list_open_records(account)
    group = GROUP.fullmatch(id_)
    if not group:
        return [record for record in found if id_ in {"", record.gap, record.id}]
    first = next((place for place, record in enumerate(found) if record.gap == group[1]), len(found))
    alike = [one for one in found[first:] if (one.source, one.why) == (found[first].source, found[first].why)]
    if len(alike) > int(group[2]) + 1:
        raise SettingsError(f"{id_} was shown with fewer records than are in that group: look again with `worker gaps`")
    return alike


async def _find_stretches(ledger: "Ledger", account: str, settings: "Settings") -> list[Gap]:
    """Describe the time that was not read of an account; all but messages are read only while a rule needs them."""
    from worker.intake.sources import SOURCES

    found: list[Gap] = []
    for source in SOURCES:
        late = 3 * settings.poll_every * source.pace + settings.request_timeout
        unread = _find_unread(await ledger.coverage(account, source.name), late, source)
        found += [{"account": account, "source": source.name, **gap} for gap in unread]
    return found


def _find_unread(coverage: "Coverage", late: float, source: "type[Source]") -> Iterator[Gap]:
    """Yield each stretch that is not read: the gaps, and the time since the last read once that is late."""
    from worker.intake.coverage import find_gaps, find_horizon
    from worker.intake.sources import Messages

    end, needed = find_horizon(coverage), "ready" if source is Messages else "does a rule use it"
    for start, stop in find_gaps(coverage.closed, coverage.since, end):
        met = (slice_ for slice_ in coverage.open if slice_.kind not in REASONS)
        why = [slice_.why for slice_ in met if slice_.start < stop and slice_.end > start and slice_.why]
        yield _describe_gap(start, stop, why[0] if why else "newer gaps are read first")
    for slice_ in (one for one in coverage.open if one.kind in REASONS):
        again = {"reason": REASONS[slice_.kind], "next_try": output.to_datetime(slice_.next_at)}
        yield _describe_gap(slice_.start, slice_.end, slice_.why) | again
    if end and time.time() - end > late:
        yield _describe_gap(end, time.time(), f"nothing was read since: is the worker running, and {needed}?")
    if source is Messages and not end:
        yield _describe_gap(0.0, 0.0, "nothing was ever read: is the worker running, and ready?")


def _describe_gap(start: float, end: float, why: str) -> dict[str, Any]:
    return {
        "id": "",
        "start": output.to_datetime(start),
        "end": output.to_datetime(end),
        "length": wording.format_duration(end - start),
        "reason": UNREAD,
        "record": "",
        "next_try": None,
        "why": why,
    }


def describe_record(account: str, record: "OpenRecord") -> Gap:
    """Describe a record that cannot be read, for programs, as the gap that it is."""
    return _describe_gap(record.start, record.end, record.why) | {
        "id": record.gap,
        "account": account,
        "source": record.source,
        "reason": _name_reason(record),
        "record": record.id,
        "next_try": None if record.is_half_heard else output.to_datetime(record.next_at),
    }


def tell_stretch(gap: Gap) -> output.Row:
    """Tell people of time that was not read."""
    length = gap["length"] if gap["end"] else "all of it"
    return {**gap, "what": [f"{gap['source']} of {gap['account']}", length, gap["why"]]}


def tell_group(account: str, alike: Records) -> output.Row:
    """Tell people of records of one source that have the same problem."""
    newest, others = alike[0], len(alike) - 1
    return {
        "id": f"{newest.gap}+{others}" if others else newest.gap,
        "start": output.to_datetime(min(record.start for record in alike)),
        "end": output.to_datetime(max(record.end for record in alike)),
        "what": [
            f"{newest.source} of {account}",
            f"{_name_reason(newest)}: {_name_records(alike)}",
            newest.why,
            _tell_next_try(alike),
        ],
    }


def _name_reason(record: "OpenRecord") -> str:
    return UNKNOWN if record.is_half_heard else UNREADABLE


def _name_records(alike: Records) -> str:
    """Name a single record; count several, and name the newest."""
    names = [record.id for record in alike if record.id]
    if len(alike) == 1:
        return names[0] if names else "nothing names it"
    named = "; ".join(names[:NAMED]) + (" …" if len(names) > NAMED else "")
    return f"{wording.count(len(alike), 'record')}, such as {named}" if named else f"{len(alike):,} without a name"


def _tell_next_try(alike: Records) -> str:
    if alike[0].is_half_heard:
        return "look at it, and update the worker"
    at = output.to_datetime(min(record.next_at for record in alike))
    return f"tried again at {at:%Y-%m-%d %H:%MZ}" if at else "tried again now"
