"""The audit: asked, proved offline, handed on."""

from io import BytesIO
from typing import Any

import msgspec
import pytest

from tests.ledger.desk import ME, T0, TRASH, Desk
from worker.audit import Stream, query, verify
from worker.ledger.records import canonical, hashed


async def chain(desk: Desk, length: int = 5) -> list[bytes]:
    await desk.ledger.write(ME, [{"verb": "started", "n": n} for n in range(length)], T0)
    return await desk.ledger.records(ME)


def changed(line: bytes, **change: object) -> bytes:
    return canonical({**msgspec.json.decode(line), **change})


def forged(line: bytes, **change: object) -> bytes:
    """Change a record and give it a hash that fits."""
    record = {**msgspec.json.decode(line), **change}
    record.pop("hash")
    return canonical({**record, "hash": hashed(str(record["previous"]), record)})


def hash_of(line: bytes, name: str = "hash") -> str:
    return str(msgspec.json.decode(line)[name])


async def test_an_untouched_chain_holds() -> None:
    lines = await chain(Desk())
    held = verify(lines)
    assert (held.records, held.first, held.last, held.broken_at, held.problem) == (5, 1, 5, 0, "")
    assert held.hash == hash_of(lines[-1])
    assert verify([]).records == 0


async def test_every_kind_of_edit_shows_at_its_record() -> None:
    lines = await chain(Desk())
    edits = [
        ([*lines[:2], changed(lines[2], n=9), *lines[3:]], 3, "was changed"),
        ([*lines[:2], forged(lines[2], n=9), *lines[3:]], 4, "names another record than 3"),
        ([*lines[:2], *lines[3:]], 4, "missing, repeated or out of order"),
        ([*lines[:2], *lines[1:]], 2, "missing, repeated or out of order"),
        ([lines[1], lines[0]], 1, "out of order"),
        (lines[1:], 2, "no checkpoint says"),
        ([forged(lines[0], previous="1" * 64), *lines[1:]], 2, "names another record"),
        ([forged(lines[0], previous="1" * 64)], 1, "names another one before it"),
        ([*lines[:3], b"{", *lines[4:]], 4, "is not a record"),
        ([*lines[:3], b"{}", *lines[4:]], 4, "is not a record"),
        ([*lines[:3], changed(lines[3], previous="zz"), *lines[4:]], 4, "is not a record"),
    ]
    for edited, number, problem in edits:
        found = verify(edited)
        assert (found.broken_at, problem in found.problem) == (number, True), found


async def test_of_a_stream_without_its_beginning_what_is_there_is_proved_and_the_rest_named() -> None:
    lines = await chain(Desk())
    held = verify(lines[2:], cut=True)
    assert (held.records, held.first, held.last, held.problem) == (3, 3, 5, "")
    assert (held.unchecked, held.previous) == (2, hash_of(lines[1]))
    assert verify(lines, cut=True) == verify(lines)
    assert verify(lines).unchecked == 0


async def test_every_kind_of_edit_shows_in_a_stream_without_its_beginning_too() -> None:
    lines = (await chain(Desk(), 7))[2:]
    edits = [
        ([*lines[:2], changed(lines[2], n=9), *lines[3:]], 5),
        ([*lines[:2], forged(lines[2], n=9), *lines[3:]], 6),
        ([*lines[:2], *lines[3:]], 6),
        ([*lines[:2], *lines[1:]], 4),
        ([lines[1], lines[0], *lines[2:]], 3),
        ([forged(lines[0], previous="1" * 64), *lines[1:]], 4),
        ([*lines[:3], b"{}", *lines[4:]], 6),
        ([forged(lines[0], number=1)], 1),
        ([forged(lines[0], number=1, verb="pruned", through=0, cut=hash_of(lines[0], "previous"))], 1),
    ]
    assert [verify(edited, cut=True).broken_at for edited, _ in edits] == [number for _, number in edits]


async def test_a_checkpoint_binds_a_stream_without_its_beginning() -> None:
    desk = Desk()
    await chain(desk)
    await desk.ledger.prune(ME, T0 + 10, {}, T0 + 10)
    *some, checkpoint = await desk.ledger.records(ME)
    assert verify([*some, checkpoint], cut=True).unchecked == 0
    assert verify([*some, forged(checkpoint, cut="0" * 64)], cut=True).broken_at == 5
    assert verify([forged(checkpoint, through="x")], cut=True).problem


async def test_a_checkpoint_with_another_hash_does_not_hold() -> None:
    desk = Desk()
    await chain(desk)
    desk.now = T0 + 10
    await desk.wish()
    await desk.ledger.prune(ME, desk.now, {}, desk.now)
    lines = await desk.ledger.records(ME)
    assert (verify(lines).first, verify(lines).problem) == (6, "")
    assert verify([*lines[:-1], forged(lines[-1], cut="0" * 64)]).broken_at == 6


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["entered", "entered", "claimed", "started"]),
        ({"verb": "entered"}, ["entered", "entered"]),
        ({"target": "m1"}, ["entered", "claimed"]),
        ({"rule": "s"}, ["entered"]),
        ({"verb": "claimed", "rule": "s"}, []),
        ({"after": 2}, ["claimed", "started"]),
    ],
)
async def test_records_are_found_by_what_they_name(asked: dict[str, str], found: list[str]) -> None:
    desk = Desk()
    entry = await desk.wish()
    await desk.enter(desk.draft(TRASH, "m2", rules=("r", "s"), fingerprints=("f", "g")))
    await desk.claim(entry)
    await desk.ledger.write(ME, [{"verb": "started"}], T0)
    lines = [line async for line in query(desk.ledger, ME, **asked)]  # type: ignore[arg-type]
    assert [msgspec.json.decode(line)["verb"] for line in lines] == found


async def test_all_that_happened_to_one_entry_is_found() -> None:
    desk = Desk()
    entry, other = await desk.wish(), await desk.wish(message="m2")
    await desk.claim(other, entry)
    found = [msgspec.json.decode(line) async for line in query(desk.ledger, ME, entry=entry.id)]
    assert [(record["verb"], record["target"]) for record in found] == [("entered", "m1"), ("claimed", "m1")]


async def test_records_are_handed_on_in_order_and_can_be_verified_there() -> None:
    desk = Desk()
    out = BytesIO()
    stream = Stream(desk.ledger, ME, out)
    await chain(desk, 1500)
    assert await stream.step() == 1500
    assert await stream.step() == 0
    await desk.wish()
    assert await Stream(desk.ledger, ME, out).step() == 1
    lines = out.getvalue().splitlines()
    assert (len(lines), verify(lines).problem) == (1501, "")


class Torn(BytesIO):
    """A stream whose reader goes away in the middle of a line."""

    def write(self, data: Any) -> int:  # noqa: ANN401 (any bytes)
        """Take half of it."""
        super().write(data[: len(data) // 2])
        raise BrokenPipeError


async def test_what_a_reader_may_not_have_got_is_handed_on_again() -> None:
    desk = Desk()
    await chain(desk)
    with pytest.raises(BrokenPipeError):
        await Stream(desk.ledger, ME, Torn()).step()
    out = BytesIO()
    assert await Stream(desk.ledger, ME, out).step() == 5


async def test_records_after_a_pruned_beginning_are_handed_on_too() -> None:
    desk = Desk()
    await chain(desk)
    await desk.ledger.prune(ME, T0 + 10, {}, T0 + 10)
    out = BytesIO()
    stream = Stream(desk.ledger, ME, out)
    assert await stream.step() == 2
    assert await stream.step() == 0
