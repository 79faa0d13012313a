"""Figures of a running worker: what it counts, what begins at zero, and how old what it says may be."""

import re
import time

import pytest

from tests.daemon.bench import Bench, until
from tests.rule_files import GOOD, rule_files
from worker.daemon import App, maintenance
from worker.ledger.entries import FINAL
from worker.sandbox import ACCOUNT

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]  # it starts a server


def read(app: App, name: str, **labels: str) -> float | None:
    """Return the value of a series, None when there is none."""
    found: float | None = app.services.outlets.metrics.registry.get_sample_value(name, labels)
    return found


def count_done(app: App, rule: str = "moves") -> float | None:
    """Return how many moves of a rule are done."""
    return read(app, "worker_actions_total", account=ACCOUNT, rule=rule, kind="Move", outcome="done")


async def test_the_process_says_what_it_is_and_since_when(bench: Bench) -> None:
    async with bench.api(), bench.app() as app:
        await app.begin()
        page = app.services.outlets.metrics.render().decode()
        assert re.search(r'^worker_build_info{python="3\.[\d.]+",version="\d[^"]*"} 1\.0$', page, re.MULTILINE)
        assert abs((read(app, "worker_start_time_seconds") or 0.0) - time.time()) < 60
        ceilings = {name: read(app, "worker_ceiling", ceiling=name) for name in ("observe", "approve", "enforce")}
        assert ceilings == {"observe": 0.0, "approve": 0.0, "enforce": 1.0}


async def test_each_outcome_of_each_rule_begins_at_zero_also_of_rules_that_come_later(bench: Bench) -> None:
    async with bench.api(), bench.worker() as app:
        for outcome in FINAL:
            assert read(app, "worker_actions_total", account=ACCOUNT, rule="moves", kind="Move", outcome=outcome) == 0.0
        assert count_done(app, "good") is None
        rule_files(bench.rules, good=GOOD)
        await until(lambda: count_done(app, "good") == 0.0)
        assert read(app, "worker_rule_failures_total", rule="good") == 0.0


async def test_actions_and_calls_are_counted_by_rule(bench: Bench) -> None:
    bench.world.arrive(4, "outbreak")
    async with bench.api(), bench.worker() as app:
        await until(lambda: count_done(app) == 4.0)
        calls, seconds = (read(app, f"worker_rule_{what}_total", rule="moves") for what in ("calls", "seconds"))
        assert calls is not None
        assert seconds is not None
        assert (calls >= 4, 0 < seconds < calls) == (True, True)
        assert read(app, "worker_new_records_total", source="messages") == len(bench.world.mails)


async def test_only_mail_that_came_while_the_worker_ran_counts_for_the_time_to_action(bench: Bench) -> None:
    bench.world.arrive(2, "outbreak")
    async with bench.api(), bench.worker() as app:
        await until(lambda: count_done(app) == 2.0)
        assert read(app, "worker_time_to_action_seconds_count", account=ACCOUNT, kind="Move") == 0.0
        bench.world.arrive(3, "outbreak")
        await until(lambda: count_done(app) == 5.0)
        assert read(app, "worker_time_to_action_seconds_count", account=ACCOUNT, kind="Move") == 3.0
        assert read(app, "worker_time_to_answered_seconds_count") == 5.0


async def test_brakes_and_what_waits_are_figures_without_being_asked_for(bench: Bench) -> None:
    async with bench.api(), bench.app(WORKER_CEILING="approve") as app:
        await app.begin()
        bench.world.arrive(3, "outbreak")
        await app.take_turn(app.workers[0].list_loops()[0])
        ledger, now = app.services.ledger, app.services.clock.now()
        for subject in ("", "lane:block", "lane:trust", "rule:moves"):
            await ledger.order(ACCOUNT, "brake", subject, "ada", "", now)
        await maintenance.take_orders(app)
        await maintenance.read_standstill(app)
        scopes = [read(app, "worker_brakes", account=ACCOUNT, scope=scope) for scope in ("everything", "lane", "rule")]
        assert scopes == [1.0, 2.0, 1.0]
        assert read(app, "worker_waiting_entries", account=ACCOUNT) == 3.0
        assert 0 <= (read(app, "worker_waiting_oldest_seconds", account=ACCOUNT) or -1.0) < 60


async def test_the_head_of_the_audit_records_is_numbered_and_grows_old(bench: Bench) -> None:
    async with bench.api(), bench.app() as app:
        await app.begin()
        await maintenance.Records(app).step()
        await maintenance.update_gauges(app)
        assert read(app, "worker_audit_head_number", account=ACCOUNT) == len(bench.records.getvalue().splitlines())
        assert 0 <= (read(app, "worker_audit_head_age_seconds", account=ACCOUNT) or 0.0) < 60
