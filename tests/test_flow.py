"""The whole path of a message, from the API's page to a proved and chained record."""

from datetime import timedelta

import msgspec
import pytest
from msgspec.structs import replace

from tests.reading import DAY, Room, says
from worker import AllowSender, BlockSender, Move, Reclassify, Release, TrustDomain
from worker.api import Urgency
from worker.audit.inspection import inspect_ledger
from worker.language.actions import Disallow
from worker.observations import read_message
from worker.rulehost.evaluation import Event, Said
from worker.sandbox import ACCOUNT


def wants(event: Event) -> Said:
    """Release what is quarantined and allow its sender, block who writes suspicious mail, move what is malicious."""
    told = msgspec.json.decode(event.raw)
    if told["is_quarantined"]:
        allow = AllowSender(told["from"], for_=timedelta(days=30)), TrustDomain("near.example", recent=True)
        return says(event, Release(), Reclassify("NONE"), *allow, rule="lookalike")
    if told["final_disposition"] == "SUSPICIOUS":
        return says(event, BlockSender(told["from"]), rule="lookalike")
    return says(event, Move("DeletedItems"), rule="lookalike")


@pytest.mark.slow
@pytest.mark.parametrize("era", ["today", "seeds"])
async def test_what_is_read_is_judged_carried_out_once_proved_and_recorded(era: str) -> None:
    room = Room(wants, era=era)
    moved = room.world.add_message()
    released = room.world.add_message(disposition="SPAM", quarantined=True, sender="Carol@near.example")
    room.world.add_message(disposition="SUSPICIOUS", sender="Fee@Parcel.test", validation={"dmarc": "pass"})
    for _ in range(40):
        await room.read(5)
        await room.executor.step()
    *done, end = sorted(await room.entries(), key=lambda entry: entry.ready_at)
    assert end.action == Disallow("Carol@near.example")
    assert {entry.review or entry.state for entry in done} == {"accepted", "done"}
    ours = {(e.operation, e.target) for e in room.world.effects if e.by.startswith("token")}
    assert ours == {
        ("move", moved.id),
        ("release", released.id),
        ("reclassify", released.id),
        ("block_senders.create", "email:fee@parcel.test"),
        ("allow_policies.create", "email:carol@near.example"),
        ("trusted_domains.create", "near.example"),
    }
    assert room.world.repeats() == []
    lines = await room.ledger.records(ACCOUNT)
    assert {"entered", "claimed", "answered", "settled"} <= {msgspec.json.decode(line)["verb"] for line in lines}
    assert not (await inspect_ledger(room.ledger, ACCOUNT)).problem


@pytest.mark.slow
async def test_our_own_release_is_no_news() -> None:
    room = Room(wants)
    mail = room.world.add_message(disposition="SPAM", quarantined=True, sender="carol@near.example")
    for _ in range(40):
        await room.read(5)
        await room.executor.step()
    assert not mail.now.quarantined
    assert [entry.lane for entry in await room.entries()] == ["placement", "verdict", "allow", "trust", "allow"]


@pytest.mark.slow
async def test_a_move_that_is_contradicted_later_is_a_drift_on_record_once_and_never_repeated() -> None:
    room = Room(wants)
    mail = room.world.add_message()
    await room.read()
    while {entry.state for entry in await room.entries()} != {"done"}:
        await room.executor.step()
        await room.read(5)
    mail.become(room.clock.now(), replace(mail.now, delivery=("move_failed",)))
    for _ in range(10):
        await room.read(60)
        await room.executor.step()
    verbs = [msgspec.json.decode(line)["verb"] for line in await room.ledger.records(ACCOUNT)]
    assert verbs.count("drift") == 1
    assert len(room.world.repeats()) == 0
    assert [entry.state for entry in await room.entries()] == ["done"]


@pytest.mark.slow
async def test_a_failed_move_that_was_shown_before_ours_contradicts_nothing() -> None:
    room = Room(wants)
    mail = room.world.add_message()
    mail.become(room.clock.now(), replace(mail.now, delivery=("move_failed",)))
    await room.read()
    while {entry.state for entry in await room.entries()} != {"done"}:
        await room.executor.step()
        await room.read(5)
    mail.become(room.clock.now(), replace(mail.now, delivery=("move_failed", "moved")))
    await room.read(600)
    assert "drift" not in [msgspec.json.decode(line)["verb"] for line in await room.ledger.records(ACCOUNT)]


def by_verdict(event: Event) -> Said:
    """Move what is malicious to one folder and bulk mail to another."""
    verdict = msgspec.json.decode(event.raw)["final_disposition"]
    moves = {"MALICIOUS": (Move("DeletedItems"),), "BULK": (Move("JunkEmail"),)}
    return says(event, *moves.get(verdict, ()), rule="lookalike")


@pytest.mark.slow
async def test_a_read_that_lags_behind_a_changed_verdict_does_not_lose_what_it_asks_for() -> None:
    room = Room(by_verdict)
    await room.read()
    mail = room.world.add_message(disposition="SPAM")
    await room.read(30)
    room.world.change_verdict(mail.id, "MALICIOUS")
    room.clock.advance(1)
    await room.messages.read_head()
    room.world.options = replace(room.world.options, lag=20.0)
    for _ in range(3):
        room.clock.advance(1)
        await room.messages.read_head()
        await room.executor.step()
    room.world.options = replace(room.world.options, lag=0.0)
    for _ in range(40):
        await room.read(10)
        await room.executor.step()
    assert mail.now.folder == "DeletedItems"
    assert room.world.repeats() == []


async def test_a_verdict_that_only_the_look_before_acting_shows_is_judged_and_acted_on() -> None:
    room = Room(by_verdict)
    mail = room.world.add_message(disposition="MALICIOUS")
    await room.read()
    room.clock.advance(4 * DAY)
    room.world.change_verdict(mail.id, "BULK")
    for _ in range(100):
        await room.executor.step()
        room.clock.advance(5)
    assert [entry.state for entry in await room.entries()] == ["moot", "done"]
    assert mail.now.folder == "JunkEmail"


@pytest.mark.slow
async def test_a_verdict_that_returns_is_judged_again_though_only_looks_before_acting_show_it() -> None:
    room = Room(by_verdict)
    mail = room.world.add_message(disposition="MALICIOUS")
    await room.read()
    room.clock.advance(4 * DAY)
    room.world.change_verdict(mail.id, "BULK")
    read = await room.client.investigate.get(mail.id, Urgency.ACT)
    await room.messages.enter_readings([read_message(read, room.clock.now())])
    room.clock.advance(4 * DAY)
    room.world.change_verdict(mail.id, "MALICIOUS")
    for _ in range(200):
        await room.executor.step()
        room.clock.advance(5)
    assert [entry.state for entry in await room.entries()] == ["moot", "moot", "done"]
    assert mail.now.folder == "DeletedItems"
