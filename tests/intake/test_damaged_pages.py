"""Whatever happens to the bytes of a page: sound records are read, others are kept, or the page is asked for again."""

import asyncio
import time
from functools import cache, partial
from math import inf

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cells import each
from tests.reading import Room, malicious_is_moved
from tests.support import Meddle, garbling
from worker import Message
from worker.api import Response, Urgency
from worker.api.envelope import Endpoint, interpret, records
from worker.errors import ServerFault
from worker.intake.sources import Fetched, read_records
from worker.language.base import Noun, Text
from worker.language.reading import read
from worker.observations import read_message, read_scan_time
from worker.rulehost.evaluation import Event, Said
from worker.sandbox import ACCOUNT

READ, NOW = Endpoint("GET", "/investigate"), 1_790_000_100.0
BEFORE, AFTER = b'{"success":true,"errors":[],"messages":[],"result":[', b'],"result_info":{"count":8,"next":"c2"}}'
JUNK = (
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\x00",
    b"\n",
    b"\xff",
    b"\\ud83d",
    b"\\u12",
    b"x",
    b'"},{"',
    b"0",
)


@cache
def sound_records() -> tuple[bytes, ...]:
    """Return records of the sandbox, each with a mark at its end."""
    room = Room()
    room.world.arrive(6, "outbreak")
    for disposition in ("SPAM", "BULK"):
        room.world.add_message(disposition=disposition)
    search = room.client.investigate.search(start=NOW - 9000, end=NOW, urgency=Urgency.HEAD)
    found = [msgspec.json.decode(one, type=dict[str, object]) for one in asyncio.run(search).records]
    return tuple(msgspec.json.encode(one | {"mark": f"mark-{number}"}) for number, one in enumerate(found))


def fetch(body: bytes) -> Fetched:
    """Read the bytes of a page as the worker does."""
    given = Response(status=200, headers={"content-type": "application/json"}, body=body)
    found, _ = interpret(READ, given, records, NOW)
    return read_records(tuple(found), None, NOW, partial(read_message, detected=True))


PLACE, LENGTH = st.integers(0, 10**6), st.integers(1, 40)


@given(st.sampled_from(["insert", "replace", "cut"]), PLACE, st.lists(st.sampled_from(JUNK), max_size=3), LENGTH)
def test_no_change_of_the_bytes_costs_another_record_or_is_silent(
    how: str, at: int, junk: list[bytes], long: int
) -> None:
    whole = sound_records()
    page = BEFORE + b",".join(whole) + AFTER
    at = at % len(page)
    end = at if how == "insert" else min(at + long, len(page))
    changed = page[:at] + (b"" if how == "cut" else b"".join(junk)) + page[end:]
    try:
        fetched = fetch(changed)
    except ServerFault:  # the page is asked for again
        assert at < len(BEFORE) or end > len(page) - len(AFTER)
        return
    begins = len(BEFORE)
    read_ones = {one.raw for one in fetched.readings}
    kept = b"\n".join([*read_ones, *(one.raw for one in fetched.broken)])
    for number, record in enumerate(whole):
        untouched = end <= begins or at >= begins + len(record)
        assert not untouched or record in read_ones
        named = (msgspec.json.decode(record)["id"].encode(), b"mark-%d" % number)
        assert untouched or any(name in kept for name in named)
        begins += len(record) + 1


@pytest.mark.parametrize("given", [rb"\ud83d", b"\xff", b"\x01", rb"\ud83d\n\x01".replace(rb"\x01", b"\x01")])
async def test_a_damaged_text_costs_neither_its_record_nor_its_page(given: bytes) -> None:
    heard: list[Message] = []

    def answer(event: Event) -> Said:
        heard.extend([read(Message, event.raw)] if event.kind == "Message" else [])
        return malicious_is_moved(event)

    room = Room(answer)
    room.world.arrive(3, "outbreak")
    lost = room.world.add_message(subject="Please read")
    room.meddle = garbling(b"Please read", b"Please " + given)
    await room.read()
    assert (len(await room.targets()), await room.ledger.count_unreadable(ACCOUNT)) == (4, 0)
    assert {one.id: one.mended for one in heard if one.mended} == {lost.id: ("subject",)}


async def test_a_record_that_is_no_json_is_kept_alone_and_costs_no_further_call() -> None:
    room = Room(malicious_is_moved)
    lost, *others = room.world.arrive(4, "outbreak")
    room.meddle = no_json(lost.id)
    await room.read()
    assert await room.targets() == sorted(mail.id for mail in others)
    (record,) = await room.ledger.list_unreadable(ACCOUNT, inf, 9)
    assert (record.id, record.start) == (lost.id, read_scan_time(lost.id))
    assert room.world.requests["GET investigate"].total() <= 4


def no_json(message: str) -> Meddle:
    """Leave out a quote in the record of a message, wherever it is told."""
    return garbling(b'{"id":"%s","' % message.encode(), b'{"id":"%s",' % message.encode())


@pytest.mark.parametrize("given", [rb"\ud83d", b"\xff", b"\x01"])
def test_a_damaged_text_breaks_no_answer_of_any_operation(given: bytes) -> None:
    body = b'{"success":true,"errors":[],"messages":["' + given + b'"],"result":{"id":"a","raw":"' + given + b'"}}'
    answer = Response(status=200, headers={"content-type": "application/json"}, body=body)
    found, _ = interpret(READ, answer, partial(read, Told), NOW)
    assert (found.id, found.mended, found.unread) == ("a", ("raw",), ())


def test_what_is_no_utf_8_never_reads_as_a_control_character() -> None:
    body = b'{"success":true,"errors":[],"messages":[],"result":{"id":"a","raw":"A\xc0\x8ab"}}'
    answer = Response(status=200, headers={"content-type": "application/json"}, body=body)
    found, _ = interpret(READ, answer, partial(read, Told), NOW)
    assert (found.raw, found.mended) == ("A\ufffd\ufffdb", ("raw",))


class Told(Noun, frozen=True):
    """What an operation may tell."""

    id: str
    raw: Text = ""


@each("cut", [20, 60, 400, 1500, -1, -2, -30])
def test_a_page_that_is_cut_short_is_asked_for_again(cut: int) -> None:
    with pytest.raises(ServerFault):
        fetch((BEFORE + b",".join(sound_records()) + AFTER)[:cut])


def test_a_page_that_is_cut_after_a_record_or_within_one_never_looks_whole() -> None:
    page = BEFORE + b",".join(sound_records()) + AFTER
    for place in (place for place, byte in enumerate(page[:-1]) if byte in b"]}"):
        with pytest.raises(ServerFault):
            fetch(page[: place + 1])


@pytest.mark.slow
def test_whoever_can_write_beginnings_of_records_does_not_keep_the_worker_busy() -> None:
    begun = time.process_time()
    fetched = fetch(BEFORE + b'{"id":' * 200_000 + b"}," + b",".join(sound_records()) + AFTER)
    assert (len(fetched.broken) > 0, time.process_time() - begun < 5) == (True, True)
