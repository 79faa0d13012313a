"""Records that could not be read are judged as soon as they can be: by a mended worker, or from a mended API."""

from collections.abc import Sequence
from datetime import datetime
from math import inf
from urllib.parse import quote

import msgspec
import pytest
from msgspec.structs import replace

from tests.desk import RULE
from tests.reading import DAY, Room, malicious_is_moved
from tests.support import Meddle, TestClock, garbling, refusing, untouched
from worker.api import Budget, Request, Response
from worker.intake.unreadable import REST, UnreadableRecords
from worker.language.models import Disposition
from worker.observations import read_scan_time
from worker.rulehost.evaluation import Event, Said
from worker.rulehost.host import BundleInfo
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
    (record,) = await room.ledger.list_unreadable(ACCOUNT, inf, 9)
    assert (record.id, record.source, record.tries) == (mail.id, "messages", 0)
    mended = record.raw.replace(b'"perhaps"', b"false")
    room.runner.transact(lambda conn: conn.exec_driver_sql("UPDATE broken SET raw = ?", (mended,)))
    await reread(room).step()
    assert (await room.targets(), await room.ledger.count_unreadable(ACCOUNT)) == ([mail.id], 0)


@pytest.mark.slow
async def test_records_that_fit_into_no_single_read_are_all_judged_by_a_worker_that_can_read_them() -> None:
    room = Room(malicious_is_moved)
    for number in range(1100):
        room.world.add_message(scanned=room.clock.now() - 10 - number)
    room.meddle = spoil_all
    await room.read()
    mended = "UPDATE broken SET raw = CAST(replace(CAST(raw AS TEXT), '\"perhaps\"', 'false') AS BLOB)"
    assert await room.ledger.count_unreadable(ACCOUNT) == 1100
    room.runner.transact(lambda conn: conn.exec_driver_sql(mended))
    await reread(room).step()
    assert await room.ledger.count_unreadable(ACCOUNT) == 0


@pytest.mark.slow
async def test_when_the_api_has_them_whole_again_many_records_are_read_without_a_rest() -> None:
    room = Room(malicious_is_moved)
    for number in range(2200):
        room.world.add_message(scanned=room.clock.now() - 10 - 1.5 * number)
    room.meddle = spoil_all
    await room.read()
    again = reread(room)
    await again.step()
    room.meddle = untouched
    room.clock.advance(301)
    left = [await room.ledger.count_unreadable(ACCOUNT)]
    for _ in range(3):
        room.clock.advance(await again.step())
        left.append(await room.ledger.count_unreadable(ACCOUNT))
    assert left == sorted(set(left), reverse=True)


@pytest.mark.slow
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


def rename_spam(_: Request, answer: Response) -> Response:
    """Let all spam have a verdict that nobody knows."""
    return replace(answer, body=answer.body.replace(b'"SPAM"', b'"spam"'))


@pytest.mark.parametrize(("named", "is_told"), [(("SPAM",), True), (None, False)])
async def test_verdicts_that_rules_cannot_name_are_told_while_mail_with_them_arrives(
    named: tuple[Disposition, ...] | None,
    is_told: bool,  # noqa: FBT001
) -> None:
    room = Room(malicious_is_moved)
    room.rules.bundle = BundleInfo(fingerprint="b", rules=(replace(RULE, dispositions=named),))
    room.meddle = rename_spam
    for _ in range(3):
        room.world.add_message(disposition="SPAM")
    await room.read(120)
    assert ("3 of 3 records" in room.messages.legibility.explain()) == is_told
    room.meddle = untouched
    room.world.add_message()
    await room.read(60)
    assert room.messages.legibility.explain() == ""


async def test_its_moment_stays_open_and_its_neighbours_are_read() -> None:
    room = Room(malicious_is_moved)
    lost, *others = room.world.arrive(3, "outbreak")
    room.meddle = garbling(b'"id":"%s"' % lost.id.encode(), b'"id":["%s"]' % lost.id.encode())
    await room.read()
    (record,) = await room.ledger.list_unreadable(ACCOUNT, inf, 9)
    assert record.start == record.end == read_scan_time(lost.id)
    assert await room.targets() == sorted(mail.id for mail in others)
    assert await room.messages.find_gaps() == ()


async def test_a_record_that_says_nothing_of_itself_is_a_gap_as_long_as_its_slice() -> None:
    room = Room(malicious_is_moved)
    room.world.add_message()
    room.meddle = putting_first(b"7")
    await room.messages.read_head()
    (record,) = await room.ledger.list_unreadable(ACCOUNT, inf, 9)
    ((start, end),) = (await room.ledger.coverage(ACCOUNT, "messages")).closed
    assert (record.id, record.start, record.end) == ("", start, end)


def putting_first(record: bytes) -> Meddle:
    """Put a record before the others on every page of a search."""
    meddle = garbling(b'"result":[{', b'"result":[' + record + b",{")
    return lambda request, answer: meddle(request, answer) if request.path.endswith("/investigate") else answer


