"""Mail of which a field cannot be read, from the wire to the action: read again when a person wants it."""

import time

import pytest
from msgspec.structs import replace

from tests.daemon.bench import Bench, until
from tests.faults.rig import Trapped
from tests.rule_files import rule_files
from worker.sandbox import ACCOUNT
from worker.sandbox.wire import IncomingRequest, OutgoingResponse

pytestmark = pytest.mark.slow  # it runs a worker

READS = """
    @rule(mode=ENFORCE)
    @example(sample.message(subject="Pay now"), gives=Move("DeletedItems"))
    @example(sample.message(), gives=None)
    def reads(message: Message) -> Move | None:
        "Look at the subject."
        return Move("DeletedItems") if message.subject == "Pay now" else None
"""


def spoil(_: IncomingRequest, answer: OutgoingResponse) -> OutgoingResponse:
    """Let the subject be no text."""
    return replace(answer, body=answer.body.replace(b'"subject":"Pay now"', b'"subject":[{}]'))


async def test_mail_that_is_held_for_a_field_is_moved_once_a_person_lets_it_be_read_again(bench: Bench) -> None:
    bench.world = Trapped(now=time.time)
    rule_files(bench.rules, moves=READS)
    async with bench.api(), bench.worker(WORKER_OVERLAP="0s") as app:
        bench.world.trap = spoil
        mail = bench.world.add_message(subject="Pay now", disposition="SPAM")
        ledger = app.services.ledger
        while not (held := await ledger.list_held(ACCOUNT)) or not held[0].tries:
            await until(lambda: app.workers[0].totals["new"] > 0)
        bench.world.trap = lambda _, answer: answer
        await ledger.order(ACCOUNT, "retry held", "", "ada", "", time.time(), covers=[held[0].sight.key])
        await until(lambda: any(one.operation == "move" for one in bench.world.effects))
    assert held[0].why.startswith("rule reads uses subject, which cannot be read")
    assert [one.target for one in bench.world.effects] == [mail.id]
