"""Searching, moving, releasing, reclassifying: in a sandbox, and with odd answers."""

from typing import TYPE_CHECKING, Literal

import msgspec
import pytest

from tests.api.desk import EPOCH, Inside, Line, answer, client, loop_time, page, quickly
from tests.cells import each
from worker.api import RecordPage, Response, Urgency
from worker.api.bodies import WhereMessage
from worker.errors import NotFound, Permanent, Rejected, ServerFault, Unsure
from worker.sandbox import ACCOUNT, Fault, MailFlow, SandboxOptions, World

if TYPE_CHECKING:
    from worker.sandbox.edge.faults import FaultKind

HEAD = Urgency.HEAD
named = msgspec.json.Decoder(dict[str, object]).decode


def world(*, messages: int = 0, options: SandboxOptions | None = None) -> World:
    return World(
        ACCOUNT,
        now=lambda: EPOCH + loop_time(),
        mail_flow=MailFlow(messages=messages),
        options=options or SandboxOptions(),
    )


async def everything(inside: Inside, *, per_page: int, detections_only: bool = False) -> list[str]:
    """Read all pages of the last two hours."""
    search, found = client(inside).investigate.search, list[str]()
    now = EPOCH + loop_time()
    read: RecordPage | None = None
    while read is None or not read.complete:
        read = await search(
            start=now - 7200,
            end=now,
            urgency=HEAD,
            cursor=read.next if read else None,
            per_page=per_page,
            detections_only=detections_only,
        )
        found += [str(named(record)["id"]) for record in read.records]
    return found


def test_a_search_finds_every_message_once_over_all_its_pages() -> None:
    async def day() -> None:
        inside = Inside(world(messages=50))
        found = await everything(inside, per_page=7)
        assert sorted(found) == sorted(inside.world.by_id)
        assert len(await everything(inside, per_page=1000, detections_only=True)) < len(found)

    quickly(day)


def test_no_fault_of_the_wire_makes_a_search_lose_anything() -> None:
    async def day() -> None:
        inside = Inside(world(messages=50))
        kinds: list[FaultKind] = ["html", "cut", "garbled", "lost", "accepted"]
        inside.world.faults.script([Fault(kind, "GET", "investigate", seconds=3.0) for kind in kinds])
        found = await everything(inside, per_page=10)
        assert sorted(found) == sorted(inside.world.by_id)
        assert sum(inside.world.requests["GET investigate"].values()) > 5

    quickly(day)


def test_a_search_that_takes_long_is_waited_for_and_began_when_it_was_asked() -> None:
    async def day() -> float:
        inside = Inside(world(messages=5))
        inside.world.faults.script([Fault("accepted", "GET", "investigate", seconds=20.0)])
        read = await client(inside).investigate.search(start=EPOCH - 7200, end=EPOCH, urgency=HEAD)
        assert read.records
        assert loop_time() >= 120
        return read.begun

    assert quickly(day) == EPOCH + 100


def test_all_conditions_are_asked_for() -> None:
    async def day() -> None:
        line = Line(answer([], info={"next": ""}))
        read = await client(line).investigate.search(
            WhereMessage(message_action="MOVED", recipient="r@x", query="q"),
            start=EPOCH,
            end=EPOCH + 1,
            cursor="c",
            urgency=HEAD,
        )
        assert read.complete
        assert dict(line.asked[0].query) == {
            "start": "2026-09-21T14:13:20.000Z",
            "end": "2026-09-21T14:13:21.000Z",
            "detections_only": "true",
            "per_page": "1000",
            "message_action": "MOVED",
            "recipient": "r@x",
            "query": "q",
            "cursor": "c",
        }

    quickly(day)


def test_a_cursor_that_does_not_move_is_a_fault_and_no_endless_walk() -> None:
    async def day() -> None:
        line = Line(answer([], info={"next": "same"}))
        await client(line).investigate.search(start=0, end=1, cursor="same", urgency=HEAD)

    with pytest.raises(ServerFault, match="the page just read"):
        quickly(day)


def test_moving_tells_every_recipient_and_really_moves() -> None:
    async def day() -> None:
        inside = Inside(world())
        first = inside.world.add_message(client_recipients=["a@corp.example", "b@corp.example"])
        second = inside.world.add_message()
        api = client(inside).investigate
        items = await api.move([first.id, second.id], "JunkEmail")
        assert [(item.success, item.destination) for item in items] == [(True, "JunkEmail")] * 3
        await api.move_one(first.id, "DeletedItems")
        assert (first.now.folder, second.now.folder) == ("DeletedItems", "JunkEmail")
        log = await api.action_log(first.id)
        assert {(line.operation, line.folder) for line in log.entries} == {
            ("MOVE", "JunkEmail"),
            ("MOVE", "DeletedItems"),
        }
        assert log.entries[-1].folder == "DeletedItems"
        assert named(await api.get(first.id))["post_delivery_operations"] == ["MOVE"]

    quickly(day)


def test_a_move_whose_answer_is_lost_is_unsure_and_was_done_once() -> None:
    async def day() -> None:
        inside = Inside(world())
        mail = inside.world.add_message()
        inside.world.faults.script(
            [Fault("lost", "POST", "investigate/move"), Fault("html_after", "POST", "investigate")]
        )
        for _ in range(2):
            with pytest.raises(Unsure):
                await client(inside).investigate.move([mail.id], "JunkEmail")
        assert inside.world.requests["POST investigate/move"].total() == 2

    quickly(day)


@pytest.mark.parametrize("count", [0, 1001])
def test_too_many_or_no_ids_are_not_even_sent(count: int) -> None:
    with pytest.raises(ValueError, match=f"^POST /investigate/move: a request takes 1 to 1000 ids, not {count}$"):
        quickly(lambda: client(Line()).investigate.move(["id"] * count, "Inbox"))


