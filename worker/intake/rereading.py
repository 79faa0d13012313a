"""Rereading: the records of held events, read again from the API for a field that could not be read."""

from collections.abc import Sequence
from math import ceil, floor

from worker.errors import WorkerError
from worker.intake.reader import Intake
from worker.intake.sources import READERS
from worker.intake.unreadable import SHARE, TOGETHER
from worker.judging.services import AccountServices
from worker.language.reading import Unreadable
from worker.ledger.unreadable import AGAIN
from worker.ledger.values import Held


class Rereading:
    """Reads records again, a message alone by its id and several by a search; what has the field renews its event.

    All that is read again takes at most a hundredth of the share. Whatever else shows a record whole renews it, too.
    """

    def __init__(self, services: AccountServices, intakes: Sequence[Intake]) -> None:
        """What is read is entered like a page of its source: another state of it is news."""
        self._services, self._clock = services, services.clock
        self._intakes = {intake.source.kind: intake for intake in intakes}

    @property
    def may_read(self) -> bool:
        """Whether the budget for reading again has room now."""
        return not self._services.rereads.wait(self._clock.monotonic())

    def is_due(self, item: Held) -> bool:
        """Tell whether an event that is due should be read again before: not just after it was read."""
        return bool(item.pending.fields) and self._clock.now() >= item.since + AGAIN[0]

    async def read(self, items: Sequence[Held]) -> list[str]:
        """Read again the first of these events, and those that one search finds with it; return the keys of all."""
        near = [item for item in items if _is_near(item, items[0])]
        thing = items[0].sight.reading.thing
        intake, beyond = self._intakes[thing.kind], list(near)
        if len(near) > 1 or thing.kind != "Message":
            beyond = await self._search(intake, near)
        if beyond and thing.kind == "Message":
            await self._get(intake, beyond.pop(0).sight.reading.thing.id)
        return [item.sight.key for item in near if item not in beyond or thing.kind != "Message"]

    async def _search(self, intake: Intake, near: Sequence[Held]) -> list[Held]:
        """Read the stretch that holds these events; return those beyond its first page."""
        times = [item.sight.reading.thing.time for item in near]
        self._note()
        try:
            fetched = await intake.fetch_again(floor(min(times)), ceil(max(times)) + 1)
        except (WorkerError, Unreadable):  # other loops tell of an API that cannot be asked
            return []
        await intake.enter_again(fetched)
        found = {one.thing.id for one in fetched.readings}
        return [item for item in near if item.sight.reading.thing.id not in found]

    async def _get(self, intake: Intake, message: str) -> None:
        """Read a message by its id."""
        self._note()
        try:
            raw = await self._services.client.investigate.get(message)
            reading = READERS[intake.source.name](raw, self._clock.now())
        except (WorkerError, Unreadable):
            return
        await intake.enter_readings([reading])

    def _note(self) -> None:
        pause = self._services.budget.space_out(SHARE)
        self._services.rereads.note(self._clock.monotonic(), pause)


def _is_near(one: Held, first: Held) -> bool:
    """Tell whether two events are found by one search."""
    thing, other = one.sight.reading.thing, first.sight.reading.thing
    return thing.kind == other.kind and abs(thing.time - other.time) <= TOGETHER
