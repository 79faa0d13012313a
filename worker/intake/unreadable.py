"""Unreadable records: read again, from their bytes and from the API, until the rules can judge them."""

from collections.abc import Sequence
from math import ceil, floor, inf
from typing import NamedTuple

import msgspec

from worker.errors import NotFound, Rejected, ServerFault
from worker.intake.reader import Intake
from worker.intake.sources import READERS, Fetched
from worker.judging.services import AccountServices
from worker.language.mending import decode
from worker.language.reading import HOSTILE, Unreadable
from worker.ledger.unreadable import DAY, UnreadableRecord
from worker.ledger.values import Page

SHARE = 0.01
"""The part of the budget that reading again may take."""
REST = 720.0
"""Seconds after a request in vain in which only what a person wants is read again: five requests an hour."""
IDLE = 5.0
"""Seconds between two looks for records that are due: a person may want one to be read again now."""
AT_ONCE = 1000
TOGETHER = DAY / 2
"""Seconds around a record within which others are read again by the same search, whether or not they are due."""
PROBLEMS = (Unreadable, NotFound, Rejected, ServerFault)
"""Why a record cannot be read now; without a connection, nothing is said about any."""
Records = Sequence[UnreadableRecord]


class Shown(NamedTuple):
    """What a page shows: the ids of the records that were judged, and of those that cannot be read."""

    judged: frozenset[str]
    lost: frozenset[str]
    is_whole: bool
    """Whether nothing is left for a later page."""

    def has_readable(self, record: UnreadableRecord) -> bool | None:
        """Tell whether a record can be read now; None when it may be on a later page."""
        if record.id in self.judged | self.lost:
            return record.id in self.judged
        if not self.is_whole:
            return None
        return not record.id and (bool(self.judged) or not record.raw)


class UnreadableRecords:
    """Reads the unreadable records of one account again: all from their bytes at the start, then from the API.

    A message alone is read by its id; several, or what has no address of its own, by a search for their moments.
    """

    def __init__(self, services: AccountServices, intakes: tuple[Intake, ...]) -> None:
        """What can be read is judged like a page of its source."""
        self._services, self._begun, self._rests_until = services, False, 0.0
        self._account, self._ledger, self._clock = services.account, services.ledger, services.clock
        self._intakes = {intake.source.name: intake for intake in intakes}

    async def step(self) -> float:
        """Read what is due again; return the seconds until the next time."""
        if not self._begun:
            await self._judge_all()
        elif await self._ledger.list_unreadable(self._account, self._find_limit(), 1):
            before = await self._ledger.count_unreadable(self._account)
            calls = await self._ask_again(_choose(await self._ledger.list_unreadable(self._account, inf, AT_ONCE)))
            if await self._ledger.count_unreadable(self._account) >= before:
                self._rests_until = self._clock.monotonic() + calls * REST
            pause = calls * self._services.budget.space_out(SHARE)
            self._services.rereads.note(self._clock.monotonic(), pause)
            return pause
        return IDLE

    def _find_limit(self) -> float:
        """Return up to when records must be due to be read again now; what a person wants is due at 0."""
        return 0.0 if self._clock.monotonic() < self._rests_until else self._clock.now()

    async def _judge_all(self) -> None:
        """Judge what this version can read from the bytes that are kept; many, as long as some of them can be."""
        before = inf
        while (left := await self._ledger.count_unreadable(self._account)) < before:
            before = left
            for record in await self._ledger.list_unreadable(self._account, inf, AT_ONCE):
                if intake := self._intakes.get(record.source):
                    await self._judge(record, msgspec.Raw(record.raw), intake)
        self._begun = True

    async def _ask_again(self, records: Records) -> int:
        """Ask the API for records of one source; return how many requests that took."""
        intake, first = self._intakes.get(records[0].source), records[0]
        if intake is None:  # of a source that is gone, or an event that was held
            await self._put_off(first, None)
            return 0
        if len(records) == 1 and _has_address(first):
            await self._get(first, intake)
            return 1
        beyond = await self._search(records, intake)
        if beyond:
            await self._get(beyond[0], intake)
        return 2 if beyond or not first.raw else 1  # what is cut short is asked for twice

    async def _search(self, records: Records, intake: Intake) -> Records:
        """Read again the stretch that holds these records; return those that lie beyond its first page."""
        try:
            shown = await _read_stretch(records, intake)
        except PROBLEMS:
            for record in records:
                await self._put_off(record, intake)
            return []
        verdicts = [(record, shown.has_readable(record)) for record in records]
        for record, readable in verdicts:
            if readable:
                await self._end(record, intake)
            elif readable is False or not _has_address(record):
                await self._put_off(record, intake)
        return [record for record, readable in verdicts if readable is None and _has_address(record)]

    async def _get(self, record: UnreadableRecord, intake: Intake) -> None:
        """Read a message by its id, and judge it if that can be done now."""
        try:
            raw = await self._services.client.investigate.get(record.id)
        except PROBLEMS:
            await self._put_off(record, intake)
            return
        if not await self._judge(record, raw, intake):
            await self._put_off(record, intake)

    async def _judge(self, record: UnreadableRecord, raw: msgspec.Raw, intake: Intake) -> bool:
        """Judge a record as it is now; tell whether it could be read."""
        try:
            reading = READERS[record.source](raw, self._clock.now())
        except Unreadable:
            return False
        if _name_lost(await intake.enter_again(Fetched((reading,), (), None, self._clock.now()))):
            return False
        await self._end(record, intake)
        return True

    async def _end(self, record: UnreadableRecord, intake: Intake) -> None:
        intake.legibility.forgive(record.digest)
        await self._ledger.end_unreadable(self._account, record, self._clock.now())

    async def _put_off(self, record: UnreadableRecord, intake: Intake | None) -> None:
        """Try a record again later, or leave it to a person when its source is no longer swept for it."""
        now, swept = self._clock.now(), intake.swept if intake else 0.0
        leaves_at = max(record.end + swept, record.at + DAY)
        if now < leaves_at:
            await self._ledger.put_off_unreadable(self._account, record, now, leaves_at)
        else:
            kind = intake.source.kind if intake else "Message"
            await self._ledger.leave_unreadable(self._account, record, kind, now)


