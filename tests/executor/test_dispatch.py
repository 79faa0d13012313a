"""Gathering, claiming, refusals, outages and notices."""

import asyncio
from collections import Counter

import pytest

from tests.desk import RULE, Desk
from tests.support import client_of, refusing, untouched
from worker.api import Request, Response
from worker.api.refusals import CREDENTIAL_CODES
from worker.errors import Temporary
from worker.language.actions import AllowSender, BlockSender, Move, Notify, Release
from worker.language.policies import Policies
from worker.ledger.entries import Look, Standing
from worker.sandbox import ACCOUNT, Fault

JUNK = Move(destination="JunkEmail")


async def test_while_a_source_is_reading_a_batch_waits_up_to_a_second_for_more() -> None:
    desk = Desk()
    desk.busy = True
    await desk.enter(JUNK, desk.old(3))
    await desk.run(0.9, every=0.3)
    assert desk.ours() == []
    await desk.enter(JUNK, desk.world.arrive(2, "phish"))
    await desk.run(0.5, every=0.3)
    assert desk.world.requests["POST investigate/move"] == {"200": 1}
    assert len(desk.ours()) == 5


async def test_nothing_is_claimed_while_the_budget_is_spent() -> None:
    desk = Desk()
    desk.budget.update(429, {"retry-after": "100"})
    await desk.enter(JUNK, desk.old(3))
    await desk.run(90)
    assert set(await desk.states()) == {"ready"}
    await desk.run(30)
    assert set(await desk.states()) == {"done"}


async def test_a_rule_that_was_lowered_meanwhile_has_nothing_claimed() -> None:
    desk = Desk()
    desk.ceiling = RULE.mode.__class__(1)
    await desk.enter(JUNK, desk.old(3))
    await desk.run(5)
    assert set(await desk.states()) == {"waiting"}
    assert desk.ours() == []


@pytest.mark.parametrize(("make", "name"), [(BlockSender, "block_senders"), (AllowSender, "allow_policies")])
async def test_a_refused_batch_is_halved_until_the_bad_pattern_stands_alone(
    make: type[BlockSender | AllowSender], name: str
) -> None:
    desk = Desk()
    patterns = [f"p{number}@c0rp.example" for number in range(20)]
    patterns[7] = bad = f"{65 * 'p'}@c0rp.example"
    for pattern in patterns:
        await desk.enter(make(pattern=pattern))
    await desk.run(30)
    failed = [entry for entry in await desk.entries() if entry.state == "failed"]
    assert [entry.target for entry in failed] == [f"EMAIL:{bad}"]
    assert Counter(await desk.states())["done"] == 19
    assert len(set(desk.ours(f"{name}.create")) - {f"email:{bad}"}) == 19
    assert "400" in failed[0].said or "pattern" in failed[0].said


async def test_without_the_permission_every_entry_fails_in_plain_words() -> None:
    desk = Desk(integration="refused")
    await desk.enter(JUNK, desk.old(2))
    await desk.run(5)
    assert await desk.states() == ["failed", "failed"]
    assert "no integration with write access" in (await desk.entries())[0].said


@pytest.mark.slow
async def test_a_request_that_is_wrong_for_all_does_not_spend_the_budget() -> None:
    desk = Desk(integration="refused")
    await desk.enter(JUNK, desk.old(500))
    await desk.executor.step()
    assert desk.world.requests["POST investigate/move"]["400"] == 20
    assert 0 < Counter(await desk.states())["failed"] < 20
    assert "no integration" in desk.executor.problems["move"]
    await desk.run(120)
    assert Counter(await desk.states())["ready"] > 450
    assert desk.world.requests["POST investigate/move"]["400"] <= 60


async def test_an_entry_that_a_brake_keeps_back_at_the_last_moment_is_left_alone_for_a_second() -> None:
    desk, verbs = Desk(), ["unbrake", "brake"]

    async def order() -> Policies:
        if verbs:
            await desk.ledger.order(ACCOUNT, verbs.pop(), "", "ada", "", desk.clock.now())
            await desk.ledger.take_orders(ACCOUNT, desk.clock.now())
        return desk.policies

    desk.restart(order)
    await desk.enter(BlockSender(pattern="ada@c0rp.example"))
    await desk.executor.step()
    await order()
    await desk.executor.step()
    assert await desk.states() == ["ready"]
    desk.clock.advance(1)
    await desk.executor.step()
    assert await desk.states() == ["sent"]


