"""Records are found by what they name."""

import msgspec
import pytest

from tests.ledger.desk import ME, T0, TRASH, Desk
from worker.audit.query import query
from worker.ledger.records import NewRecord


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
    await desk.ledger.write(ME, [NewRecord("started")], T0)
    lines = [line async for line in query(desk.ledger, ME, **asked)]  # type: ignore[arg-type]
    assert [msgspec.json.decode(line)["verb"] for line in lines] == found


async def test_all_that_happened_to_one_entry_is_found() -> None:
    desk = Desk()
    entry, other = await desk.wish(), await desk.wish(message="m2")
    await desk.claim(other, entry)
    found = [msgspec.json.decode(line) async for line in query(desk.ledger, ME, entry=entry.id)]
    assert [(record["verb"], record["target"]) for record in found] == [("entered", "m1"), ("claimed", "m1")]
