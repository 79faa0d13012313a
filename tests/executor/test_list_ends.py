"""List entries that last for a time: whatever happens on the way, each ends once, and nobody else's does."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from tests.desk import SETTLE, Desk
from worker.errors import ServerFault
from worker.language.actions import Adding, AllowSender, BlockSender, Disallow, TrustDomain, Unblock
from worker.language.policies import Policies
from worker.ledger.entries import Outcome, Question
from worker.sandbox import ACCOUNT, Fault

HOUR = timedelta(hours=1)
BLOCK = BlockSender("ada@c0rp.example", for_=HOUR)
EACH: list[tuple[Adding, str]] = [
    (BLOCK, "block_senders"),
    (AllowSender("carol@shop.example", for_=HOUR), "allow_policies"),
    (TrustDomain("shop.example", for_=HOUR), "trusted_domains"),
]
each = pytest.mark.parametrize(("action", "name"), EACH)


def vanish(desk: Desk, name: str) -> None:
    """Let a person delete the entry of ours that is listed last."""
    *_, thing = desk.world.lists[name].values()
    thing.become(desk.clock.now(), None)


@each
async def test_what_an_earlier_attempt_made_after_all_is_done_and_gets_its_end(action: Adding, name: str) -> None:
    desk = Desk(lag=SETTLE * 2)
    desk.world.faults.script([Fault("lost", "POST", f"settings/{name}/batch")])
    await desk.enter(action)
    await desk.executor.step()
    entry = await desk.only()
    # Reads lag longer than anybody assumed, so that the entry is taken for never made.
    await desk.ledger.settle(ACCOUNT, [Outcome(id=entry.id, state="ready", proof="seen")], desk.clock.now())
    desk.clock.advance(SETTLE * 3)
    desk.world.options = replace(desk.world.options, lag=0.0)
    await desk.run(10)
    assert await desk.states() == ["done", "ready"]
    await desk.run(4000)
    assert await desk.states() == ["done", "done"]
    assert [one.operation for one in desk.world.effects] == [f"{name}.create", f"{name}.delete"]


@each
async def test_a_removal_of_what_a_person_deleted_at_that_moment_is_done(action: Adding, name: str) -> None:
    desk = Desk(lag=20)
    await desk.enter(action)
    await desk.run(100)
    vanish(desk, name)  # and reads do not show it yet
    await desk.enter(action.inverse(), sight=2)
    await desk.run(300)
    made, end, back = await desk.entries()
    assert (made.state, end.state, back.state) == ("done", "moot", "done")
    assert back.said == "the entry is gone from the list"


async def test_a_block_whose_early_removal_was_put_off_ends_at_its_own_time() -> None:
    desk = Desk()
    await desk.enter(BLOCK)
    await desk.run(10)
    await desk.ledger.order(ACCOUNT, "brake", "lane:block", "ann", "", desk.clock.now())
    await desk.ledger.take_orders(ACCOUNT, desk.clock.now())
    await desk.enter(Unblock("ada@c0rp.example"), sight=2)
    *_, back = await desk.entries()
    await desk.ledger.postpone(ACCOUNT, [Question(id=back.id, said="the rule was changed")], desk.clock.now())
    await desk.ledger.order(ACCOUNT, "unbrake", "lane:block", "ann", "", desk.clock.now())
    await desk.ledger.take_orders(ACCOUNT, desk.clock.now())
    await desk.run(3700)
    assert await desk.states() == ["done", "done", "waiting"]
    assert [one.operation for one in desk.world.effects] == ["block_senders.create", "block_senders.delete"]


async def test_a_sender_whose_policy_a_person_deleted_can_be_allowed_in_another_form_after_a_removal() -> None:
    desk = Desk()
    await desk.enter(AllowSender("carol@shop.example"))
    await desk.run(10)
    vanish(desk, "allow_policies")
    desk.clock.advance(400)
    await desk.enter(Disallow("carol@shop.example"), sight=2)
    await desk.run(10)
    await desk.enter(AllowSender("carol@shop.example", kind="trusted"), sight=3)
    await desk.run(10)
    assert await desk.states() == ["done", "moot", "done"]
    assert [one.operation for one in desk.world.effects] == ["allow_policies.create"] * 2


@pytest.mark.slow
@pytest.mark.parametrize("for_", [HOUR, None])
async def test_a_removal_does_not_believe_a_read_that_may_lag_behind_what_we_have_just_made(
    for_: timedelta | None,
) -> None:
    desk = Desk()
    desk.settle = 120.0
    desk.restart()
    await desk.enter(BlockSender("ada@c0rp.example", for_=for_))
    await desk.run(75)
    desk.world.options = replace(desk.world.options, lag=100.0)
    await desk.enter(Unblock("ada@c0rp.example"), sight=2)
    await desk.run(20)
    desk.world.options = replace(desk.world.options, lag=0.0)
    await desk.run(600)
    assert [one.operation for one in desk.world.effects] == ["block_senders.create", "block_senders.delete"]


async def test_an_end_does_not_wait_for_the_accounts_own_lists() -> None:
    async def no_lists() -> Policies:
        raise ServerFault("an entry of the account's own lists cannot be read")

    desk = Desk()
    await desk.enter(BLOCK)
    await desk.run(60)
    desk.restart(no_lists)
    await desk.run(3700)
    assert await desk.states() == ["done", "done"]
