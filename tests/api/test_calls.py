"""Calls: reads are retried, writes never; every request takes a turn and is counted."""

import asyncio
import threading
import time
import traceback
from email.utils import formatdate

import pytest
from msgspec import Raw

from tests.api.desk import EPOCH, ROOT, Line, answer, client, http, loop_time, page, quickly, serving
from tests.cells import each
from worker.api import ApiClock, Budget, Client, Credential, HttpTransport, Response, SlowSearch, Urgency
from worker.api.calls import AT_ONCE
from worker.api.envelope import CutShort, nothing, records
from worker.errors import LeaseLost, Paced, Rejected, ServerFault, TooLong, Unreachable, Unsure, WorkerError
from worker.sandbox import ACCOUNT, Fault, MailFlow, World, serve

HEAD = Urgency.HEAD
DOWN = Unreachable("no route")
LOST = Unsure("cut off")
HTML = page(502, "<html>Bad gateway")
PACED = page(429, "slow down")


async def read(line: Line) -> list[Raw]:
    return (await client(line).call("GET", "/investigate", records, urgency=HEAD)).result


async def write(line: Line) -> None:
    await client(line).call("POST", "/investigate/move", nothing, urgency=Urgency.ACT, body={}, writes=True)


def test_a_read_is_tried_again_until_it_is_answered() -> None:
    line = Line(DOWN, LOST, HTML, page(200, '{"success":tr', "application/json"), answer([{}]))
    assert len(quickly(lambda: read(line))) == 1
    assert line.times == [0, 0.5, 2.5, 10.5, 30.5]


@pytest.mark.parametrize("error", [DOWN, LOST])
def test_a_read_that_fails_five_times_says_what_happened_last(error: WorkerError) -> None:
    line = Line(*[error] * 5)
    kind, asked = (Unreachable, "") if error is DOWN else (ServerFault, "GET /investigate: ")
    with pytest.raises(kind, match=rf"^{asked}{error}$"):
        quickly(lambda: read(line))


def test_a_list_that_is_longer_than_is_read_counts_as_cut_short_and_a_write_as_unsure() -> None:
    line = Line(*[TooLong("longer than 16 MB")] * 2)
    with pytest.raises(CutShort, match="GET /investigate: longer than 16 MB"):
        quickly(lambda: read(line))
    with pytest.raises(Unsure):
        quickly(lambda: write(line))
    assert line.answers == []


