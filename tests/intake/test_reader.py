"""Every interval is read to its end, whatever comes between."""

from itertools import pairwise

import pytest
from msgspec.structs import replace

from tests.reading import PACE, Room, malicious_is_moved
from tests.support import garbling
from worker.errors import Rejected, ServerFault
from worker.intake.coverage import choose_gap
from worker.intake.slices import FAULT_AGAIN, SLOW_AGAIN
from worker.ledger.values import Coverage, Page
from worker.observations import read_message
from worker.sandbox import ACCOUNT, Fault


async def coverage(room: Room, source: str = "messages") -> Coverage:
    return await room.ledger.coverage(ACCOUNT, source)


async def test_the_first_start_reads_back_as_far_as_it_is_told_and_no_further() -> None:
    room = Room()
    inside = room.world.add_message(scanned=room.clock.now() - 3500)
    room.world.add_message(scanned=room.clock.now() - 3700)
    await room.read()
    assert await room.targets() == [inside.id]
    assert await room.messages.find_gaps() == ()


async def test_new_mail_is_found_and_the_next_poll_comes_soon() -> None:
    room = Room()
    await room.read()
    quiet = [await room.messages.read_head() for _ in range(8)]
    assert quiet[-1] == PACE.latest
    room.clock.advance(8.0)
    mail = room.world.add_message()
    assert await room.messages.read_head() == PACE.soonest
    assert await room.targets() == [mail.id]
    assert room.wake.is_set()


async def test_what_was_read_is_not_judged_again() -> None:
    room = Room()
    room.world.add_message()
    await room.read()
    judged = len(room.rules.heard)
    await room.messages.read_head()
    room.restart()
    await room.read()
    assert len(room.rules.heard) == judged == 1


@pytest.mark.slow
async def test_mail_indexed_late_inside_the_overlap_is_not_missed() -> None:
    room = Room()
    late = room.world.add_message(scanned=room.clock.now(), indexed=room.clock.now() + 600)
    await room.read(599)
    assert await room.targets() == []
    await room.read(120)
    assert await room.targets() == [late.id]


@pytest.mark.slow
async def test_mail_indexed_later_than_the_overlap_is_found_by_the_sweep() -> None:
    room = Room()
    late = room.world.add_message(scanned=room.clock.now(), indexed=room.clock.now() + 5000)
    await room.read(5400)
    room.restart()
    await room.read(1800)
    assert await room.targets() == [late.id]


async def test_a_changed_verdict_is_judged_again() -> None:
    room = Room()
    mail = room.world.add_message(disposition="SPAM")
    await room.read()
    room.world.change_verdict(mail.id, "MALICIOUS")
    await room.read(60)
    (entry,) = await room.entries()
    assert entry.cause.endswith("/2")


async def test_downtime_is_a_gap_that_is_read_newest_first() -> None:
    room = Room()
    await room.read()
    mails = [room.world.add_message(scanned=room.clock.now() + hour * 3600, indexed=0.0) for hour in range(1, 6)]
    room.clock.advance(6 * 3600)
    room.restart()
    await room.messages.read_head()
    assert await room.messages.find_gaps() != ()
    await room.messages.read_behind()  # the overlap, and then the newest hour that is missing
    await room.messages.read_behind()
    assert await room.targets() == [mails[-1].id]
    await room.read()
    assert await room.targets() == sorted(mail.id for mail in mails)
    assert await room.messages.find_gaps() == ()


@pytest.mark.slow
async def test_a_broken_walk_goes_on_from_the_page_it_had_reached() -> None:
    room = Room()
    for n in range(2500):
        room.world.add_message(scanned=room.clock.now() - 1800 + n % 600, disposition="SPAM")
    await room.messages.read_head()
    room.world.faults.script([Fault("slow", "GET", "investigate"), *[Fault("html", "GET", "investigate", count=99)]])
    with pytest.raises(ServerFault):
        await room.messages.read_behind()
    (open_slice,) = (await coverage(room)).open
    assert open_slice.cursor is not None
    room.world.faults.written.clear()
    before = room.messages.totals["new"]
    room.restart()
    await room.read(2 * FAULT_AGAIN)
    assert before + room.messages.totals["new"] == 2500
    assert await room.messages.find_gaps() == ()


async def test_a_cursor_that_expired_begins_its_slice_again() -> None:
    room = Room()
    for n in range(1500):
        room.world.add_message(scanned=room.clock.now() - 1800 + n % 600, disposition="SPAM")
    await room.messages.read_head()
    room.world.faults.script([Fault("slow", "GET", "investigate"), *[Fault("html", "GET", "investigate", count=10)]])
    with pytest.raises(ServerFault):
        await room.messages.read_behind()
    room.clock.advance(3700)
    before = room.messages.totals["new"]
    room.restart()
    await room.read()
    assert before + room.messages.totals["new"] == 1500
    assert await room.messages.find_gaps() == ()


