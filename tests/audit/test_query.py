"""Records are found by what they name."""

from collections.abc import Callable

import msgspec
import pytest
from msgspec.structs import replace

from tests.cells import each
from tests.ledger.desk import ME, T0, TRASH, Desk
from worker.audit.query import query
from worker.language.actions import AllowSender, BlockSender, Notify, TrustDomain
from worker.ledger.records import NewRecord
from worker.ledger.values import Broken, Page


@each(
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


async def test_records_are_found_newest_first_page_after_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.audit.query.AT_ONCE", 2)
    desk = Desk()
    await desk.ledger.write(ME, [NewRecord("started")] * 5, T0)
    for newest_first in (True, False):
        lines = [line async for line in query(desk.ledger, ME, newest_first=newest_first)]
        numbers = [msgspec.json.decode(line)["number"] for line in lines]
        assert numbers == sorted(numbers, reverse=newest_first) != []
        assert len(numbers) == 5


async def test_all_that_happened_to_one_entry_is_found() -> None:
    desk = Desk()
    entry, other = await desk.wish(), await desk.wish(message="m2")
    await desk.claim(other, entry)
    found = [msgspec.json.decode(line) async for line in query(desk.ledger, ME, entry=entry.id)]
    assert [(record["verb"], record["target"]) for record in found] == [("entered", "m1"), ("claimed", "m1")]


@each("write", [str, str.lower, str.upper, str.title])
@each("named", ["{0}", "{1}:{0}"])
@each(
    "action",
    [
        BlockSender("Eve@Corp.example"),
        BlockSender("2001:db8::1A", "IP"),
        AllowSender("Corp.example", "DOMAIN"),
        TrustDomain("Corp.example"),
    ],
)
async def test_an_entry_of_a_list_is_found_by_its_bare_pattern_in_any_case(
    action: BlockSender | AllowSender | TrustDomain, named: str, write: Callable[[str], str]
) -> None:
    desk = Desk()
    await desk.wish(action)
    await desk.wish(replace(action, pattern=f"x{action.pattern}"))
    target = write(named.format(action.pattern, action.on.partition(":")[0]))
    (line,) = [line async for line in query(desk.ledger, ME, target=target)]
    assert msgspec.json.decode(line)["target"] == action.on


@pytest.mark.parametrize("target", ["M1", "SOC", "oc", "x:soc"])
async def test_messages_and_channels_are_found_by_their_very_name(target: str) -> None:
    desk = Desk()
    await desk.enter(desk.draft(TRASH, "m1"), desk.draft(Notify("soc")))
    assert [line async for line in query(desk.ledger, ME, target=target)] == []


@pytest.mark.parametrize("by", ["id", "gap"])
async def test_what_became_of_a_record_that_cannot_be_read_is_found_by_its_id_and_its_gap(by: str) -> None:
    desk = Desk()
    lost = Broken(b'{"id": "m7"}', "its id cannot be read", id="m7", start=T0, end=T0)
    await desk.ledger.enter(Page(account=ME, now=T0, source="messages", broken=(lost,)))
    (record,) = await desk.ledger.list_open_records(ME)
    (kept,) = await desk.ledger.list_unreadable(ME, T0 + 9999, 9)
    await desk.ledger.end_unreadable(ME, kept, T0)
    lines = [line async for line in query(desk.ledger, ME, target=getattr(record, by))]
    assert [msgspec.json.decode(line)["verb"] for line in lines] == ["broken record", "record read"]
