"""Walks that the API does not let end: what can be read is read, the rest is an open gap that says why."""

from collections.abc import Callable
from http import HTTPStatus
from itertools import cycle

import msgspec
import pytest

from tests.reading import Room
from tests.support import untouched
from worker.api import Request, Response
from worker.errors import Rejected, ServerFault, Temporary
from worker.intake.coverage import LONGEST
from worker.intake.paging import RESTARTS
from worker.intake.slices import FAULT_AGAIN, SLOW_AGAIN
from worker.ledger.values import Coverage, Page, Slice
from worker.rulehost.evaluation import Said
from worker.sandbox import ACCOUNT, Fault
from worker.sandbox.wire import refuse

REFUSED = refuse(400, 10001, "the cursor is not valid")
REFUSAL = Response(status=400, headers=REFUSED.headers, body=REFUSED.body)
PAGE = b'{"success": true, "errors": [], "messages": [], "result": [], "result_info": {"next": "b"}}'
FAULT = Response(status=502, headers={"content-type": "text/html"}, body=b"<html>")


def answering(room: Room, wrong: Callable[[Request], bool], answer: Response) -> None:
    """Let the API answer some requests like this."""
    room.meddle = lambda request, given: answer if wrong(request) else given


def cursor(request: Request) -> str:
    return dict(request.query).get("cursor", "")


def start(request: Request) -> str:
    return dict(request.query).get("start", "")


async def coverage(room: Room) -> Coverage:
    return await room.ledger.coverage(ACCOUNT, "messages")


def searches(room: Room) -> int:
    return sum(room.world.requests["GET investigate"].values())


@pytest.mark.slow
@pytest.mark.parametrize("answer", [REFUSAL, FAULT])
async def test_a_slice_that_cannot_be_read_past_its_first_page_is_an_open_gap_and_the_head_goes_on(
    answer: Response,
) -> None:
    room = Room()
    for number in range(1001):
        room.world.add_message(scanned=room.clock.now() - 5 - number % 50)
    answering(room, lambda request: bool(cursor(request)), answer)
    await room.messages.read_head()
    assert searches(room) <= 2 * 5 * (RESTARTS + 2)
    room.clock.advance(200)
    mail = room.world.add_message()
    await room.messages.read_head()
    assert mail.id in await room.targets()
    assert {one.why for one in (await coverage(room)).open} == {"the API stops partway through it"}
    room.meddle = untouched
    await room.read(SLOW_AGAIN + 400)
    assert len(await room.targets()) == 1002
    assert await room.messages.find_gaps() == ()


@pytest.mark.slow
async def test_one_cursor_that_is_answered_by_faults_for_ever_costs_only_a_new_beginning() -> None:
    room = Room()
    for number in range(1001):
        room.world.add_message(scanned=room.clock.now() - 5 - number % 50)
    bad: list[str] = []

    def wrong(request: Request) -> bool:
        """Let the first cursor that is asked for be the one."""
        if cursor(request) and not bad:
            bad.append(cursor(request))
        return cursor(request) in bad

    answering(room, wrong, FAULT)
    await room.messages.read_head()
    assert len(await room.targets()) == 1001
    assert (await coverage(room)).open == ()


async def test_a_head_that_was_broken_off_long_ago_is_finished_behind_the_present() -> None:
    room = Room()
    old = room.world.add_message(scanned=room.clock.now() - 30)
    head = Slice(source="messages", kind="head", start=room.clock.now() - 90, end=room.clock.now(), cursor="lost")
    await room.ledger.enter(
        Page(account=ACCOUNT, now=room.clock.now(), source="messages", slice=head, since=head.start)
    )
    room.clock.advance(LONGEST + 1)
    new = room.world.add_message()
    await room.messages.read_head()
    assert await room.targets() == [new.id]
    assert [one.why for one in (await coverage(room)).open] == ["reading it was interrupted"]
    await room.read()
    assert await room.targets() == sorted([old.id, new.id])
    assert await room.messages.find_gaps() == ()