@pytest.mark.slow
async def test_a_search_that_is_too_slow_is_halved_down_to_a_minute_that_stays_a_gap() -> None:
    room = Room()
    await room.messages.read_head()
    room.world.faults.script([Fault("accepted", "GET", "investigate", count=10_000, seconds=1e6)])
    for _ in range(100):
        await room.messages.read_behind()
    slow = [slice_ for slice_ in (await coverage(room)).open if slice_.next_at]
    assert slow
    assert all(slice_.end - slice_.start < 60 and "60 s" in slice_.why for slice_ in slow)
    room.world.faults.written.clear()
    room.clock.advance(SLOW_AGAIN + 1)
    await room.read()
    assert await room.messages.find_gaps() == ()


async def test_a_refused_search_is_an_error_not_an_empty_page() -> None:
    room = Room()
    await room.read()
    closed = (await coverage(room)).closed
    room.clock.time += 9e6
    room.world.clock = lambda: room.clock.now() - 9e6
    with pytest.raises(Rejected):
        await room.messages.read_head()
    assert (await coverage(room)).closed == closed


async def test_a_report_that_is_updated_is_judged_again() -> None:
    room = Room()
    mail = room.world.add_message(disposition="NONE")
    number = room.world.add_report(mail)
    await room.reports.read_head()
    room.clock.advance(3600)
    room.world.update_report(number, title="seen again")
    while await room.reports.read_behind() == 0.0:
        pass
    assert [event.kind for event in room.rules.heard] == ["Report", "Report"]


async def test_a_record_that_makes_no_sense_costs_only_itself_and_is_kept() -> None:
    room = Room()
    good = room.world.add_message()
    room.world.add_message()
    room.meddle = garbling(b'"is_quarantined":false', b'"is_quarantined":"perhaps"')
    await room.read()
    assert await room.targets() == [good.id]
    assert len(await room.ledger.list_broken(ACCOUNT)) == 1


async def test_looks_are_left_for_whoever_acts() -> None:
    room = Room(malicious_is_moved)
    mail = room.world.add_message(quarantined=True)
    await room.read()
    look = room.looks.recall(mail.id, since=0.0)
    assert look is not None
    assert look.quarantined


async def test_a_first_search_that_is_too_slow_keeps_the_whole_look_back() -> None:
    room = Room()
    mail = room.world.add_message(scanned=room.clock.now() - 1800)
    room.world.faults.script([Fault("accepted", "GET", "investigate", seconds=100.0)])
    await room.messages.read_head()
    await room.read(60)
    assert await room.targets() == [mail.id]
    assert await room.messages.find_gaps() == ()


@pytest.mark.slow
async def test_a_head_that_is_always_too_slow_is_read_in_halves_and_does_not_pile_up() -> None:
    room = Room()
    mail = room.world.add_message(scanned=room.clock.now() - 5)
    room.world.faults.script([Fault("accepted", "GET", "investigate", count=3, seconds=1e6)])
    for _ in range(3):
        await room.messages.read_head()
    slices = (await coverage(room)).open
    assert len(slices) <= 6
    assert all(one.end <= other.start for one, other in pairwise(slices))
    await room.read(60)
    assert await room.targets() == [mail.id]


@pytest.mark.slow
async def test_a_sweep_steps_over_a_stretch_that_is_too_slow_and_leaves_it_as_a_gap() -> None:
    room = Room()
    await room.read()
    room.clock.advance(7200)
    await room.read()
    late = room.world.add_message(scanned=room.clock.now() - 6000)
    room.world.faults.script([Fault("accepted", "GET", "investigate", count=8, seconds=1e6)])
    slow = []
    for _ in range(60):
        while not await room.messages.read_behind():
            slow += [one.why for one in (await coverage(room)).open if one.kind == "gap"]
        room.clock.advance(60)
    assert slow
    assert await room.targets() == [late.id]
    assert [one.kind for one in (await coverage(room)).open] == ["sweep"]


async def test_a_cursor_that_is_not_found_begins_its_slice_again() -> None:
    room = Room()
    await room.messages.read_head()
    taken = choose_gap("messages", await coverage(room), room.clock.now(), 3600.0)
    assert taken is not None
    lost = replace(taken, cursor="gone")
    page = Page(account=ACCOUNT, now=room.clock.now(), source="messages", slice=lost)
    await room.ledger.enter(page)
    await room.read()
    assert await room.messages.find_gaps() == ()


async def test_what_somebody_else_has_read_is_judged_too() -> None:
    room = Room()
    mail = room.world.add_message(scanned=room.clock.now() - 5 * 86_400.0)
    await room.read()
    raw = await room.client.investigate.get(mail.id)
    await room.messages.enter_readings([read_message(raw, room.clock.now())])
    assert await room.targets() == [mail.id]


@pytest.mark.slow
async def test_a_worker_that_starts_again_and_again_does_not_miss_late_mail() -> None:
    room = Room()
    late = room.world.add_message(scanned=room.clock.now(), indexed=room.clock.now() + 300)
    for _ in range(15):
        room.restart()
        await room.read(30)
    assert await room.targets() == [late.id]
