"""The executor against the sandbox, judged by what the sandbox has seen."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from random import Random

import pytest

from tests.api.desk import quickly
from tests.cells import each
from tests.desk import Desk
from tests.support import LoopClock, open_mail, refusing, untouched
from worker.api import Urgency
from worker.judging.facts import Facts
from worker.language.actions import (
    Adding,
    AllowSender,
    AnyAction,
    BlockSender,
    Move,
    Notify,
    Reclassify,
    Release,
    TrustDomain,
)
from worker.ledger.entries import Claim, Look, Standing
from worker.sandbox import ACCOUNT, Fault, Faults

JUNK = Move(destination="JunkEmail")
TRASH = Move(destination="DeletedItems")
BLOCK = BlockSender(pattern="ada@c0rp.example")
ALLOW = AllowSender("carol@shop.example")
TRUST = TrustDomain("shop.example")
SPAM = Reclassify(expected_disposition="SPAM")


async def turns(most: int = 10_000, until: Callable[[], object] = lambda: False) -> None:
    """Let everything that runs go on for a while."""
    for _ in range(most):
        if until():
            return
        await asyncio.sleep(0)


@asynccontextmanager
async def running(desk: Desk) -> AsyncIterator[None]:
    """Let the executor of a desk run by itself."""
    task = asyncio.ensure_future(desk.executor.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.mark.slow
async def test_a_thousand_moves_take_one_call_to_act_and_one_to_prove() -> None:
    desk = Desk()
    mails = desk.old(1000)
    for mail in mails:
        desk.looks.remember(mail.id, Look(desk.clock.now(), "MALICIOUS|delivered"))
    await desk.enter(JUNK, mails)
    await desk.run(5)
    assert Counter(await desk.states()) == {"done": 1000}
    assert desk.calls() == 2
    assert {entry.proof for entry in await desk.entries()} == {"seen"}
    assert {mail.now.folder for mail in mails} == {"JunkEmail"}


HOUR = timedelta(hours=1)


def there(desk: Desk, name: str) -> list[Mapping[str, object]]:
    """What is on a list now."""
    return [thing.value for thing in desk.world.lists.get(name, {}).values() if thing.value is not None]


@pytest.mark.parametrize(
    ("action", "name"),
    [
        (BlockSender(pattern="Ada@C0rp.example", for_=HOUR), "block_senders"),
        (AllowSender("Carol@Shop.example", for_=HOUR), "allow_policies"),
        (TrustDomain("Shop.example", for_=HOUR), "trusted_domains"),
    ],
)
async def test_a_list_entry_for_a_time_ends_with_the_removal_of_what_we_made(action: Adding, name: str) -> None:
    desk = Desk()
    before = there(desk, name)
    await desk.enter(action)
    await desk.run(10)
    assert await desk.states() == ["done", "ready"]
    (listed,) = [one for one in there(desk, name) if one not in before]
    assert str(listed["comments"]).startswith("worker ")
    desk.clock.advance(3600)
    desk.restart()
    await desk.run(10)
    assert await desk.states() == ["done", "done"]
    assert [one.operation for one in desk.world.effects] == [f"{name}.create", f"{name}.delete"]


@pytest.mark.slow
@each("kind", ["lost", "html_after", "html", "reset", "paced"])
async def test_the_end_of_what_was_let_through_comes_exactly_once(kind: str) -> None:
    desk = Desk(lag=5)
    await desk.enter(AllowSender("carol@shop.example", for_=HOUR))
    await desk.run(3500)
    desk.world.faults.script([Fault(kind, "POST", "settings/allow_policies/batch")])  # type: ignore[arg-type]
    await desk.run(1200)
    assert await desk.states() == ["done", "done"]
    assert [one.operation for one in desk.world.effects] == ["allow_policies.create", "allow_policies.delete"]


async def test_an_allow_policy_that_others_make_at_that_moment_is_a_409_and_theirs() -> None:
    desk = Desk(lag=30)
    desk.world.add_entry("allow_policies", pattern="carol@shop.example", pattern_type="EMAIL", comments="by hand")
    before = there(desk, "allow_policies")
    await desk.enter(ALLOW)
    await desk.run(300)
    assert await desk.states() == ["moot"]
    assert desk.world.requests["POST settings/allow_policies/batch"] == {"409": 1}
    assert there(desk, "allow_policies") == before


async def test_a_verdict_is_asked_for_once_and_shown_by_the_teams_submission() -> None:
    desk = Desk()
    await desk.enter(SPAM, desk.old(3))
    await desk.run(30)
    assert {(entry.state, entry.review) for entry in await desk.entries()} == {("sent", "accepted")}
    assert len(desk.ours("reclassify")) == 3
    assert {entry.remote for entry in await desk.entries()} == set(desk.world.submissions)


@pytest.mark.parametrize("kind", ["lost", "html_after", "cut", "garbled"])
async def test_an_effect_whose_answer_was_lost_is_found_and_not_repeated(kind: str) -> None:
    desk = Desk()
    mails = desk.old(20)
    desk.world.faults.script([Fault(kind, "POST", "investigate/move")])  # type: ignore[arg-type]
    await desk.enter(JUNK, mails)
    await desk.run(300)
    assert set(await desk.states()) == {"done"}
    assert sorted(desk.ours()) == sorted(mail.id for mail in mails)


@pytest.mark.parametrize(("kind", "soon"), [("reset", True), ("paced", True), ("html", False)])
async def test_what_did_not_happen_is_tried_again_as_soon_as_that_is_known(kind: str, *, soon: bool) -> None:
    desk = Desk()
    mails = desk.old(20)
    desk.world.faults.script([Fault(kind, "POST", "investigate/move")])  # type: ignore[arg-type]
    await desk.enter(JUNK, mails)
    await desk.run(30)
    assert (set(await desk.states()) == {"done"}) is soon
    await desk.run(120)
    assert set(await desk.states()) == {"done"}
    assert sorted(desk.ours()) == sorted(mail.id for mail in mails)


@pytest.mark.slow
@each(
    ("action", "operation", "path"),
    [
        (Release(), "release", "investigate/release"),
        (SPAM, "reclassify", "investigate/"),
        (BLOCK, "block_senders.create", "settings/block_senders/batch"),
        (ALLOW, "allow_policies.create", "settings/allow_policies/batch"),
        (TRUST, "trusted_domains.create", "settings/trusted_domains/batch"),
    ],
)
@each("kind", ["lost", "html", "reset"])
async def test_every_kind_happens_exactly_once(action: AnyAction, operation: str, path: str, kind: str) -> None:
    desk = Desk(lag=5)
    mails = desk.old(3, quarantined=isinstance(action, Release))
    desk.clock.advance(10)
    desk.world.faults.script([Fault(kind, "POST", path)])  # type: ignore[arg-type]
    await desk.enter(action, () if action.on else mails)
    await desk.run(1200)
    assert set(await desk.states()) == {"sent" if action == SPAM else "done"}
    assert len(desk.ours(operation)) == len(set(desk.ours(operation))) == (1 if action.on else 3)


@pytest.mark.slow
async def test_reads_that_lag_half_a_settle_time_never_make_it_act_twice() -> None:
    desk = Desk(lag=30)
    desk.world.faults.script(
        [Fault("lost", "POST", "investigate/move"), Fault("html_after", "POST", "investigate/move")]
    )
    mails = desk.old(30)
    desk.clock.advance(60)
    await desk.enter(JUNK, mails[:15])
    await desk.enter(TRASH, mails[15:])
    await desk.run(600)
    assert set(await desk.states()) == {"done"}
    assert sorted(desk.ours()) == sorted(mail.id for mail in mails)


async def test_a_claim_without_a_living_owner_is_looked_at_first() -> None:
    desk = Desk(lag=10)
    mails = desk.old(4)
    desk.clock.advance(20)
    await desk.enter(JUNK, mails)
    ready = await desk.ledger.due(ACCOUNT, desk.clock.now())
    now = desk.clock.now()
    looks = [(entry.id, Look(now, entry.verdict)) for entry in ready]
    await desk.ledger.claim(ACCOUNT, [Claim(*one) for one in looks], desk.standing(), now, now + 20)
    await desk.client.investigate.move([mail.id for mail in mails[:2]], "JunkEmail")
    desk.restart()
    await desk.executor.step()
    assert set(await desk.states()) == {"unsure"}
    await desk.run(300)
    assert set(await desk.states()) == {"done"}
    assert sorted(desk.ours()) == sorted(mail.id for mail in mails)


@pytest.mark.slow
@pytest.mark.parametrize("steps", range(1, 30))
async def test_a_process_cancelled_anywhere_leaves_no_effect_behind_and_none_undone(steps: int) -> None:
    desk = Desk(lag=3)
    mails, held = desk.old(5), desk.old(5, quarantined=True)
    desk.clock.advance(10)
    await desk.enter(JUNK, mails)
    await desk.enter(Release(), held)
    for action in (BLOCK, ALLOW, TRUST):
        await desk.enter(action)
    running = asyncio.ensure_future(desk.executor.step())
    await turns(steps)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert {entry.state for entry in await desk.entries()}.isdisjoint({"claimed"})
    desk.restart()
    await desk.run(400)
    assert set(await desk.states()) == {"done"}
    effects = Counter((one.operation, one.target) for one in desk.world.effects)
    assert effects.most_common(1)[0][1] == 1
    assert len(effects) == 13


def test_drain_ends_after_the_batch_in_hand_and_nothing_new_is_claimed() -> None:
    async def day() -> None:
        desk = Desk(clock=LoopClock())
        await desk.enter(JUNK, desk.old(3))
        async with running(desk):
            await turns(until=desk.ours)
            await desk.executor.drain()
            assert set(await desk.states()) <= {"sent", "done"}
            await desk.enter(TRASH, desk.old(3))
            calls = desk.calls()
            await asyncio.sleep(100)
            assert Counter(await desk.states())["ready"] == 3
            assert desk.calls() <= calls + 1
        assert len(asyncio.all_tasks()) == 1

    quickly(day)


def test_run_acts_when_woken_and_proves_by_itself() -> None:
    async def day() -> None:
        desk = Desk(clock=LoopClock())
        async with running(desk):
            await asyncio.sleep(60)
            await desk.enter(JUNK, desk.old(3))
            desk.wake.set()
            await asyncio.sleep(1)
            assert {mail.now.folder for mail in desk.world.mails} == {"JunkEmail"}
            await asyncio.sleep(60)
            assert set(await desk.states()) == {"done"}

    quickly(day)


def test_what_nobody_woke_the_executor_for_is_carried_out_within_a_quarter_of_an_hour() -> None:
    async def day() -> None:
        desk = Desk(clock=LoopClock())
        async with running(desk):
            await asyncio.sleep(60)
            await desk.enter(JUNK, desk.old(3))
            await asyncio.sleep(900)
            assert {mail.now.folder for mail in desk.world.mails} == {"JunkEmail"}

    quickly(day)


def test_what_waits_for_another_effect_is_carried_out_as_soon_as_that_is_proved() -> None:
    async def day() -> None:
        desk = Desk(clock=LoopClock())
        mails = desk.old(3)
        await desk.enter(JUNK, mails)
        await desk.enter(TRASH, mails, sight=2)
        async with running(desk):
            await asyncio.sleep(100)
        assert {mail.now.folder for mail in desk.world.mails} == {"DeletedItems"}

    quickly(day)


async def test_what_breaks_while_kinds_run_side_by_side_is_raised_as_itself() -> None:
    desk = Desk()

    def broken() -> Standing:
        raise RuntimeError("no rules")

    desk.standing = broken  # type: ignore[method-assign]
    desk.restart()
    await desk.enter(JUNK, desk.old(1))
    await desk.enter(BLOCK)
    with pytest.raises(RuntimeError, match="no rules"):
        await desk.executor.step()
    assert set(await desk.states()) == {"ready"}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
async def test_on_a_hostile_day_with_restarts_everything_happens_exactly_once(seed: int) -> None:
    rng = Random(seed)
    desk = Desk(lag=rng.choice((0, 0.3, 5, 20, 50)), lag_jitter=rng.random() < 0.5)
    mails, held = desk.old(30), desk.old(10, quarantined=True)
    desk.clock.advance(100)
    desk.world.faults = Faults("hostile", seed=seed)
    await desk.enter(JUNK, mails[:15])
    await desk.enter(TRASH, mails[15:])
    await desk.enter(Release(), held)
    for action in (BLOCK, ALLOW, TRUST):
        await desk.enter(action)
    for _ in range(rng.randrange(6)):
        running = asyncio.ensure_future(desk.executor.step())
        await turns(rng.randrange(1, 120))
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        desk.restart()
        desk.clock.advance(rng.random() * 10)
    await desk.run(4000, every=2)
    assert set(await desk.states()) == {"done"}
    assert sorted(desk.ours()) == sorted(mail.id for mail in mails)
    assert sorted(desk.ours("release")) == sorted(mail.id for mail in held)
    for name in ("block_senders", "allow_policies", "trusted_domains"):
        assert len(desk.ours(f"{name}.create")) == 1


async def test_lists_that_may_not_be_read_hold_up_only_what_needs_them() -> None:
    desk = Desk()
    desk.meddle = refusing("settings/allow_policies", 403)
    desk.lists = Facts(desk.client, desk.clock, open_mail).policies  # type: ignore[method-assign]
    desk.restart()
    await desk.enter(JUNK, desk.old(3))
    await desk.enter(BLOCK)
    await desk.run(60)
    assert await desk.states() == ["done"] * 3 + ["ready"]
    assert list(desk.executor.problems) == ["block"]


async def test_what_keeps_it_from_starting_is_a_problem_until_it_starts() -> None:
    desk = Desk()
    desk.meddle = refusing("settings/domains", 401)
    desk.greeting = lambda: desk.client.settings.domains.list(urgency=Urgency.HEAD)
    desk.restart()
    await desk.enter(JUNK, desk.old(1))
    assert await desk.executor.step() == 0
    assert "401" in desk.executor.problems["all actions"]
    desk.meddle = untouched
    await desk.run(30)
    assert (await desk.states(), desk.executor.problems) == (["done"], {})


def test_notices_of_every_hour_wait_for_each_other() -> None:
    async def day() -> None:
        desk = Desk(clock=LoopClock())
        async with running(desk):
            for hour in (1, 2):
                for number in range(3):
                    await desk.enter(Notify("soc"), sight=10 * hour + number)
                    desk.wake.set()
                    await asyncio.sleep(10)
                await asyncio.sleep(3600)
                assert len(desk.heard) == hour

    quickly(day)


def test_a_block_for_some_minutes_ends_on_time() -> None:
    async def day() -> None:
        desk = Desk(clock=LoopClock())
        await desk.enter(BlockSender(pattern="ada@c0rp.example", for_=timedelta(minutes=5)))
        async with running(desk):
            await asyncio.sleep(310)
        assert [one.operation for one in desk.world.effects] == ["block_senders.create", "block_senders.delete"]

    quickly(day)


def test_what_is_shown_late_is_looked_for_again() -> None:
    async def day() -> None:
        desk = Desk(clock=LoopClock(), lag=8)
        await desk.enter(JUNK, desk.old(3))
        async with running(desk):
            await asyncio.sleep(80)
        assert set(await desk.states()) == {"done"}

    quickly(day)


@pytest.mark.slow
def test_what_does_not_fit_into_one_round_follows_at_once() -> None:
    async def day() -> None:
        desk = Desk(clock=LoopClock())
        await desk.enter(JUNK, desk.old(5001))
        async with running(desk):
            await asyncio.sleep(1)
        assert len(desk.ours()) == 5001

    quickly(day)
