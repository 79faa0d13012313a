"""Requests for another verdict in a whole daemon: their ends are read though no rule is about submissions."""

import re
import time

import pytest

from tests.daemon.bench import Bench, until
from tests.ledger.desk import Desk, standing
from tests.rule_files import rule_files
from worker import Reclassify, daemon
from worker.daemon import App, maintenance
from worker.ledger.entries import Answered, Claim, Look, Outcome
from worker.ledger.values import Page
from worker.sandbox import ACCOUNT, SandboxOptions, World
from worker.settings import Settings
from worker.telemetry import Metrics, Outlets, open_log

pytestmark = pytest.mark.slow  # it starts a server

ASKS = """
@rule(mode=ENFORCE, limit=per_hour(1000))
@example(sample.message(final_disposition="SPAM"), gives=Reclassify("NONE"))
@example(sample.message(final_disposition="BULK"), gives=None)
def asks(message: Message) -> Reclassify | None:
    "Ask for another verdict."
    return Reclassify("NONE") if message.final_disposition == "SPAM" else None
"""


REVIEWS = {"done": "granted", "rejected": "rejected"}


def prepare(bench: Bench, review_delay: float) -> None:
    """Let a rule ask for another verdict, of an account that decides after so many seconds."""
    rule_files(bench.rules, moves=ASKS)
    bench.world = World(now=time.time, options=SandboxOptions(submission_delay=0.0, review_delay=review_delay))


def sources(app: App) -> set[str]:
    return {intake.source.name for intake in app.workers[0].needed}


async def test_what_was_asked_for_is_followed_and_the_source_rests_afterwards(bench: Bench) -> None:
    prepare(bench, review_delay=0.5)
    async with bench.api(), bench.worker() as app:
        await until(lambda: app.check_readiness().ready)
        assert sources(app) == {"messages"}
        bench.world.arrive(6, "spam")
        await until(lambda: sources(app) == {"messages", "submissions"})
        await until(lambda: sources(app) == {"messages"})
        ends = (await app.services.ledger.counts(ACCOUNT))["Reclassify"]
        await maintenance.count_entries(app)
        page = app.services.outlets.metrics.render().decode()
    told = re.findall(r'worker_reviews{.*review="(\w+)",rule="asks"} (\d)', page)
    assert {review: int(count) for review, count in told} == {REVIEWS[state]: count for state, count in ends.items()}
    assert (set(ends) <= {"done", "rejected"}, sum(ends.values())) == (True, 6)


async def accept_one(bench: Bench) -> str:
    """Leave a request in the ledger that is accepted; return its submission."""
    ident = bench.world.add_submission(type="Team", requested_disposition="SPAM", original_postfix_id="4Njp")
    async with bench.app() as app:
        now, desk = app.services.clock.now(), Desk()
        desk.ledger, desk.now = app.services.ledger, now
        wish = desk.draft(Reclassify("SPAM"), "4Njp-x", known_at=now)
        await desk.ledger.enter(Page(account=ACCOUNT, now=now, source="messages", drafts=(wish,)))
        (entry,) = await desk.ledger.entries(ACCOUNT)
        await desk.ledger.claim(ACCOUNT, [Claim(entry.id, Look(at=now))], standing(), now, now)
        await desk.ledger.answer(ACCOUNT, [Answered(id=entry.id, state="sent", at=now)], now)
        accepted = Outcome(id=entry.id, state="sent", review="accepted", remote=ident, next_at=now + 999)
        await desk.ledger.settle(ACCOUNT, [accepted], now)
    return ident


async def test_a_round_is_complete_when_all_is_asked_and_reads_what_becomes_of_it(bench: Bench) -> None:
    async with bench.api():
        ident = await accept_one(bench)
        summaries = []
        for status in ("pending", "invalid"):
            bench.world.change_submission(ident, status=status)
            outlets = Outlets(open_log(bench.log), bench.records, Metrics())
            summaries.append(await daemon.run_once(Settings.load(bench.environment), outlets))
    assert [one.entries["Reclassify"] for one in summaries] == [{"accepted": 1}, {"invalid": 1}]
    assert [one.unsettled for one in summaries] == [0, 0]