async def test_a_channel_that_stays_deaf_fails_its_notice_after_five_attempts() -> None:
    desk = Desk()
    tried: list[str] = []

    async def deaf(_: str, text: str) -> None:
        tried.append(text)
        raise Temporary("nobody listens")

    desk.channel = deaf
    desk.restart()
    await desk.enter(Notify(channel="soc"))
    await desk.run(3600, every=5)
    entry = await desk.only()
    assert (entry.state, len(tried)) == ("failed", 5)
    assert "nobody listens" in entry.said


async def test_a_notice_says_how_its_decision_ended() -> None:
    desk = Desk()
    (mail,) = desk.old()
    await desk.enter(JUNK, [mail], item="decision")
    await desk.enter(Notify(channel="soc"), item="decision", target="soc")
    await desk.run(120)
    assert await desk.states() == ["done", "done"]
    assert "Move done" in desk.heard[0][1]


async def test_notices_wait_for_each_other_and_arrive_as_one() -> None:
    desk = Desk()
    for number in range(3):
        await desk.enter(Notify(channel="soc"), sight=number, item="", target="soc")
        await desk.run(10)
    assert desk.heard == []
    await desk.run(45)
    assert [(channel, text.split("\n")[0]) for channel, text in desk.heard] == [("soc", "lookalike: 3 notices")]
    assert set(await desk.states()) == {"done"}


async def test_a_channel_that_hangs_delays_no_notice_to_another() -> None:
    desk = Desk()

    async def hang(channel: str, text: str) -> None:
        if channel == "soc":
            await asyncio.Event().wait()
        await desk.notify(channel, text)

    desk.channel = hang
    desk.restart()
    for channel in ("soc", "helpdesk"):
        await desk.enter(Notify(channel=channel))
    await desk.executor.step()
    desk.clock.advance(61)
    hanging = asyncio.create_task(desk.executor.step())
    async with asyncio.timeout(5):
        while not desk.heard:  # noqa: ASYNC110 (what is waited for happens deep inside)
            await asyncio.sleep(0)
    assert [channel for channel, _ in desk.heard] == ["helpdesk"]
    hanging.cancel()


@pytest.mark.slow
async def test_an_outage_costs_nothing_but_time() -> None:
    desk = Desk()
    mails = desk.old(5)
    await desk.enter(JUNK, mails)
    desk.world.faults.script([Fault("reset", "", "", count=200)])
    await desk.run(300)
    assert set(await desk.states()) == {"ready"}
    desk.world.faults.written.clear()
    await desk.run(120)
    assert set(await desk.states()) == {"done"}
    assert {entry.attempts for entry in await desk.entries()} == {1}


@pytest.mark.slow
@pytest.mark.parametrize("code", sorted(CREDENTIAL_CODES))
async def test_a_credential_that_is_refused_as_a_bad_request_loses_nothing(code: int) -> None:
    desk = Desk()
    await desk.enter(JUNK, desk.old(2))
    desk.meddle = refusing("investigate/move", 400, code)
    await desk.run(20)
    assert await desk.states() == ["ready", "ready"]
    assert f"({code})" in desk.executor.problems["move"]
    desk.meddle = untouched
    await desk.run(120)
    assert await desk.states() == ["done", "done"]


async def test_a_token_that_may_only_read_loses_nothing_and_a_better_one_goes_on() -> None:
    desk = Desk(who="read-only")
    await desk.enter(JUNK, desk.old(2))
    await desk.run(300)
    assert await desk.states() == ["ready", "ready"]
    assert "Cloud Email Security: Write" in desk.executor.problems["move"]
    assert desk.world.effects == []
    assert desk.world.requests["POST investigate/move"]["403"] < 12
    desk.client, desk.budget = client_of(desk.world, desk.clock, quota=100_000)
    desk.restart()
    await desk.run(120)
    assert await desk.states() == ["done", "done"]


