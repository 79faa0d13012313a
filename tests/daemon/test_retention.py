"""What the worker forgets, and when."""

import time

import pytest

from tests.daemon.bench import Bench
from worker.daemon import maintenance
from worker.ledger.values import Page, Reading, Thing
from worker.sandbox import ACCOUNT

pytestmark = pytest.mark.slow  # it starts a process

DAY = 86400.0


async def test_a_thing_is_known_for_as_long_as_its_source_may_show_it_again(bench: Bench) -> None:
    now = time.time()
    ages = {("Message", 9), ("Message", 11), ("Report", 11), ("Report", 36), ("Report", 38)}
    seen = [Reading(thing=Thing(kind, now - days * DAY, f"{days}"), state="read", raw=b"{}") for kind, days in ages]
    async with bench.app(WORKER_SWEEP="3d") as app:
        ledger = app.services.ledger
        news = await ledger.news(ACCOUNT, seen, now, 0.0)
        await ledger.enter(Page(account=ACCOUNT, now=now, source="messages", news=news))
        await maintenance.apply_retention(app)
        forgotten = (await ledger.news(ACCOUNT, seen, now, 0.0)).sights
    assert {(one.reading.thing.kind, one.reading.thing.id) for one in forgotten} == {
        ("Message", "11"),
        ("Report", "38"),
    }
