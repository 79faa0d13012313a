"""A unit of work writes what it changed in an order in which every place is free before it is taken."""

import pytest

from tests.ledger.desk import JUNK, ME, T0, TRASH, Desk
from worker.errors import StoreError
from worker.ledger.cascade import open_unit_of_work
from worker.ledger.unit_of_work import Mint


async def test_a_place_may_be_taken_before_it_was_freed_in_the_same_transaction() -> None:
    desk = Desk()
    first, second = await desk.wish(JUNK), await desk.wish(TRASH)
    assert second.state == "held"
    await desk.claim(first)
    await desk.answer(first)
    with desk.runner.engine.begin() as conn, open_unit_of_work(conn, ME, T0, Mint("third")) as work:
        (behind,), (sent,) = work.fetch([second.id]), work.fetch([first.id])
        work.move(behind, "ready", "released")
        work.move(sent, "done", "settled")
    assert (await desk.state(first), await desk.state(second)) == ("done", "ready")


async def test_a_step_that_the_table_does_not_have_is_refused() -> None:
    desk = Desk()
    wish = await desk.wish()
    bug = pytest.raises(StoreError, match="report this as a bug")
    with desk.runner.engine.begin() as conn, bug, open_unit_of_work(conn, ME, T0, Mint("third")) as work:
        work.move(work.fetch([wish.id])[0], "sent", "answered")