@pytest.mark.slow
async def test_what_leaves_the_sweep_waits_for_a_person_and_its_gap_closes_as_not_judged() -> None:
    room = Room(malicious_is_moved)
    mail = room.world.add_message()
    room.meddle = SPOILT
    await room.read()
    again = reread(room)
    while not await room.entries():
        await again.step()
        room.clock.advance(600)
    assert room.clock.now() == pytest.approx(read_scan_time(mail.id) + 3 * DAY, abs=1200)
    (entry,) = await room.entries()
    assert (entry.state, entry.target, "is_quarantined" in entry.said) == ("waiting", mail.id, True)
    assert await room.ledger.count_unreadable(ACCOUNT) == 0
    (ended,) = [told for told in await records(room) if told["verb"] == "gap closed" and told.get("id")]
    assert (ended["outcome"], ended["id"]) == ("not judged", mail.id)


async def test_what_was_never_judged_can_be_decided_like_everything_that_waits() -> None:
    room = Room(malicious_is_moved)
    room.world.add_message()
    room.meddle = SPOILT
    await room.read()
    (record,) = await room.ledger.list_unreadable(ACCOUNT, inf, 9)
    await room.ledger.leave_unreadable(ACCOUNT, record, "Message", room.clock.now())
    (entry,) = await room.entries()
    await room.ledger.order(ACCOUNT, "approve", entry.item, "ada", "it is clean", room.clock.now())
    await room.ledger.take_orders(ACCOUNT, room.clock.now())
    (entry,) = await room.entries()
    assert (entry.state, entry.said) == ("moot", "a person has looked at it")


async def records(room: Room) -> list[dict[str, object]]:
    """Return every audit record."""
    return [msgspec.json.decode(line) for line in await room.ledger.records(ACCOUNT)]


async def test_other_bytes_of_the_same_message_end_with_it() -> None:
    room = Room(malicious_is_moved)
    room.world.add_message()
    for worse in (b'"perhaps"', b'"maybe"'):
        room.meddle = garbling(b'"is_quarantined":false', b'"is_quarantined":' + worse)
        await room.read()
    assert await room.ledger.count_unreadable(ACCOUNT) == 2
    room.meddle = untouched
    again = reread(room)
    await again.step()
    room.clock.advance(301)
    await again.step()
    assert await room.ledger.count_unreadable(ACCOUNT) == 0


async def test_what_no_rule_could_be_given_is_judged_when_one_can() -> None:
    problems = ["its from cannot be read"]

    def answer(event: Event) -> Said:
        return Said(key=event.key, unreadable=problems[0]) if problems else malicious_is_moved(event)

    room = Room(answer)
    mail = room.world.add_message()
    await room.read()
    assert (await room.targets(), await room.ledger.count_unreadable(ACCOUNT)) == ([], 1)
    problems.clear()
    await reread(room).step()
    assert (await room.targets(), await room.ledger.count_unreadable(ACCOUNT)) == ([mail.id], 0)


def spoiling(messages: Sequence[str]) -> Meddle:
    """Spoil the records of these messages wherever they are told."""

    def meddle(_: Request, answer: Response) -> Response:
        body = answer.body
        for message in messages:
            body = body.replace(b'{"id":"%s","' % message.encode(), b'{"id":"%s",' % message.encode())
        return Response(status=answer.status, headers=answer.headers, body=body)

    return meddle


@pytest.mark.slow
@pytest.mark.parametrize("apart", [0.0, 600.0])
async def test_a_hundred_records_that_nobody_can_read_cost_at_most_five_calls_an_hour(apart: float) -> None:
    room, lost = Room(malicious_is_moved), list[str]()
    room.meddle = spoiling(lost)
    await room.messages.read_head()
    again, spent = reread(room), list[tuple[float, int]]()

    async def wait(seconds: float) -> None:
        end = room.clock.now() + seconds
        while room.clock.now() < end:
            before = calls(room)
            pause = max(60.0, await again.step())
            spent.append((room.clock.now(), calls(room) - before))
            room.clock.advance(min(pause, max(1.0, end - room.clock.now())))

    for _ in range(100):
        lost.append(room.world.add_message(scanned=room.clock.now() - 5).id)
        room.world.add_message(scanned=room.clock.now() - 5)
        await room.messages.read_head()
        await wait(apart)
    assert (await room.ledger.count_unreadable(ACCOUNT), len(await room.targets())) == (100, 100)
    await wait(20 * 3600)
    busiest = max(sum(count for other, count in spent if at <= other < at + 3600) for at, _ in spent if _)
    assert 2 <= busiest <= 5


def calls(room: Room) -> int:
    """Count all requests that were made."""
    return sum(sum(one.values()) for one in room.world.requests.values())


