"""The guard of blocks: whoever is known to the account is blocked only by a person."""

import pytest

from tests.cells import each
from tests.desk import Desk
from tests.support import BEGIN
from worker.errors import ServerFault, Unauthorised
from worker.executor.guard import PER_MINUTE
from worker.language.actions import BlockSender
from worker.language.policies import Policies, Registry
from worker.language.rules import APPROVE
from worker.sandbox import Fault

DAY = 86_400.0
STRANGER = BlockSender("x@evil.example")
SEARCH = "GET investigate"


def searches(desk: Desk) -> int:
    return sum(desk.world.requests.get(SEARCH, {}).values())


async def test_a_stranger_who_proved_to_be_one_is_blocked_at_once() -> None:
    desk = Desk()
    desk.world.add_message(disposition="NONE", sender="y@evil.example", scanned=BEGIN - 3 * DAY)
    await desk.enter(STRANGER)
    await desk.run(30)
    assert await desk.states() == ["done"]
    assert searches(desk) == 1


@pytest.mark.slow
@each(("days", "state"), [(3.0, "waiting"), (29.0, "waiting"), (0.5, "done"), (31.0, "done")])
@each(("action", "sender"), [(STRANGER, "X@Evil.example"), (BlockSender("evil.example", "DOMAIN"), "y@evil.example")])
async def test_who_wrote_clean_mail_in_the_month_before_is_left_to_a_person(
    days: float, state: str, action: BlockSender, sender: str
) -> None:
    desk = Desk()
    desk.world.add_message(disposition="NONE", sender=sender, scanned=BEGIN - days * DAY)
    desk.world.add_message(disposition="SPAM", sender=sender, scanned=BEGIN - 5 * DAY)
    await desk.enter(action)
    await desk.run(30)
    entry = await desk.only()
    assert (entry.state, entry.why) == (state, "wrote_before" if state == "waiting" else "")


async def test_a_server_that_sent_clean_mail_before_is_left_to_a_person() -> None:
    desk = Desk()
    desk.world.add_message(disposition="NONE", smtp_helo_server_ip="192.0.2.7", scanned=BEGIN - 3 * DAY)
    await desk.enter(BlockSender("192.0.2.0/24", "IP"), authenticated="192.0.2.7")
    await desk.run(5)
    assert (await desk.only()).why == "wrote_before"


@each("action", [BlockSender("Ada@home.example"), BlockSender("home.example", "DOMAIN")])
async def test_who_is_registered_is_left_to_a_person_without_a_search(action: BlockSender) -> None:
    desk = Desk()
    desk.registry = Registry.of([("Ada Cole", "ada@home.example"), ("Ada Cole", None)])
    await desk.enter(action)
    await desk.run(5)
    assert ((await desk.only()).why, searches(desk)) == ("registered", 0)


@each("action", [BlockSender("Ada@home.example"), BlockSender("home.example", "DOMAIN")])
async def test_whom_a_registered_expression_finds_is_left_to_a_person(action: BlockSender) -> None:
    desk = Desk()
    desk.registry = Registry.of([], [("Ada Cole", r"ada@(corp|home)\.example")])
    await desk.enter(action)
    await desk.run(5)
    assert (await desk.only()).why == "registered"


async def test_a_person_may_block_whom_the_worker_does_not() -> None:
    desk = Desk()
    desk.world.add_message(disposition="NONE", sender="x@evil.example", scanned=BEGIN - 3 * DAY)
    await desk.enter(STRANGER)
    await desk.run(5)
    await desk.enter(STRANGER, sight=2)  # the next mail of the same sender asks nobody anew
    assert await desk.states() == ["waiting"]
    await desk.approve()
    await desk.run(30)
    assert (await desk.states(), searches(desk)) == (["done"], 1)


@pytest.mark.slow
async def test_a_search_that_is_not_answered_keeps_the_block_waiting_its_turn_and_for_no_person() -> None:
    desk = Desk()
    desk.world.faults.script([Fault("html", "GET", "investigate", count=30)])
    await desk.enter(STRANGER)
    await desk.run(20)
    assert await desk.states() == ["ready"]
    await desk.run(600)
    assert await desk.states() == ["done"]


@pytest.mark.slow
async def test_at_most_thirty_senders_are_looked_up_in_a_minute_and_each_once() -> None:
    desk = Desk()
    for number in range(PER_MINUTE + 10):
        await desk.enter(BlockSender(f"x{number}@evil.example"))
    await desk.run(40)
    assert searches(desk) == PER_MINUTE
    await desk.run(60)
    assert set(await desk.states()) == {"done"}
    assert searches(desk) == PER_MINUTE + 10


async def test_no_search_is_spent_on_a_block_that_would_not_go() -> None:
    desk = Desk()
    await desk.enter(STRANGER, authenticated="")
    desk.ceiling = APPROVE
    await desk.enter(BlockSender("y@evil.example"))
    await desk.run(20)
    assert (await desk.states(), searches(desk)) == (["waiting", "waiting"], 0)


async def test_without_a_domain_of_our_own_on_the_list_every_block_is_a_persons() -> None:
    desk = Desk()
    desk.policies = Policies()
    await desk.enter(STRANGER)
    await desk.run(5)
    assert (await desk.only()).why == "domains_unknown"
    await desk.approve()
    await desk.run(30)
    assert await desk.states() == ["done"]


@pytest.mark.slow
async def test_a_block_is_tried_again_for_an_hour_while_our_lists_cannot_be_read() -> None:
    desk = Desk()

    async def fail() -> Policies:
        raise ServerFault("down")

    desk.restart(policies=fail)
    await desk.enter(STRANGER)
    await desk.run(3500)
    assert await desk.states() == ["ready"]
    await desk.run(300)
    assert [(one.state, one.why) for one in await desk.entries()] == [("waiting", "domains_unknown")]
    await desk.approve()
    await desk.run(120)
    assert await desk.states() == ["done"]


async def test_a_registry_that_may_not_be_read_is_told_and_no_block_goes_past_it() -> None:
    desk = Desk()

    async def refuse() -> Registry:
        raise Unauthorised("the token may not read the impersonation registry")

    desk.people = refuse  # type: ignore[method-assign]
    desk.restart()
    await desk.enter(STRANGER)
    await desk.run(20)
    assert await desk.states() == ["ready"]
    assert "impersonation registry" in " ".join(desk.executor.problems.values())