@pytest.mark.parametrize(("size", "waits"), [(AT_ONCE // 2, False), (2 * AT_ONCE, True)])
async def test_a_large_answer_is_interpreted_beside_the_loop(size: int, waits: bool) -> None:  # noqa: FBT001
    line = Line(answer(["x" * size]))
    here = await client(line).call("GET", "/investigate", lambda _: threading.get_ident(), urgency=HEAD)
    assert (here.result != threading.get_ident()) == waits


def test_pauses_are_shaken_by_what_was_handed_in_and_as_long_as_asked() -> None:
    async def day() -> list[float]:
        line = Line(DOWN, answer("busy", 503, retry_after="9"), answer([]))
        clock = ApiClock(monotonic=loop_time, wall=loop_time, sleep=asyncio.sleep)
        shaken = Client(line, Budget(clock), clock, "a", jitter=lambda: 0.0)
        await shaken.call("GET", "/investigate", records, urgency=HEAD)
        return line.times

    assert quickly(day) == [0, 0.25, 9.25]


def test_a_fault_that_asks_for_more_than_a_minute_is_the_callers_to_wait_for() -> None:
    line = Line(answer("busy", 503, retry_after="60"), answer("busy", 503, retry_after="99999999"))
    with pytest.raises(ServerFault) as fault:
        quickly(lambda: read(line))
    assert (line.times, fault.value.after) == ([0, 60], 900)


def test_a_fault_that_names_a_time_is_waited_for_by_the_clock_of_the_call() -> None:
    line = Line(answer("busy", 503, retry_after=formatdate(EPOCH + 100 + 30, usegmt=True)), answer([]))
    quickly(lambda: read(line))
    assert line.times == [0, 30]


def test_a_write_whose_turn_is_not_soon_is_handed_back_unsent() -> None:
    async def day() -> tuple[float, float]:
        line = Line(answer([]), answer([]))
        api = client(line, quota=3, share=1.0)
        for _ in range(2):
            await api.call("GET", "/investigate", records, urgency=HEAD)
        with pytest.raises(Paced) as paced:
            await api.call("POST", "/investigate/move", nothing, urgency=Urgency.ACT, body={}, writes=True)
        assert len(line.asked) == 2
        return loop_time() - 100, paced.value.after

    assert quickly(day) == (0, 301)


def test_a_429_is_waited_out_and_does_not_count_as_an_attempt() -> None:
    slow = Response(status=429, headers={"retry-after": "300"}, body=b"")
    line = Line(*[slow] * 7, answer([]))
    quickly(lambda: read(line))
    assert line.times == [300.0 * number for number in range(8)]


@pytest.mark.parametrize(("given", "kind"), [(DOWN, Unreachable), (LOST, Unsure), (HTML, Unsure), (PACED, Paced)])
def test_a_write_is_sent_once_whatever_happens(given: Response | WorkerError, kind: type[WorkerError]) -> None:
    line = Line(given, answer([]))
    with pytest.raises(kind, match=r"^no route$" if given is DOWN else r"^POST /investigate/move: "):
        quickly(lambda: write(line))
    assert len(line.asked) == 1


def test_an_error_of_a_lease_passes_untouched() -> None:
    line = Line(LeaseLost("somebody else"))
    with pytest.raises(LeaseLost, match=r"^somebody else$"):
        quickly(lambda: read(line))


def test_what_cannot_be_retried_is_not() -> None:
    line = Line(answer("bad cursor", 400))
    with pytest.raises(Rejected):
        quickly(lambda: read(line))
    assert len(line.asked) == 1


def test_every_attempt_takes_a_turn() -> None:
    async def day() -> list[float]:
        line = Line(DOWN, HTML, answer([]), answer([]))
        asking = client(line, quota=5)
        for _ in range(2):
            await asking.call("GET", "/investigate", records, urgency=HEAD)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asking.call("GET", "/investigate", records, urgency=HEAD), 290)
        assert asking.calls == {("GET /investigate", 0): 1, ("GET /investigate", 502): 1, ("GET /investigate", 200): 2}
        return line.times

    assert quickly(day) == [0, 0.5, 2.5, 2.5]


def test_each_call_is_told_with_its_template_and_how_long_it_took() -> None:
    told: list[tuple[str, int, float]] = []

    class Late(Line):
        async def send(self, request: object) -> Response:
            await asyncio.sleep(2)
            return await super().send(request)  # type: ignore[arg-type]

    async def day() -> None:
        line = Late(DOWN, answer([]))
        clock = ApiClock(monotonic=loop_time, wall=loop_time, sleep=asyncio.sleep)
        watched = Client(line, Budget(clock), clock, "a", on_call=lambda *call: told.append(call))
        await watched.call("GET", "/investigate/{id}", records, where={"id": "a/b"}, urgency=HEAD)

    quickly(day)
    assert told == [("GET /investigate/{id}", 0, 2.0), ("GET /investigate/{id}", 200, 2.0)]


def test_ids_cannot_leave_their_place_in_the_path() -> None:
    async def day() -> str:
        line = Line(answer([]))
        where = {"id": "../../a/b?c#d:é{x}%2f"}
        await client(line).call("GET", "/investigate/{id}/move", records, where=where, urgency=HEAD)
        return line.asked[0].path

    assert quickly(day) == ROOT + "/investigate/..%2F..%2Fa%2Fb%3Fc%23d%3A%C3%A9%7Bx%7D%252f/move"


def test_the_clock_believes_the_api_but_no_page_on_the_way() -> None:
    async def day() -> list[float]:
        date = "Tue, 22 Sep 2026 14:13:20 GMT"
        line = Line(Response(status=502, headers={"date": date}, body=b""), answer([], date=date))
        clock = ApiClock(monotonic=loop_time, wall=lambda: EPOCH, sleep=asyncio.sleep)
        asking = Client(line, Budget(clock), clock, "a")
        answered = await asking.call("GET", "/investigate", records, urgency=HEAD)
        return [answered.begun - EPOCH, answered.sent - 100, clock.now() - EPOCH]

    assert quickly(day) == [86400, 0.5, 86400]  # when it began is reckoned by what the answer told


def pending(location: str) -> Response:
    return answer([], 202, location=location)


async def followed(*answers: Response, url: str = "https://api.example/v4" + ROOT + "/investigate?a=b") -> Line:
    line = Line(*answers)
    asking = client(line)
    line.answers.insert(0, pending("overwritten"))
    first = await asking.call("GET", "/investigate", records, urgency=HEAD)
    named = type(first)(first.status, [], None, answers[0].headers, first.begun, first.sent, url)
    line.answers.pop(0)
    await asking.poll(named, records, urgency=HEAD)
    return line


def test_a_slow_search_is_polled_ever_more_seldom_until_it_is_there() -> None:
    here = pending(ROOT + "/investigate/results/7")
    line = quickly(lambda: followed(*[here] * 4, answer([{}]), url=""))
    assert line.times == [0, 1, 3, 7, 15]
    assert {asked.path for asked in line.asked[1:]} == {here.headers["location"]}


def test_after_a_minute_it_is_too_slow() -> None:
    line = Line(*[pending(ROOT + "/investigate/results/7")] * 9)

    async def day() -> None:
        asking = client(line)
        first = await asking.call("GET", "/investigate", records, urgency=HEAD)
        await asking.poll(first, records, urgency=HEAD)

    with pytest.raises(SlowSearch, match="use a shorter interval"):
        quickly(day)
    assert line.times == [0, 1, 3, 7, 15, 31, 60]


@pytest.mark.parametrize(
    "location",
    [
        "https://api.example/v4" + ROOT + "/investigate/results/7?x=1&y=",
        "/v4" + ROOT + "/investigate/results/7?x=1&y=",
        "investigate/results/7?x=1&y=",
    ],
)
def test_a_location_is_absolute_or_relative(location: str) -> None:
    line = quickly(lambda: followed(pending(location), answer([])))
    assert (line.asked[1].path, line.asked[1].query) == (ROOT + "/investigate/results/7", (("x", "1"), ("y", "")))


@each(
    "location",
    [
        "https://evil.example/v4" + ROOT + "/investigate/results/7",
        "http://api.example/v4" + ROOT + "/investigate/results/7",
        "https://api.example:8443/v4" + ROOT + "/investigate/results/7",
        "//evil.example/v4" + ROOT + "/investigate/results/7",
        "/other" + ROOT + "/investigate/results/7",
        "/v4/accounts/other/email-security/investigate/results/7",
        "/v4" + ROOT + "-not/investigate/results/7",
        "/v4" + ROOT + "/%2e%2e/%2e%2e/other/email-security/x",
        "https://[::1",
    ],
)
def test_a_location_outside_of_this_account_is_a_fault(location: str) -> None:
    with pytest.raises(ServerFault, match="outside of this account"):
        quickly(lambda: followed(pending(location), answer([])))


def test_a_202_that_names_no_address_is_asked_about_where_the_last_one_did() -> None:
    line = quickly(lambda: followed(pending("/v4" + ROOT + "/investigate/results/7"), answer([], 202), answer([{}])))
    assert [asked.path for asked in line.asked[1:]] == [ROOT + "/investigate/results/7"] * 2


@pytest.mark.parametrize("first", [pending(""), answer([], 202)])
def test_a_first_202_that_names_no_address_is_a_fault(first: Response) -> None:
    with pytest.raises(ServerFault, match=r"answered 202 with no Location$"):
        quickly(lambda: followed(first, answer([])))


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_search_that_the_api_forgot_is_a_fault_and_not_a_refusal(status: int) -> None:
    here = pending("/v4" + ROOT + "/investigate/results/7")
    with pytest.raises(ServerFault, match="lost a search that it had accepted"):
        quickly(lambda: followed(here, answer("no such search", status)))


def transport(url: str) -> HttpTransport:
    return HttpTransport(url, Credential.from_text("s3cret"))


@pytest.mark.slow
async def test_on_a_real_wire_a_read_survives_and_a_lost_write_is_unsure() -> None:
    good = answer([{"id": "a"}])
    sent = http("200 OK", good.body, "Content-Type: application/json")
    cut = http("200 OK", good.body[:20], "Content-Type: application/json", "Connection: close", length=len(good.body))
    clock = ApiClock(sleep=lambda _: asyncio.sleep(0))
    async with serving(b"", cut, sent, sent, b"") as server, transport(server.url) as line:
        asking = Client(line, Budget(clock), clock, "a")
        for _ in range(2):
            assert len((await asking.call("GET", "/investigate", records, urgency=HEAD)).result) == 1
        with pytest.raises(Unsure, match=r"^POST /x: the API was asked, but no answer came") as lost:
            await asking.call("POST", "/x", nothing, urgency=Urgency.ACT, body=[], writes=True)
    assert len(server.heard) == 5
    shown = traceback.TracebackException.from_exception(lost.value, capture_locals=True).format()
    assert "s3cret" not in "".join(shown)


@pytest.mark.slow
async def test_on_a_real_wire_a_sandbox_is_searched_through_both_kinds_of_location() -> None:
    world = World(ACCOUNT, now=time.time, mail_flow=MailFlow(messages=30))
    clock = ApiClock(sleep=lambda _: asyncio.sleep(0))
    async with serve(world) as url, transport(url + "/client/v4") as line:
        asking = Client(line, Budget(clock), clock, ACCOUNT)
        now = clock.now()
        for _ in range(2):
            world.faults.script([Fault("accepted", "GET", "investigate", seconds=0.0)])
            found = await asking.investigate.search(start=now - 4000, end=now, detections_only=False, urgency=HEAD)
            assert len(found.records) == 30
    assert asking.calls["GET /investigate", 202] == 2
    assert abs(clock.now() - time.time()) < 2


@pytest.mark.slow
async def test_pages_that_are_too_long_are_asked_for_in_smaller_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.api.transport.MOST_BYTES", 1 << 20)
    world = World(ACCOUNT, now=time.time)
    names = [f"{'x' * 40}{number}@corp.example" for number in range(300)]
    sent = [world.add_message(client_recipients=names).id for _ in range(120)]
    clock = ApiClock(sleep=lambda _: asyncio.sleep(0))
    async with serve(world) as url, transport(url + "/client/v4") as line:
        asking = Client(line, Budget(clock), clock, ACCOUNT)
        pages = asking.investigate.walk(start=time.time() - 600, end=time.time() + 1, urgency=HEAD)
        found = [message.id async for page in pages for message in page.read().entries]
    assert sorted(found) == sorted(sent)
