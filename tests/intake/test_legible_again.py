"""What could not be read counts no longer once the same thing is read whole, whichever read shows it."""

from math import inf

import msgspec
import pytest
from msgspec.structs import replace

from tests.cells import each
from tests.reading import DAY, SETTLE, Room, malicious_is_moved
from tests.support import Meddle, untouched
from worker.api import Request, Response
from worker.sandbox import ACCOUNT

FAULTS = {
    "another type": (b'"is_quarantined":false', b'"is_quarantined":"perhaps"'),
    "another verdict": (b'"final_disposition":"MALICIOUS"', b'"final_disposition":{"is":"MALICIOUS"}'),
    "no JSON": (b'"is_quarantined":false', b'"is_quarantined":fal'),
}


def spoiling(good: bytes, bad: bytes) -> Meddle:
    """Spoil all records, although not the answer as a whole."""

    def meddle(_: Request, answer: Response) -> Response:
        return replace(answer, body=answer.body.replace(good, bad))

    return meddle


async def tell_ends(room: Room) -> list[str]:
    """Return the digests of the records that are on record as read after all."""
    told = [msgspec.json.decode(line) for line in await room.ledger.records(ACCOUNT)]
    return [one["digest"] for one in told if one["verb"] == "record read"]


@pytest.mark.slow
@each("was_known", [False, True])
@each("fault", FAULTS)
async def test_the_overlap_ends_a_bad_hour(fault: str, was_known: bool) -> None:  # noqa: FBT001
    room = Room(malicious_is_moved)
    mails = room.world.arrive(12, "outbreak")
    if was_known:
        await room.read()
    room.meddle = spoiling(*FAULTS[fault])
    await room.read(120)
    assert "12 of" in room.messages.legibility.explain()
    lost = [one.digest for one in await room.ledger.list_unreadable(ACCOUNT, inf, 99)]
    room.meddle = untouched
    await room.read(SETTLE + 60)
    assert (await room.ledger.count_unreadable(ACCOUNT), room.messages.legibility.explain()) == (0, "")
    assert sorted(await tell_ends(room)) == sorted(lost)
    assert await room.targets() == sorted(mail.id for mail in mails)


@pytest.mark.slow
async def test_the_sweep_ends_what_the_overlap_reaches_no_more() -> None:
    room = Room(malicious_is_moved)
    room.world.arrive(12, "outbreak")
    room.meddle = spoiling(*FAULTS["another type"])
    await room.read()
    room.clock.advance(DAY)
    room.meddle = untouched
    room.restart()
    await room.read(3 * 3600)
    assert (await room.ledger.count_unreadable(ACCOUNT), len(await room.targets())) == (0, 12)


async def test_each_source_ends_its_own() -> None:
    room = Room(malicious_is_moved)
    room.world.arrive(3, "outbreak")
    room.world.add_submission(status="pending")
    flags, times = spoiling(*FAULTS["another type"]), spoiling(b'"requested_at":', b'"when":')
    room.meddle = lambda request, answer: times(request, flags(request, answer))
    await room.messages.read_head()
    await room.submissions.read_head()
    assert await room.ledger.count_unreadable(ACCOUNT) == 4
    room.clock.advance(SETTLE + 1)
    room.meddle = untouched
    await room.submissions.read_head()
    assert {one.source for one in await room.ledger.list_unreadable(ACCOUNT, inf, 9)} == {"messages"}


async def test_a_read_that_may_be_stale_ends_nothing() -> None:
    room = Room(malicious_is_moved)
    room.world.add_message()
    await room.messages.read_head()
    room.meddle = spoiling(*FAULTS["another type"])
    await room.messages.read_head()
    room.meddle = untouched
    room.clock.advance(SETTLE - 1)
    await room.messages.read_head()
    assert await room.ledger.count_unreadable(ACCOUNT) == 1