@pytest.mark.slow
@pytest.mark.parametrize("make", [BlockSender, AllowSender])
async def test_senders_whose_addresses_are_refused_do_not_stop_the_listing_of_others(
    make: type[BlockSender | AllowSender],
) -> None:
    desk = Desk()
    # The API takes no pattern of more than 1,000 characters, as whoever sends mail may make his address.
    for number in range(40):
        await desk.enter(make(pattern=f"{number}{'x' * 1000}@evil.example"))
    await desk.enter(make(pattern="good@evil.example"))
    await desk.run(3600)
    assert (await desk.states()).count("failed") == 40
    assert (await desk.entries())[-1].state == "done"
    assert await desk.ledger.brakes(ACCOUNT) == ()


@pytest.mark.slow
@pytest.mark.parametrize(("action", "path"), [(Release(), "investigate/release"), (JUNK, "investigate/move")])
async def test_nothing_is_claimed_on_a_look_older_than_a_minute(action: Move | Release, path: str) -> None:
    desk = Desk()
    mails = desk.old(800 if isinstance(action, Release) else 4500, quarantined=isinstance(action, Release))

    def slow(request: Request, answer: Response) -> Response:
        desk.clock.advance(18 if request.path.endswith(path) else 0)
        return answer

    desk.meddle = slow
    await desk.enter(action, mails)
    await desk.run(400)
    entries = await desk.entries()
    assert Counter(entry.state for entry in entries) == {"done": len(mails)}
    assert max(entry.claimed_at - entry.look.at for entry in entries if entry.look) <= 60


@pytest.mark.slow
async def test_what_cannot_leave_soon_after_its_claim_is_ready_again_and_no_attempt() -> None:
    desk = Desk()

    def shut() -> Standing:
        desk.budget.update(429, {"retry-after": "300"})
        return Desk.standing(desk)

    desk.standing = shut  # type: ignore[method-assign]
    desk.restart()
    await desk.enter(JUNK, desk.old(3))
    begun = desk.clock.now()
    await desk.executor.step()
    assert [(entry.state, entry.attempts) for entry in await desk.entries()] == [("ready", 0)] * 3
    assert (desk.ours(), desk.clock.now()) == ([], begun)


async def test_a_problem_is_over_when_nothing_is_left_that_could_have_it() -> None:
    desk = Desk()
    desk.world.faults.script([Fault("reset", "GET", "settings/block_senders", count=5)])
    await desk.enter(BlockSender(pattern="ada@c0rp.example"))
    await desk.run(1, until=lambda: bool(desk.executor.problems))
    assert list(desk.executor.problems) == ["block"]
    await desk.ledger.retire(ACCOUNT, [((await desk.only()).id, "overtaken")], desk.clock.now())
    for _ in range(2):
        await desk.run(60)
    assert desk.executor.problems == {}


async def test_a_problem_of_proof_is_over_when_proof_was_found() -> None:
    desk = Desk()
    desk.world.faults.script([Fault("html", "GET", "investigate", count=5)])
    mail = desk.old()[0]
    desk.looks.remember(mail.id, Look(desk.clock.now(), "MALICIOUS|delivered"))
    await desk.enter(JUNK, [mail])
    await desk.run(60, until=lambda: bool(desk.executor.problems))
    assert list(desk.executor.problems) == ["proof of Move"]
    await desk.run(60)
    assert (await desk.states(), desk.executor.problems) == (["done"], {})


@pytest.mark.slow
async def test_an_outage_of_any_length_ends_in_a_minute() -> None:
    desk = Desk()
    await desk.enter(JUNK, [desk.world.add_message(id="odd-1", scanned=desk.clock.now() - 3600)])
    desk.meddle = lambda request, answer: refusing(request.path, 401)(request, answer)
    for _ in range(1100):
        await desk.executor.step()
        desk.clock.advance(61)
    desk.meddle = untouched
    await desk.run(120)
    assert await desk.states() == ["done"]


async def test_a_problem_of_proof_is_not_over_while_it_is_asked_about_again() -> None:
    desk = Desk()
    await desk.enter(BlockSender(pattern="ada@c0rp.example"))
    await desk.executor.step()
    told: list[bool] = []

    def away(request: Request, answer: Response) -> Response:
        """Look at what is told each time that the API is asked in vain."""
        told.append("proof of BlockSender" in desk.executor.problems)
        return refusing(request.path, 502)(request, answer)

    desk.meddle = away
    await desk.run(120)
    first = told.index(True)
    assert all(told[first:])
    assert len(told) > first + 5
