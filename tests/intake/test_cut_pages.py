"""A page that is cut short because of one mail: what is around it is read, its second stays open, at little cost."""

import re
from collections.abc import Callable
from math import inf

import pytest
from msgspec.structs import replace

from tests.reading import Room, malicious_is_moved
from tests.support import Meddle, untouched
from worker.api import Request, Response
from worker.errors import TooLong
from worker.intake.unreadable import UnreadableRecords
from worker.observations import read_scan_time
from worker.sandbox import ACCOUNT

pytestmark = pytest.mark.slow


def cutting(*messages: str) -> Meddle:
    """Let every answer to a search end where it tells of one of these messages."""

    def meddle(request: Request, answer: Response) -> Response:
        places = [answer.body.find(message.encode()) for message in messages]
        found = [place for place in places if place > 0 and request.path.endswith("/investigate")]
        body = answer.body[: min(found) + 9] if found else answer.body
        return Response(status=answer.status, headers=answer.headers, body=body)

    return meddle


def overflowing(*messages: str) -> Meddle:
    """Let every answer to a search that tells of one of these messages be longer than is read."""

    def meddle(request: Request, answer: Response) -> Response:
        if request.path.endswith("/investigate") and any(one.encode() in answer.body for one in messages):
            raise TooLong("the answer of the API is longer than 16 MB")
        return answer

    return meddle


def searches(room: Room) -> int:
    """Count the searches."""
    return sum(room.world.requests.get("GET investigate", {}).values())


def scatter(room: Room) -> tuple[str, list[str]]:
    """Let mail arrive every 20 s for ten minutes; return one in the middle, and the others."""
    mails = [room.world.add_message(scanned=room.clock.now() - 20 * number - 5).id for number in range(30)]
    return mails.pop(14), sorted(mails)


async def read_on(room: Room, seconds: float) -> int:
    """Read the head and what lies behind it for a while; return how many searches that took."""
    before, end = searches(room), room.clock.now() + seconds
    while room.clock.now() < end:
        await room.read()
        room.clock.advance(30)
    return searches(room) - before


@pytest.mark.parametrize("losing", [cutting, overflowing])
async def test_only_the_second_of_the_mail_that_cuts_its_page_short_stays_open(losing: Callable[..., Meddle]) -> None:
    room = Room(malicious_is_moved)
    lost, others = scatter(room)
    room.meddle = losing(lost)
    await read_on(room, 60)
    assert await room.targets() == others
    assert await room.messages.find_gaps() == ()
    (record,) = await room.ledger.list_unreadable(ACCOUNT, inf, 9)
    assert record.start <= read_scan_time(lost) <= record.end <= record.start + 2
    assert (record.raw, record.id) == (b"", "")


async def test_what_was_found_is_not_looked_for_again() -> None:
    quiet, room = Room(malicious_is_moved), Room(malicious_is_moved)
    scatter(quiet)
    room.meddle = cutting(scatter(room)[0])
    for one in (quiet, room):
        await read_on(one, 900)
    assert await room.ledger.count_unreadable(ACCOUNT) == 1
    usual, now = [await read_on(one, 7200) for one in (quiet, room)]
    assert usual > 100
    assert now <= 1.25 * usual + 10  # the overlap is read in two parts while it holds the moment
    assert await room.ledger.count_unreadable(ACCOUNT) == 1


async def test_a_moment_is_read_when_the_api_answers_for_it_again() -> None:
    room = Room(malicious_is_moved)
    lost, others = scatter(room)
    room.meddle = cutting(lost)
    await read_on(room, 60)
    intakes = (room.messages, room.reports, room.submissions, room.blocked, room.allowed)
    again = UnreadableRecords(room.services(room.facts.policies), intakes)
    await again.step()
    room.clock.advance(301)
    before = searches(room)
    await again.step()
    assert (searches(room) - before, await room.ledger.count_unreadable(ACCOUNT)) == (2, 1)
    room.meddle = untouched
    room.clock.advance(1801)
    await again.step()
    assert await room.targets() == sorted([lost, *others])
    assert await room.ledger.count_unreadable(ACCOUNT) == 0


async def test_what_cuts_short_the_overlap_or_the_sweep_is_found_there() -> None:
    for age in (300, 5000):
        room = Room(malicious_is_moved)
        await read_on(room, 7200)
        late = room.world.add_message(scanned=room.clock.now() - age).id
        other = room.world.add_message(scanned=room.clock.now() - age + 20).id
        room.meddle = cutting(late)
        await read_on(room, 1200)
        assert await room.targets() == [other]
        (record,) = await room.ledger.list_unreadable(ACCOUNT, inf, 9)
        assert record.start <= read_scan_time(late) <= record.end
        assert await room.messages.find_gaps() == ()


async def test_a_moment_that_a_person_has_closed_is_not_found_again() -> None:
    room = Room(malicious_is_moved)
    room.meddle = cutting(scatter(room)[0])
    await read_on(room, 60)
    (record,) = await room.ledger.list_unreadable(ACCOUNT, inf, 9)
    await room.ledger.order(ACCOUNT, "close gap", record.gap, "ada", "looked at it", room.clock.now())
    await room.ledger.take_orders(ACCOUNT, room.clock.now())
    await read_on(room, 7200)
    assert await room.ledger.count_unreadable(ACCOUNT) == 0


def losing_cursors(_: Request, answer: Response) -> Response:
    """Let no page name the next one."""
    return replace(answer, body=re.sub(rb'"next":"[^"]*"', b'"next":null', answer.body))


async def test_a_full_page_that_names_none_after_it_is_read_in_halves() -> None:
    room = Room(malicious_is_moved)
    mails = sorted(room.world.add_message(scanned=room.clock.now() - 5 - number % 600).id for number in range(1500))
    room.meddle = losing_cursors
    await read_on(room, 60)
    assert await room.targets() == mails
    assert await room.messages.find_gaps() == ()


async def test_a_moment_with_more_mail_than_a_page_stays_open_while_no_page_names_the_next() -> None:
    room = Room(malicious_is_moved)
    for _ in range(1001):
        room.world.add_message(scanned=room.clock.now() - 60)
    room.meddle = losing_cursors
    await read_on(room, 60)
    assert (await room.ledger.count_unreadable(ACCOUNT), len(await room.targets())) == (1, 1000)