async def test_a_record_without_an_id_is_read_again_by_its_moment() -> None:
    room = Room(malicious_is_moved)
    mail = room.world.add_message()
    room.meddle = garbling(b'"id":"%s"' % mail.id.encode(), b'"id":[]')
    await room.read()
    again = reread(room)
    await again.step()
    room.clock.advance(301)
    asked = watching(room, room.meddle)
    await again.step()
    assert await room.ledger.count_unreadable(ACCOUNT) == 1
    room.meddle = untouched
    room.clock.advance(1801)
    await again.step()
    assert (await room.targets(), await room.ledger.count_unreadable(ACCOUNT)) == ([mail.id], 0)
    ((start, end),) = asked
    assert (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() <= 2


def watching(room: Room, meddle: Meddle) -> list[tuple[str, str]]:
    """Note the interval of every search from now on."""
    asked: list[tuple[str, str]] = []

    def watch(request: Request, answer: Response) -> Response:
        query = dict(request.query)
        asked.append((query["start"], query["end"]))
        return meddle(request, answer)

    room.meddle = watch
    return asked


def spoil_flags(answer: Response, *messages: str) -> Response:
    """Spoil a field in the records of these messages, or in all."""
    parts = answer.body.split(b'{"id":')
    for number, part in enumerate(parts):
        if not messages or part.startswith(tuple(b'"%s"' % message.encode() for message in messages)):
            parts[number] = part.replace(b'"is_quarantined":false', b'"is_quarantined":"perhaps"')
    return Response(status=answer.status, headers=answer.headers, body=b'{"id":'.join(parts))


async def test_a_record_of_which_the_api_always_fails_keeps_no_other_waiting() -> None:
    room = Room(malicious_is_moved)
    lost = list[str]()
    room.meddle = lambda _, answer: spoil_flags(answer)
    for _ in range(2):
        lost.append(room.world.add_message().id)
        await room.read()
        room.clock.advance(14 * 3600)
    again = reread(room)
    await again.step()
    room.meddle = refusing(quote(lost[0], safe=""), 500)
    for _ in lost:
        await again.step()
        room.clock.advance(REST)
    assert (await room.targets(), await room.ledger.count_unreadable(ACCOUNT)) == ([lost[1]], 1)


async def test_reading_again_takes_at_most_a_hundredth_of_the_share() -> None:
    clock = TestClock()
    for quota, window, share in ((1200, 300.0, 0.8), (60, 60.0, 0.5)):
        pause = Budget(clock, quota, window, share).space_out(0.01)
        assert window / pause <= quota * share * 0.01


@pytest.mark.slow
async def test_records_beyond_the_first_page_of_their_search_are_read_by_their_ids() -> None:
    room = Room(malicious_is_moved)
    lost = [room.world.add_message(scanned=room.clock.now() - age) for age in (5, 60)]
    for number in range(1001):
        room.world.add_message(disposition="SPAM", scanned=room.clock.now() - 10 - number % 20)
    room.meddle = lambda _, answer: spoil_flags(answer, *(mail.id for mail in lost))
    await room.read()
    again = reread(room)
    await again.step()
    assert await room.ledger.count_unreadable(ACCOUNT) == 2
    room.meddle = untouched
    room.clock.advance(301)
    await again.step()
    assert await room.targets() == sorted(mail.id for mail in lost)
    assert room.world.requests["GET investigate/{id}"].total() == 1


def spoil_all(_: Request, answer: Response) -> Response:
    """Let no message be read."""
    return replace(answer, body=answer.body.replace(b'"is_quarantined":false', b'"is_quarantined":"perhaps"'))


async def test_what_a_person_has_closed_keeps_nobody_from_being_ready_though_it_is_read_again() -> None:
    room = Room(malicious_is_moved)
    for _ in range(3):
        room.world.add_message()
    room.meddle = spoil_all
    await room.messages.read_head()
    assert "3 of 3 records of the last hour" in room.messages.legibility.explain()
    for record in await room.ledger.list_unreadable(ACCOUNT, inf, 9):
        await room.ledger.order(ACCOUNT, "close gap", record.gap, "ada", "looked at it", room.clock.now())
    await room.ledger.take_orders(ACCOUNT, room.clock.now())
    room.restart()
    await room.read(120)
    assert (room.messages.legibility.explain(), room.messages.legibility.unreadable) == ("", 0)


async def test_a_message_of_which_one_page_tells_twice_is_judged_as_it_is_told_alone() -> None:
    room = Room(malicious_is_moved)
    again = reread(room)
    await again.step()
    mail = room.world.add_message()
    record = mail.encode(mail.now)
    other = record.replace(b'"is_quarantined":false', b'"is_quarantined":true')
    room.meddle = garbling(b"[" + record, b"[" + record + b"," + other)
    await room.read()
    assert (await room.targets(), await room.ledger.count_unreadable(ACCOUNT)) == ([], 1)
    room.clock.advance(301)
    await again.step()
    assert (await room.targets(), await room.ledger.count_unreadable(ACCOUNT)) == ([mail.id], 0)
