"""Bulk jobs: the checks before one is started, and how its progress is read."""

import asyncio
import re
from typing import Any

import msgspec
import pytest

from tests.api.desk import EPOCH, Inside, Line, answer, client, loop_time, quickly
from tests.cells import each
from worker.api.bulk import BulkSearch
from worker.errors import NotFound, Rejected, ServerFault, Unsent
from worker.language.models import Disposition
from worker.sandbox import ACCOUNT, SandboxOptions, World

START, END = EPOCH - 3600, EPOCH


def world(**options: Any) -> World:  # noqa: ANN401 (what SandboxOptions takes)
    return World(ACCOUNT, now=lambda: EPOCH + loop_time(), options=SandboxOptions(**options))


def search(**conditions: Any) -> BulkSearch:  # noqa: ANN401 (what BulkSearch takes)
    return BulkSearch(start=START, end=END, **conditions)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no condition": ({"search": search()}, "one more condition"),
    "an empty one": ({"search": search(sender=" ", subject="")}, "one more condition"),
    "none that narrows": ({"search": search(detections_only=True, action_log=True)}, "one more condition"),
    "no time": ({"search": BulkSearch(start=END, end=END, sender="a@x.example")}, "needs an end after its start"),
    "backwards": ({"search": BulkSearch(start=END, end=START, sender="a@x.example")}, "needs an end after its start"),
    "nothing expected": ({"expected": 0}, "the most messages that it may touch, at least 1, not 0"),
    "a move to nowhere": ({"destination": None}, "a destination for MOVE"),
    "a release to somewhere": ({"action": "RELEASE"}, "and none for RELEASE"),
}


@each(("change", "told"), BAD.values())
def test_a_job_that_says_too_little_is_not_even_sent(change: dict[str, Any], told: str) -> None:
    asked: dict[str, Any] = {"action": "MOVE", "search": search(sender="a@x.example"), "expected": 5}
    asked["destination"] = "JunkEmail"
    with pytest.raises(ValueError, match=told):
        quickly(lambda: client(Line()).investigate.bulk.create(**(asked | change)))


def test_a_job_is_counted_first_and_then_sent_as_it_was_asked_for() -> None:
    async def day() -> None:
        line = Line(answer([{"id": "a"}], info={"next": ""}), answer({"job_id": "j", "comment": None}, 201))
        where = search(sender="a@x.example", detections_only=False)
        job = await client(line).investigate.bulk.create(
            "MOVE", where, expected=1, destination="JunkEmail", comment="why"
        )
        assert (job.job_id, job.comment, job.search_params) == ("j", "", None)
        counting, sending = line.asked
        assert dict(counting.query)["sender"] == "a@x.example"
        assert dict(counting.query)["detections_only"] == "false"
        times = {"start": "2026-09-21T13:13:20.000Z", "end": "2026-09-21T14:13:20.000Z"}
        assert msgspec.json.decode(sending.body or b"") == {
            "action": "MOVE",
            "search_params": {"sender": "a@x.example", "detections_only": False, **times},
            "destination": "JunkEmail",
            "comment": "why",
        }

    quickly(day)


def test_a_release_names_neither_a_destination_nor_a_comment() -> None:
    async def day() -> bytes | None:
        line = Line(answer([], info={"next": ""}), answer({"job_id": "j"}, 201))
        await client(line).investigate.bulk.create("RELEASE", search(subject="s"), expected=1)
        return line.asked[1].body

    assert b'"destination"' not in (quickly(day) or b"")


def test_more_than_was_expected_is_refused_and_nothing_is_sent() -> None:
    async def day() -> None:
        inside = Inside(world())
        for _ in range(3):
            inside.world.add_message(sender="a@x.example", scanned=EPOCH - 60)
        inside.world.add_message(sender="b@y.example", scanned=EPOCH - 60)
        api = client(inside).investigate.bulk
        with pytest.raises(Unsent, match="would touch at least 3 messages, but at most 2 were expected"):
            await api.create("MOVE", search(sender="x.example"), expected=2, destination="JunkEmail")
        assert (await api.list()).entries == ()
        await api.create("MOVE", search(sender="x.example"), expected=3, destination="JunkEmail")
        assert len((await api.list()).entries) == 1

    quickly(day)


def counted(where: BulkSearch, *mails: dict[str, object]) -> int:
    """Return how many of these messages the client counts as touched by a job."""

    async def day() -> str:
        line = Line(answer(list(mails), info={"next": ""}))
        with pytest.raises((Unsent, IndexError)) as refused:
            await client(line).investigate.bulk.create("RELEASE", where, expected=1)
        return str(refused.value)

    told = quickly(day)
    many = re.search(r"would touch at least (\d+) messages", told)
    return int(many[1]) if many else 0


def mail(id: str, **fields: object) -> dict[str, object]:  # noqa: A002 (the API's word)
    return {"id": id, **fields}


def test_what_is_found_twice_because_the_search_began_again_counts_once() -> None:
    async def day() -> None:
        found = [mail(str(number)) for number in range(3)]
        refused = answer("the cursor is not valid", 400)
        line = Line(
            answer(found, info={"next": "c"}), refused, answer(found, info={"next": ""}), answer({"job_id": "j"}, 201)
        )
        await client(line).investigate.bulk.create("RELEASE", search(subject="s"), expected=3)

    quickly(day)


