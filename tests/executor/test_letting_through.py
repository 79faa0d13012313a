"""Whom a rule may let through: neither strangers in our own name, nor whoever is blocked."""

import pytest

from tests.desk import Desk
from worker.language.actions import AllowSender, AnyAction, BlockSender, TrustDomain
from worker.sandbox import ACCOUNT, Fault

BLOCK = BlockSender(pattern="ada@c0rp.example")
ALLOW = AllowSender("ada@c0rp.example")
TRUST = TrustDomain("c0rp.example")


@pytest.mark.parametrize(
    "action", [AllowSender("boss@corp.example"), AllowSender("gmail.com", "DOMAIN"), TrustDomain("corp.example")]
)
async def test_what_would_let_strangers_through_is_refused_before_it_is_tried(
    action: AllowSender | TrustDomain,
) -> None:
    desk = Desk()
    await desk.enter(action)
    await desk.run(1)
    entry = await desk.only()
    assert (entry.state, "never let through" in entry.said) == ("moot", True)
    assert desk.world.effects == []


@pytest.mark.parametrize("blocked", ["EMAIL:ada@c0rp.example", "DOMAIN:c0rp.example"])
async def test_a_sender_on_the_block_list_is_let_through_on_a_persons_word_only(blocked: str) -> None:
    desk = Desk()
    kind, _, pattern = blocked.partition(":")
    desk.world.add_entry("block_senders", pattern=pattern, pattern_type=kind, comments="by hand")
    await desk.enter(ALLOW)
    await desk.run(30)
    entry = await desk.only()
    assert (entry.state, "blocks this sender: a person decides" in entry.said) == ("waiting", True)
    await desk.approve()
    await desk.run(30)
    assert await desk.states() == ["done"]
    assert desk.ours("allow_policies.create") == ["email:ada@c0rp.example"]


async def test_a_person_who_was_not_told_of_the_block_is_asked_once_more_and_then_obeyed() -> None:
    desk = Desk()
    desk.world.add_entry("block_senders", pattern="c0rp.example", pattern_type="DOMAIN", comments="by hand")
    desk.world.faults.script([Fault("html", "POST", "settings/trusted_domains/batch")])
    await desk.enter(TRUST, state="waiting")
    await desk.approve()
    await desk.run(5)
    assert await desk.states() == ["waiting"]
    await desk.approve()
    await desk.run(300)
    assert await desk.states() == ["done"]
    assert desk.ours("trusted_domains.create") == ["c0rp.example"]


async def test_a_sender_that_is_blocked_before_a_second_attempt_waits_for_a_person_after_all() -> None:
    desk = Desk()
    desk.world.faults.script([Fault("html", "POST", "settings/allow_policies/batch")])
    await desk.enter(ALLOW)
    await desk.run(5)
    desk.world.add_entry("block_senders", pattern="ada@c0rp.example", pattern_type="EMAIL", comments="by hand")
    desk.restart()
    await desk.run(300)
    assert await desk.states() == ["waiting"]


async def test_a_block_that_is_only_about_to_be_sent_counts_as_well() -> None:
    desk = Desk()
    await desk.ledger.order(ACCOUNT, "brake", "lane:block", "ada", "", desk.clock.now())
    await desk.ledger.take_orders(ACCOUNT, desk.clock.now())
    await desk.enter(BLOCK)
    await desk.enter(ALLOW)
    await desk.run(5)
    assert await desk.states() == ["ready", "waiting"]


@pytest.mark.parametrize("order", [(BLOCK, ALLOW), (ALLOW, BLOCK)])
async def test_of_two_that_want_the_opposite_at_once_the_block_goes_and_the_other_waits(
    order: tuple[AnyAction, AnyAction],
) -> None:
    desk = Desk()
    for action in order:
        await desk.enter(action, rules=("lookalike",))
    await desk.run(30)
    states = {type(entry.action): entry.state for entry in await desk.entries()}
    assert states == {BlockSender: "done", AllowSender: "waiting"}


@pytest.mark.parametrize("allowing", [ALLOW, AllowSender("c0rp.example", "DOMAIN"), TRUST])
async def test_what_we_have_just_let_through_is_not_blocked_although_the_lists_are_known_late(
    allowing: AllowSender | TrustDomain,
) -> None:
    desk = Desk()
    await desk.enter(allowing)
    await desk.run(20)
    await desk.enter(BLOCK, sight=2)
    await desk.run(20)
    entries = await desk.entries()
    assert [entry.state for entry in entries] == ["done", "moot"]
    assert entries[1].said.endswith("lets this sender through: never blocked")
    assert desk.ours("block_senders.create") == []


async def test_what_a_person_has_taken_off_the_list_again_may_be_blocked() -> None:
    desk = Desk()
    await desk.enter(ALLOW)
    await desk.run(20)
    for thing in desk.world.lists["allow_policies"].values():
        thing.become(desk.clock.now(), None)
    desk.clock.advance(400)
    await desk.enter(BLOCK, sight=2)
    await desk.run(20)
    assert await desk.states() == ["done", "done"]
