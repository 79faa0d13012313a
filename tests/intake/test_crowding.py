"""Too many held events: no more are held, nothing is lost, and who can answer is heard all the same."""

from random import Random

import pytest

from tests.cells import each
from tests.reading import Room, says
from worker import BlockSender, Move, Notify
from worker.language.rules import ENFORCE, Ask
from worker.ledger import crowding
from worker.rulehost.evaluation import Event, Said
from worker.sandbox import ACCOUNT

BOUND = 5
HANGS = Ask(rule="hangs", actions=("Notify",), mode=ENFORCE, stopped="it hangs")


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowding, "MOST_HELD", BOUND)


class Flood:
    """Mail of which one rule moves all, and another one hangs until it is mended."""

    def __init__(self) -> None:
        self.is_mended, self.lets_others = False, True
        self.room = Room(self.answer)

    def answer(self, event: Event) -> Said:
        """Answer for both rules."""
        moved = says(event, Move("DeletedItems")).proposals
        told = says(
            event, Notify("soc"), BlockSender(f"{event.key[-8:-2]}@evil.example".lower()), rule="hangs"
        ).proposals
        return (
            Said(key=event.key, proposals=(*moved, *told))
            if self.is_mended
            else Said(key=event.key, proposals=moved, asks=(HANGS,))
        )

    async def pour(self, count: int, seconds: float = 50.0) -> list[str]:
        """Let mail arrive over some time, and read it; return the ids."""
        now = self.room.clock.now()
        mail = [self.room.world.add_message(scanned=now + at * seconds / count) for at in range(count)]
        self.room.clock.advance(seconds + 1)
        await self.room.read()
        return [one.id for one in mail]

    async def held(self) -> int:
        """Count what is held."""
        return len(await self.room.ledger.list_held(ACCOUNT))

    async def open(self) -> list[str]:
        """Say why something is left open."""
        return [one.why for one in (await self.room.ledger.coverage(ACCOUNT, "messages")).open if one.kind == "unheard"]

    async def wants(self, kind: str) -> list[str]:
        """Return because of which events something was wanted."""
        return sorted(one.cause for one in await self.room.entries() if type(one.action).__name__ == kind)

    async def wait(self, seconds: float, step: float = 320.0) -> None:
        """Let time pass, in which held events are tried again and what was left open is read again."""
        for _ in range(int(seconds // step)):
            self.room.clock.advance(step)
            while not await self.room.held.step():
                pass
            await self.room.read()


async def test_what_cannot_be_held_is_judged_by_the_others_and_left_open() -> None:
    flood = Flood()
    await flood.room.read()
    mail = await flood.pour(12)
    assert await flood.held() == BOUND
    assert await flood.open() == [crowding.WHY]
    assert len(await flood.wants("Move")) == len(mail)


@pytest.mark.slow
@each("seed", range(3))
async def test_everybody_is_heard_once_about_each_event_in_the_end(seed: int) -> None:
    rng, flood = Random(seed), Flood()
    await flood.room.read()
    mail: list[str] = []
    for _ in range(rng.randint(1, 4)):
        mail += await flood.pour(rng.randint(1, 15), rng.choice((5.0, 50.0, 400.0)))
        if rng.random() < 0.5:
            flood.room.restart()
        await flood.wait(rng.choice((0, 400)))
        assert await flood.held() <= BOUND
    flood.is_mended = True
    await flood.wait(4000)
    assert (await flood.held(), await flood.open()) == (0, [])
    for kind in ("Move", "Notify", "BlockSender"):
        wanted = await flood.wants(kind)
        assert len(wanted) == len(set(wanted)) == len(mail), (kind, seed)


async def test_malicious_mail_does_not_wait_for_rules_that_cannot_be_heard_and_might_object() -> None:
    flood = Flood()
    await flood.room.read()

    def objects(event: Event) -> Said:
        asks = (Ask(rule="hangs", actions=("Release",), mode=ENFORCE, stopped="it hangs"),)
        return Said(key=event.key, proposals=says(event, Move("DeletedItems")).proposals, asks=asks)

    flood.room.rules.answer = objects
    await flood.pour(BOUND + 1)
    assert await flood.wants("Move") == []
    later = await flood.pour(3)
    assert len(await flood.wants("Move")) == len(later)


@pytest.mark.slow
async def test_a_day_later_a_person_is_asked_about_each() -> None:
    flood = Flood()
    await flood.room.read()
    mail = await flood.pour(12)
    await flood.wait(3 * 90_000, step=9000.0)
    assert (await flood.held(), await flood.open()) == (0, [])
    assert len([one for one in await flood.room.entries() if one.item.endswith(crowding.UNHEARD)]) == len(mail)