def test_an_exact_subject_which_a_search_does_not_know_is_counted_message_by_message() -> None:
    where = search(exact_subject="Pay")
    assert [name for name, _ in where.as_search().to_query()] == []
    assert counted(where, mail("a", subject="Pay"), mail("b", subject="Pay"), mail("c", subject="Pay me")) == 2


@pytest.mark.parametrize(
    ("disposition", "asked", "found"),
    [("MALICIOUS-BEC", [], 2), ("MALICIOUS", [("final_disposition", "MALICIOUS")], 4)],
    ids=["one that a search cannot ask for", "one that may mean more than it says"],
)
def test_a_disposition_is_counted_so_that_never_too_few_are(
    disposition: Disposition, asked: list[tuple[str, str]], found: int
) -> None:
    where = search(final_disposition=disposition)
    assert list(where.as_search().to_query()) == asked
    kinds = ["MALICIOUS", "MALICIOUS-BEC", "MALICIOUS-BEC", "MALICIOUS"]
    assert counted(where, *(mail(str(n), final_disposition=kind) for n, kind in enumerate(kinds))) == found


def test_a_message_that_cannot_be_read_counts_as_touched() -> None:
    assert counted(search(exact_subject="Pay"), mail("a", subject="Pay"), {"id": []}) == 2


def test_a_job_is_followed_to_its_end_and_forgotten() -> None:
    async def day() -> None:
        inside = Inside(world())
        mails = [inside.world.add_message(sender="a@x.example", scanned=EPOCH - 60) for _ in range(3)]
        api = client(inside).investigate.bulk
        job = await api.create("MOVE", search(sender="x.example"), expected=3, destination="JunkEmail")
        assert (job.status, (job.search_params or {})["sender"]) == ("PENDING", "x.example")
        with pytest.raises(Rejected) as running:
            await api.delete(job.job_id)
        assert running.value.status == 409
        await asyncio.sleep(60)
        done = await api.get(job.job_id)
        assert (done.status, done.messages_successful, done.total_messages_discovered) == ("COMPLETED", 3, 3)
        assert {one.now.folder for one in mails} == {"JunkEmail"}
        with pytest.raises(Rejected):
            await api.cancel(job.job_id)
        await api.delete(job.job_id)
        with pytest.raises(NotFound):
            await api.get(job.job_id)

    quickly(day)


def test_a_job_that_is_cancelled_does_nothing_more() -> None:
    async def day() -> None:
        inside = Inside(world())
        mail = inside.world.add_message(sender="a@x.example", scanned=EPOCH - 60)
        api = client(inside).investigate.bulk
        job = await api.create("MOVE", search(sender="x.example"), expected=1, destination="JunkEmail")
        assert (await api.cancel(job.job_id)).status == "CANCELLED"
        await asyncio.sleep(60)
        assert mail.now.folder == "Inbox"

    quickly(day)


def test_jobs_and_their_messages_are_read_by_cursors() -> None:
    async def day() -> None:
        inside = Inside(world())
        for _ in range(5):
            inside.world.add_message(sender="a@x.example", scanned=EPOCH - 60)
        api = client(inside).investigate.bulk
        made = [
            await api.create("MOVE", search(sender="x.example"), expected=5, destination="JunkEmail") for _ in range(3)
        ]
        await asyncio.sleep(60)
        first = await api.list(per_page=2, action_type="MOVE", status="COMPLETED")
        rest = await api.list(per_page=2, action_type="MOVE", status="COMPLETED", cursor=first.next)
        assert {job.job_id for page in (first, rest) for job in page.entries} == {job.job_id for job in made}
        assert (rest.complete, first.broken) == (True, 0)
        rows = [row async for page in api.walk_messages(made[0].job_id, per_page=2) for row in page.entries]
        assert len({row.message_id for row in rows}) == 5
        assert {row.message.id if row.message else "" for row in rows} == {row.message_id for row in rows}
        assert [page.entries async for page in api.walk_messages(made[0].job_id, status="FAILED")] == [()]
        assert [len(page.entries) async for page in api.walk(status="COMPLETED")] == [3]

    quickly(day)


def test_a_job_that_cannot_be_read_is_counted_and_costs_only_itself() -> None:
    async def day() -> tuple[int, int]:
        page = await client(Line(answer([{"job_id": "a", "search_params": {"new": [1]}}, {}]))).investigate.bulk.list()
        return len(page.entries), page.broken

    assert quickly(day) == (1, 1)


@pytest.mark.parametrize("walked", ["jobs", "messages"])
def test_a_listing_whose_next_page_is_the_one_just_read_does_not_go_on_for_ever(walked: str) -> None:
    async def day() -> None:
        bulk = client(Line(*[answer([], info={"next": "c"}) for _ in range(20)])).investigate.bulk
        walk = bulk.walk() if walked == "jobs" else bulk.walk_messages("j")
        with pytest.raises(ServerFault, match=r"^GET /investigate/bulk\S*: the API named the page just read"):
            assert [page.next async for page in walk] == []

    quickly(day)
