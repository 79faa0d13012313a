"""A channel that does not take notices is told of until it takes one."""

from tests.desk import Desk
from worker.daemon.readiness import warn_of_notices
from worker.errors import Temporary
from worker.language.actions import Notify
from worker.ledger.notices import Untaken
from worker.sandbox import ACCOUNT


async def break_channel(desk: Desk) -> None:
    """Let the channel ``soc`` take nothing, and every other all."""

    async def deaf(channel: str, text: str) -> None:
        if channel == "soc":
            raise Temporary("channel 'soc' did not take the notice: check that its address still works")
        await desk.notify(channel, text)

    desk.channel = deaf
    desk.restart()


async def find_untaken(desk: Desk) -> tuple[Untaken, ...]:
    return (await desk.ledger.find_standstill(ACCOUNT, desk.clock.now())).untaken


async def test_what_a_channel_does_not_take_is_told_with_how_much_since_when_and_why() -> None:
    desk, begun = Desk(), 0.0
    await break_channel(desk)
    for number in range(3):
        for channel in ("soc", "ops"):
            await desk.enter(Notify(channel), cause=f"2026-09-21T14:13:20Z/Message/m{number}/1", item=f"item/{number}")
        begun = begun or desk.clock.now()
        await desk.run(90)
    (one,) = await find_untaken(desk)
    assert (one.channel, one.notices, one.given_up, one.since) == ("soc", 3, 0, begun)
    (told,) = warn_of_notices("a", await desk.ledger.find_standstill(ACCOUNT, desk.clock.now()), desk.clock.now())
    assert told.startswith(
        "account a: channel soc has not taken 3 notices, the oldest for 270 s (channel 'soc' did not"
    )
    assert told.endswith("check WORKER_NOTIFY_SOC and what stands behind it")


async def test_the_warning_is_taken_back_when_one_is_delivered_although_others_were_given_up() -> None:
    desk = Desk()
    await break_channel(desk)
    await desk.enter(Notify("soc"))
    await desk.run(3 * 3600)
    (one,) = await find_untaken(desk)
    assert (one.notices, one.given_up, await desk.states()) == (1, 1, ["failed"])
    desk.channel = desk.notify
    desk.restart()
    await desk.enter(Notify("soc"), cause="2026-09-21T14:13:20Z/Message/m2/1", item="item/2")
    await desk.run(120)
    assert (sorted(await desk.states()), await find_untaken(desk)) == (["done", "failed"], ())


async def test_a_notice_that_was_given_up_is_told_of_for_a_day() -> None:
    desk = Desk()
    await break_channel(desk)
    await desk.enter(Notify("soc"))
    await desk.run(3 * 3600)
    desk.clock.advance(86_400)
    assert await find_untaken(desk) == ()
