"""One message: its parts, its picture, its text; and submissions about it."""

from base64 import b64encode
from functools import partial

import msgspec
import pytest

from tests.api.desk import EPOCH, Inside, Line, answer, client, loop_time, quickly
from worker.api import Urgency
from worker.api.investigate import Investigate
from worker.errors import NotFound
from worker.sandbox import ACCOUNT, MailFlow, World

HEAD = Urgency.HEAD


def inside(messages: int = 0) -> Inside:
    return Inside(World(ACCOUNT, now=lambda: EPOCH + loop_time(), mail_flow=MailFlow(messages=messages)))


def test_a_mail_is_sent_along_with_a_reclassification_in_base64() -> None:
    eml = bytes(range(256)) * 3

    async def day() -> list[object]:
        line = Line(answer({}, 202), answer({}, 202))
        await client(line).investigate.reclassify("i", "NONE", eml=eml, escalated_submission_id="s")
        await client(line).investigate.reclassify("i", "SPAM")
        return [msgspec.json.decode(asked.body or b"") for asked in line.asked]

    assert quickly(day) == [
        {"expected_disposition": "NONE", "eml_content": b64encode(eml).decode(), "escalated_submission_id": "s"},
        {"expected_disposition": "SPAM"},
    ]


def test_pictures_raw_text_and_the_way_of_a_mail() -> None:
    async def day() -> None:
        desk = inside()
        mail, clean = desk.world.add_message(), desk.world.add_message(disposition="NONE")
        api = client(desk).investigate
        for picture in (await api.preview(mail.id), await api.preview_clean(clean.id)):
            assert picture.png.startswith(b"\x89PNG\r\n")
        assert "\n" in ((await api.raw(mail.id)).raw or "")
        assert (await api.trace(mail.id)).inbound.lines
        with pytest.raises(NotFound):
            await api.raw(clean.id)

    quickly(day)


def test_a_picture_that_is_none_says_so() -> None:
    async def day() -> bytes:
        return (await client(Line(answer({"screenshot": "&&"}))).investigate.preview("i")).png

    with pytest.raises(ValueError, match="base64"):
        quickly(day)


def test_what_was_submitted_is_asked_of_its_own_store() -> None:
    async def day() -> list[tuple[tuple[str, str], ...]]:
        line = Line(answer({"id": "i"}), answer([]), answer({"id": "i"}))
        api = client(line).investigate
        await api.get("i", submission=True)
        await api.action_log("i", submission=True)
        await api.get("i")
        return [asked.query for asked in line.asked]

    first, log, last = quickly(day)
    assert (first, log[0], last) == ((("submission", "true"),), ("submission", "true"), ())


def test_submissions_are_created_as_they_are_given() -> None:
    async def day() -> bytes | None:
        line = Line(answer({}, 202))
        await client(line).submissions.create("missed_detection", [{"anything": 1}])
        return line.asked[0].body

    assert quickly(day) == b'{"type":"missed_detection","messages":[{"anything":1}]}'


def test_a_broken_record_in_a_page_of_a_thousand_costs_only_itself() -> None:
    async def day() -> None:
        desk = inside(messages=1000)
        ask = partial(Investigate.search, start=EPOCH - 7200, end=EPOCH + 100, urgency=HEAD, detections_only=False)
        whole = await ask(client(desk).investigate)
        given = [msgspec.json.decode(record) for record in whole.records]
        given[500] = {"id": given[500]["id"], "is_quarantined": "perhaps"}
        read = await ask(client(Line(answer(given))).investigate)
        assert len(read.records) == 1000
        assert read.read().entries == whole.read().entries[:500] + whole.read().entries[501:]

    quickly(day)


@pytest.mark.parametrize("id_", ["", ".", ".."])
def test_an_id_that_would_name_something_else_is_not_even_sent(id_: str) -> None:
    with pytest.raises(ValueError, match=r"^GET /investigate/{id}/raw: an id"):
        quickly(lambda: client(Line()).investigate.raw(id_))