def _choose(lost: Records) -> Records:
    """Return the record that is due first, and those that one search finds together with it."""
    first = lost[0]
    if not first.raw:
        return [first]
    moments = [one for one in lost if not one.raw and one.source == first.source]
    near = [one for one in lost if one.raw and _is_near(one, first, moments)]
    return sorted(near, key=lambda one: one != first)


def _is_near(one: UnreadableRecord, first: UnreadableRecord, moments: Records) -> bool:
    """Tell whether two records can be read by one search: nothing lies between them that cuts its answer short."""
    between = any(min(one.start, first.start) <= at.end and at.start <= max(one.end, first.end) for at in moments)
    together = one.source == first.source and abs(one.start - first.start) <= TOGETHER
    return one == first or (together and not between)


def _has_address(record: UnreadableRecord) -> bool:
    """Tell whether the API gives such a record by its id; what is no JSON can only be told apart in a list."""
    return record.source == "messages" and bool(record.id) and _is_json(record.raw)


def _is_json(raw: bytes) -> bool:
    try:
        decode(raw)
    except HOSTILE:
        return False
    return True


def _name_lost(page: Page) -> frozenset[str]:
    """Return the ids of the records of a page that nobody could judge, with an empty one for what has none."""
    return frozenset(one.id for one in page.broken if not one.judged)


async def _read_stretch(records: Records, intake: Intake) -> Shown:
    """Read the first page of the stretch in which these records lie, whatever has been read of it, and enter it."""
    start, end = min(one.start for one in records), max(one.end for one in records)
    if records[0].raw:
        start, end = floor(start), ceil(end) + 1
    fetched = await intake.fetch_again(start, end)
    lost = _name_lost(await intake.enter_again(fetched))
    found = frozenset(one.thing.id for one in fetched.readings)
    return Shown(found - lost, lost, is_whole=fetched.next is None)
