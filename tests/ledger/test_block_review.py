"""The review of blocks: what was blocked before it was kept who wrote is asked about once, one by one or together."""

from datetime import timedelta

from sqlalchemy import update

from tests.ledger.desk import ME, Desk
from worker.language.actions import BlockSender, Unblock
from worker.ledger.db.tables import entries
from worker.ledger.entries import Entry

MONTH = timedelta(days=30)


async def block(desk: Desk, *patterns: str) -> None:
    """Let blocks of ours stand whose proof nobody knows, as an earlier version left them."""
    for pattern in patterns:
        made = await desk.wish(BlockSender(pattern, for_=MONTH), cause=f"{pattern}/1", sender=pattern)
        await desk.carry_out(made)
    desk.runner.transact(lambda conn: conn.execute(update(entries).values(authenticated="")))


async def waiting(desk: Desk) -> dict[str, Entry]:
    return {entry.sender: entry for entry in await desk.ledger.entries(ME, states=("waiting",))}


async def order(desk: Desk, verb: str, subject: str) -> None:
    await desk.ledger.order(ME, verb, subject, "ada", "", desk.now)
    await desk.ledger.take_orders(ME, desk.now)


async def test_standing_blocks_that_nothing_proves_come_up_once_as_one_item_with_their_senders() -> None:
    desk = Desk()
    await block(desk, "a@one.example", "b@two.example")
    assert [one.sender for one in await desk.ledger.review_blocks(ME, desk.now, {})] == [
        "a@one.example",
        "b@two.example",
    ]
    asked = await waiting(desk)
    assert asked.keys() == {"a@one.example", "b@two.example"}
    assert {(one.item, one.why) for one in asked.values()} == {("review/blocks", "unproved")}
    assert asked["a@one.example"].action == Unblock("a@one.example")
    assert await desk.ledger.review_blocks(ME, desk.now, {}) == ()


async def test_a_person_takes_one_back_and_keeps_the_rest() -> None:
    desk = Desk()
    await block(desk, "a@one.example", "b@two.example")
    await desk.ledger.review_blocks(ME, desk.now, {})
    taken = (await waiting(desk))["a@one.example"]
    await order(desk, "approve", taken.id)
    await order(desk, "refuse", "review/blocks")
    await desk.carry_out(await desk.now_of(taken))
    ends = [entry for entry in await desk.ledger.entries(ME) if entry.item_kind == "end"]
    assert {entry.target: entry.state for entry in ends} == {
        "EMAIL:a@one.example": "moot",
        "EMAIL:b@two.example": "ready",
    }


async def test_what_is_proved_or_gone_or_approved_is_not_asked_about() -> None:
    desk = Desk()
    await block(desk, "gone@one.example")
    await desk.carry_out(await desk.wish(Unblock("gone@one.example"), cause="gone/1"))
    asks = await desk.wish(BlockSender("b@two.example"), cause="c/1", authenticated="", state="waiting", why="unproved")
    await order(desk, "approve", asks.id)
    await desk.carry_out(asks)
    await desk.carry_out(await desk.wish(BlockSender("c@three.example"), cause="d/1"))
    assert await desk.ledger.review_blocks(ME, desk.now, {}) == ()


async def test_what_a_mail_proves_that_is_still_there_is_not_asked_about() -> None:
    desk = Desk()
    await block(desk, "a@one.example", "b@two.example")
    first, second = await desk.ledger.review_blocks(ME, desk.now)
    assert await waiting(desk) == {}
    await desk.ledger.review_blocks(ME, desk.now, {first.id: "one.example", second.id: "other.example"})
    assert (await waiting(desk)).keys() == {"b@two.example"}
