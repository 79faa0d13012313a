"""Records that could not be read are judged as soon as they can be: by a mended worker, or from a mended API."""

from tests.reading import Room, malicious_is_moved
from tests.support import garbling, untouched
from worker.intake.unreadable import UnreadableRecords
from worker.sandbox import ACCOUNT

SPOILT = garbling(b'"is_quarantined":false', b'"is_quarantined":"perhaps"')


def reread(room: Room) -> UnreadableRecords:
    """Return what reads again, as a process does that has just started."""
    intakes = (room.messages, room.reports, room.submissions, room.blocked, room.allowed)
    return UnreadableRecords(room.services(room.facts.policies), intakes)


async def test_a_record_is_judged_when_the_api_has_it_whole_again() -> None:
    room = Room(malicious_is_moved)
    mail = room.world.add_message()
    room.meddle = SPOILT
    await room.read()
    again = reread(room)
    await again.step()
    room.clock.advance(301)
    await again.step()
    assert (await room.targets(), await room.ledger.count_unreadable(ACCOUNT)) == ([], 1)
    room.meddle = untouched
    room.clock.advance(1801)
    await again.step()
    assert (await room.targets(), await room.ledger.count_unreadable(ACCOUNT)) == ([mail.id], 0)


async def test_a_record_is_judged_from_its_bytes_by_a_worker_that_can_read_it() -> None:
    room = Room(malicious_is_moved)
    mail = room.world.add_message()
    room.meddle = SPOILT
    await room.read()
    (record,) = await room.ledger.list_unreadable(ACCOUNT, float("inf"), 9)
    assert (record.id, record.source, record.tries) == (mail.id, "messages", 0)
    mended = record.raw.replace(b'"perhaps"', b"false")
    room.runner.transact(lambda conn: conn.exec_driver_sql("UPDATE broken SET raw = ?", (mended,)))
    await reread(room).step()
    assert (await room.targets(), await room.ledger.count_unreadable(ACCOUNT)) == ([mail.id], 0)


async def test_reading_again_costs_one_call_at_a_time_and_ever_fewer() -> None:
    room = Room(malicious_is_moved)
    room.world.add_message()
    room.meddle = SPOILT
    await room.read()
    again = reread(room)
    for _ in range(24 * 120):
        await again.step()
        room.clock.advance(30)
    assert 20 <= room.world.requests["GET investigate/{id}"].total() <= 26


async def test_what_rules_got_all_the_same_is_not_read_again() -> None:
    room = Room(malicious_is_moved)
    room.world.add_message(disposition="SPAM")
    room.meddle = garbling(b'"SPAM"', b'"NEW_WORD"')
    await room.read()
    assert await room.ledger.count_unreadable(ACCOUNT) == 0