@each("invalid", [400, 422])
@each("form", ["object", "array", "both"])
def test_a_release_finds_out_which_body_the_api_takes_and_keeps_to_it(form: str, invalid: int) -> None:
    async def day() -> list[int]:
        inside = Inside(world(options=SandboxOptions(release_body=form, invalid=invalid)))  # type: ignore[arg-type]
        mails = [inside.world.add_message(quarantined=True) for _ in range(2)]
        api = client(inside).investigate
        for mail in mails:
            (released,) = await api.release([mail.id])
            assert (released.id, released.delivered) == (mail.id, tuple(mail.now.released))
            assert not mail.now.quarantined
        return [inside.world.requests["POST investigate/release"][str(invalid)]]

    assert quickly(day) == [1 if form == "array" else 0]


@pytest.mark.parametrize("invalid", [400, 422])
def test_a_release_that_is_refused_in_both_forms_changes_nothing_and_tells_the_first_reason(invalid: int) -> None:
    async def day() -> list[bytes | None]:
        line = Line(answer("bad id", invalid), answer("no list", invalid), answer("bad id", 409), answer([]))
        api = client(line).investigate
        for status in (invalid, 409):
            with pytest.raises(Rejected, match="bad id") as error:
                await api.release(["x"])
            assert error.value.status == status
        assert await api.release(["x"]) == ()
        return [asked.body for asked in line.asked]

    assert quickly(day) == [b'{"ids":["x"]}', b'["x"]', b'{"ids":["x"]}', b'{"ids":["x"]}']


def test_reclassifying_asks_for_a_verdict_and_hears_nothing_back() -> None:
    async def day() -> None:
        inside = Inside(world())
        mail = inside.world.add_message()
        await client(inside).investigate.reclassify(mail.id, "SPAM")
        assert [(effect.operation, effect.target) for effect in inside.world.effects] == [("reclassify", mail.id)]

    quickly(day)


@pytest.mark.parametrize("status", ["404", "405", "410"])
def test_where_reclassifying_is_gone_submissions_are_asked_and_kept_to(status: Literal["404", "405", "410"]) -> None:
    async def day() -> None:
        inside = Inside(world(options=SandboxOptions(reclassify=status)))
        api, mails = client(inside).investigate, [inside.world.add_message() for _ in range(3)]
        for mail in mails:
            await api.reclassify(mail.id, "SPAM", eml=b"From:", escalated_submission_id="s")
        assert [effect.target for effect in inside.world.effects] == [mail.id for mail in mails]
        assert inside.world.requests["POST investigate/{id}/reclassify"].total() == 1
        assert inside.world.requests["POST submissions"] == {"202": 3}

    quickly(day)


def test_what_reclassifying_said_is_said_where_it_was() -> None:
    async def day() -> None:
        inside = Inside(world(options=SandboxOptions(reclassify="410")))
        body = {"expected_disposition": "NONE", "escalated_submission_id": "s", "eml_content": "RnJvbTo="}
        line = Line(unrouted(404), answer({}, 202))
        await client(line).investigate.reclassify("i", "NONE", eml=b"From:", escalated_submission_id="s")
        assert msgspec.json.decode(line.asked[1].body or b"")["messages"] == [{"id": "i", **body}]
        with pytest.raises(NotFound, match="message not found"):
            await client(inside).investigate.reclassify("no-such-id", "SPAM")

    quickly(day)


def unrouted(status: int, code: int = 7003) -> Response:
    """Make the answer of an API that has no such operation, or says so by another code."""
    told = {"success": False, "errors": [{"code": code, "message": f"no route {status}"}], "messages": []}
    return Response(status=status, headers={"content-type": "application/json"}, body=msgspec.json.encode(told))


@pytest.mark.parametrize("refusal", [unrouted(404, 10002), unrouted(410, 10002), unrouted(400), unrouted(403)])
def test_an_unknown_message_and_any_other_refusal_are_no_missing_operation(refusal: Response) -> None:
    line = Line(refusal, answer({}, 202))
    with pytest.raises(Permanent, match="no route"):
        quickly(lambda: client(line).investigate.reclassify("i", "SPAM"))
    assert len(line.asked) == 1


def test_an_api_without_either_operation_is_told_by_the_first_refusal_and_asked_for_both_again() -> None:
    async def day() -> list[str]:
        line = Line(unrouted(405), unrouted(404), unrouted(405, 7001), answer({}, 202), answer({}, 202))
        api = client(line).investigate
        with pytest.raises(Rejected, match="no route 405"):
            await api.reclassify("i", "SPAM")
        for _ in range(2):
            await api.reclassify("i", "SPAM")
        return [asked.path.rpartition("/")[2] for asked in line.asked]

    assert quickly(day) == ["reclassify", "submissions", "reclassify", "submissions", "submissions"]


def test_why_a_mail_was_detected() -> None:
    async def day() -> None:
        inside = Inside(world())
        mail = inside.world.add_message(links=("https://login.example/",), disposition="MALICIOUS")
        told = await client(inside).investigate.detections(mail.id)
        assert (told.final_disposition, told.links[0].href) == ("MALICIOUS", "https://login.example/")
        with pytest.raises(NotFound):
            await client(inside).investigate.detections("no-such-id")

    quickly(day)


@pytest.mark.parametrize("given", [answer(None), answer({"id": None}), page(404, "")])
def test_a_message_that_is_none_is_a_fault(given: Response) -> None:
    with pytest.raises(ServerFault):
        quickly(lambda: client(Line(*[given] * 5)).investigate.get("id"))