@pytest.mark.parametrize(("answer", "said"), [(FAULT, "502"), (REFUSAL, "400")])
async def test_an_hour_that_is_not_to_be_had_holds_up_neither_older_gaps_nor_the_sweep(
    answer: Response, said: str
) -> None:
    room = Room()
    await room.read()
    room.clock.advance(6 * 3600)
    older = room.world.add_message(scanned=room.clock.now() - 5 * 3600)
    room.restart()
    await room.messages.read_head()
    hour: list[str] = []

    def wrong(request: Request) -> bool:
        """Let the first gap that is asked for be the one."""
        if request.path.endswith("/investigate") and not hour:
            hour.append(start(request))
        return start(request) in hour

    await room.messages.read_behind()  # the overlap
    answering(room, wrong, answer)
    with pytest.raises((ServerFault, Rejected)):
        await room.messages.read_behind()
    while not await room.messages.read_behind():
        pass
    assert await room.targets() == [older.id]
    (left,) = [one for one in (await coverage(room)).open if one.kind == "gap"]
    assert (left.next_at - room.clock.now() <= FAULT_AGAIN, said in left.why) == (True, True)
    room.meddle = untouched
    await room.read(120)
    assert await room.messages.find_gaps() == ()


async def test_a_stretch_of_the_sweep_that_gives_only_faults_is_stepped_over() -> None:
    room = Room()
    await room.read()
    room.clock.advance(7200)
    await room.read()
    room.clock.advance(61)
    await room.messages.read_behind()  # the overlap
    (before,) = (await coverage(room)).open
    room.world.faults.script([Fault("html", "GET", "investigate", count=5)])
    with pytest.raises(ServerFault):
        await room.messages.read_behind()
    (after,) = (await coverage(room)).open
    assert (before.kind, after.kind, after.end) == ("sweep", "sweep", before.start)


@pytest.mark.slow
async def test_a_list_that_cannot_be_read_past_its_first_page_is_no_gap_of_many_parts() -> None:
    room = Room()
    for number in range(1001):
        room.world.add_entry("block_senders", pattern=f"p{number}@c0rp.example", pattern_type="EMAIL")
    answering(room, lambda request: dict(request.query).get("page", "1") != "1", FAULT)
    for _ in range(3):
        with pytest.raises(Temporary):
            await room.blocked.read_head()
    assert len((await room.ledger.coverage(ACCOUNT, "blocked senders")).open) <= 1


async def test_cursors_that_lead_back_do_not_keep_the_head_for_ever() -> None:
    room = Room()
    for number in range(10):
        room.world.add_message(scanned=room.clock.now() - 5 - number)
    turns = cycle(["b", "c"])

    def led_back(given: Response) -> Response:
        told = msgspec.json.decode(given.body if given.status == HTTPStatus.OK else PAGE)
        told["result_info"]["next"] = next(turns)
        return Response(status=200, headers=given.headers, body=msgspec.json.encode(told))

    room.meddle = lambda request, given: led_back(given) if request.path.endswith("/investigate") else given
    await room.messages.read_head()
    assert searches(room) <= 4
    assert {one.why for one in (await coverage(room)).open} == {"the API stops partway through it"}


async def test_a_list_without_pages_that_fills_one_exactly_is_read_once_and_ends() -> None:
    room = Room(lambda event: Said(key=event.key))
    made = [{"id": number, "created_at": "2026-09-21T13:50:00Z"} for number in range(1000)]
    body = msgspec.json.encode({"success": True, "errors": [], "messages": [], "result": made})
    whole = Response(status=200, headers={"content-type": "application/json"}, body=body)
    answering(room, lambda request: request.path.endswith("/phishguard/reports"), whole)
    await room.reports.read_head()
    assert room.world.requests["GET phishguard/reports"].total() == 2
    assert (room.reports.totals["read"], len(room.rules.heard)) == (1000, 1000)
    assert len((await room.ledger.coverage(ACCOUNT, "reports")).closed) == 1
