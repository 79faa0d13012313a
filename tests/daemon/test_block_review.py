"""The review of blocks: mails that are still there tell what they prove, and a person is asked about the rest."""

import pytest
from sqlalchemy import update

from tests.desk import Desk
from worker.daemon.block_review import BlockReview
from worker.errors import WorkerError
from worker.language.actions import BlockSender, Unblock
from worker.ledger.db.tables import entries
from worker.sandbox import Fault

PASS = {"comment": None, "dkim": "none", "spf": "pass", "dmarc": "none"}


async def block(desk: Desk, sender: str, cause: str) -> None:
    """Let a block stand whose proof nobody kept."""
    await desk.enter(BlockSender(sender), cause=f"2026-09-21T14:13:20Z/{cause}/1", sender=sender)
    await desk.run(30)
    desk.runner.transact(lambda conn: conn.execute(update(entries).values(authenticated="")))


def review(desk: Desk) -> BlockReview:
    return BlockReview(desk.services(desk.lists))


async def asked(desk: Desk) -> list[object]:
    return [one.action for one in await desk.entries() if one.state == "waiting"]


async def test_only_blocks_that_their_mail_does_not_prove_or_whose_mail_is_gone_come_up() -> None:
    desk = Desk()
    proves = desk.world.add_message(sender="a@one.example", envelope_from="a@one.example", validation=PASS)
    forged = desk.world.add_message(sender="b@two.example", envelope_from="x@evil.example", validation=PASS)
    await block(desk, "a@one.example", f"Message/{proves.id}")
    await block(desk, "b@two.example", f"Message/{forged.id}")
    await block(desk, "c@three.example", "Message/gone")
    await block(desk, "d@four.example", "Report/1")
    await review(desk).step()
    patterns = ("b@two.example", "c@three.example", "d@four.example")
    assert await asked(desk) == [Unblock(one) for one in patterns]
    await review(desk).step()
    assert len(await asked(desk)) == len(patterns)


async def test_nothing_is_asked_while_the_api_does_not_answer() -> None:
    desk = Desk()
    mail = desk.world.add_message(sender="a@one.example", envelope_from="a@one.example", validation=PASS)
    await block(desk, "a@one.example", f"Message/{mail.id}")
    desk.world.faults.script([Fault("html", "GET", "investigate", count=30)])
    with pytest.raises(WorkerError):
        await review(desk).step()
    desk.world.faults.written.clear()
    await review(desk).step()
    assert await asked(desk) == []
