"""Unreadable records: read again, from their bytes and from the API, until the rules can judge them."""

import msgspec

from worker.errors import NotFound, Rejected
from worker.intake.reader import Intake
from worker.intake.sources import READERS
from worker.judging.services import AccountServices
from worker.language.reading import Unreadable
from worker.ledger.unreadable import DAY, UnreadableRecord

PAUSE = 30.0
"""Seconds between two records that are asked for: a hundredth of the usual share."""
IDLE = 5.0
"""Seconds between two looks for records that are due: a person may want one to be read again now."""
AT_ONCE = 1000
"""Records read from their bytes at the start."""


class UnreadableRecords:
    """Reads the unreadable records of one account again: all from their bytes at the start, then one after another."""

    def __init__(self, services: AccountServices, intakes: tuple[Intake, ...]) -> None:
        """What can be read is judged like a page of its source."""
        self._services, self._begun = services, False
        self._intakes = {intake.source.name: intake for intake in intakes}

    async def step(self) -> float:
        """Read what is due again; return the seconds until the next time."""
        now = self._services.clock.now()
        due = await self._services.ledger.list_unreadable(
            self._services.account, now if self._begun else float("inf"), 1 if self._begun else AT_ONCE
        )
        for record in due:
            await self._read_again(record, from_api=self._begun)
        self._begun = True
        return PAUSE if due else IDLE

    async def _read_again(self, record: UnreadableRecord, *, from_api: bool) -> None:
        """Judge a record that can be read by now; put off one that cannot, or leave it to a person."""
        account, ledger, now = self._services.account, self._services.ledger, self._services.clock.now()
        try:
            raw = await self._ask(record) if from_api else msgspec.Raw(record.raw)
            reading = READERS[record.source](raw, now)
        except (Unreadable, NotFound, Rejected, KeyError):
            if from_api:
                await self._put_off(record)
            return
        intake = self._intakes[record.source]
        await intake.enter_readings([reading])
        intake.legibility.forgive(record.digest)
        await ledger.end_unreadable(account, record, now)

    async def _put_off(self, record: UnreadableRecord) -> None:
        """Try a record again later, or leave it to a person when its source is no longer swept for it."""
        account, ledger, now = self._services.account, self._services.ledger, self._services.clock.now()
        intake = self._intakes.get(record.source)
        leaves_at = max(record.end + intake.swept, record.at + DAY) if intake else record.at + DAY
        if now < leaves_at:
            await ledger.put_off_unreadable(account, record, now, leaves_at)
        else:
            await ledger.leave_unreadable(account, record, intake.source.kind if intake else "Message", now)

    async def _ask(self, record: UnreadableRecord) -> msgspec.Raw:
        """Return a message as the API has it now, another record as it was."""
        if record.source == "messages" and record.id:
            return await self._services.client.investigate.get(record.id)
        return msgspec.Raw(record.raw)
