"""Every reason of the documented table, broken on purpose: /readyz, status, the log and a metric tell it in time."""

import asyncio
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from math import inf
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession
from msgspec.structs import replace

from tests.daemon.bench import MOVES, Bench, until
from tests.faults.rig import Trapped
from tests.ledger.desk import Desk, reading
from tests.rule_files import BAD, rule_files
from tests.serving import passed_on
from tests.test_helm import GIVEN, container
from tests.test_readme import OPERATIONS, named
from worker import daemon
from worker.daemon import App, maintenance
from worker.daemon.readiness import KINDS, STUCK
from worker.judging.presence import MISSED
from worker.language.actions import BlockSender
from worker.ledger.entries import Outcome
from worker.ledger.ledger import Ledger, open_ledger
from worker.ledger.presence import FieldMemory, Track, encode
from worker.ledger.standstill import Standstill
from worker.ledger.values import Held, Page, Sight, Slice
from worker.sandbox import ACCOUNT, Fault, IncomingRequest, OutgoingResponse
from worker.sandbox.wire import refuse
from worker.telemetry.writer import TAKES_NOTHING

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]  # it starts a server

SOON, HANGING = 15.0, 25.0
"""Seconds within which a reason is told after what shows it; a hanging API shows itself after 20."""
HOUR = 3600.0
Break = Callable[[Bench, App], Awaitable[None]]


async def stop(_: Bench, app: App) -> None:
    """Ask the worker to stop; the log says so when its loops do."""
    app.stopping.set()
    app.log_readiness()


async def hear_reports(bench: Bench, _: App) -> None:
    """Let a rule be about reports, which are not answered yet."""
    bench.world.faults.script([Fault("reset", path="phishguard", count=1000)])
    rule = '@rule\ndef hears(report: Report) -> Move | None:\n    "Hear reports."\n    return None\n'
    rule_files(bench.rules, hears=rule)


async def keep_searching(bench: Bench, _: App) -> None:
    """Let each search say only that it goes on."""
    bench.world.faults.script([Fault("accepted", path="investigate", count=1000, seconds=100.0)])


async def leave_a_gap(_: Bench, app: App) -> None:
    """Let a gap be too much for the API."""
    now = app.services.clock.now()
    stuck = Slice(source="messages", kind="gap", start=now - 900, end=now - 840, why="too slow", next_at=now + 300)
    await app.services.ledger.enter(Page(account=ACCOUNT, now=now, source="messages", slice=stuck))


async def refuse_all(bench: Bench, _: App) -> None:
    """Let the subscription lack the product."""
    bench.world.options = replace(bench.world.options, entitled=False)


async def refuse_moves(bench: Bench, _: App) -> None:
    """Let a move not be answered as it should."""
    bench.world.faults.script([Fault("paced", path="investigate/move", seconds=600.0)])
    bench.world.arrive(2, "outbreak")


def spoil(_: IncomingRequest, answer: OutgoingResponse) -> OutgoingResponse:
    """Let no message in inboxes be readable."""
    return replace(answer, body=answer.body.replace(b'"is_quarantined":false', b'"is_quarantined":"perhaps"'))


async def garble(bench: Bench, _: App) -> None:
    """Let messages arrive that cannot be read."""
    assert isinstance(bench.world, Trapped)
    bench.world.trap = spoil
    bench.world.arrive(3, "outbreak")


def rename_verdict(_: IncomingRequest, answer: OutgoingResponse) -> OutgoingResponse:
    """Let all spam have a verdict that nobody knows."""
    return replace(answer, body=answer.body.replace(b'"SPAM"', b'"GRAYMAIL"'))


async def rename_field(bench: Bench, app: App) -> None:
    """Rename a field that all mail had but for the last."""
    await lack_field(bench, app.services.ledger)
    await app.workers[0].fields.recall()


async def lack_field(bench: Bench, ledger: Ledger) -> None:
    """Let the ledger remember a field that all mail had but for the last, and one more arrive without it."""
    await ledger.keep_presence(ACCOUNT, encode({"messages": FieldMemory(there={"sender": lacking_so_far()})}))
    assert isinstance(bench.world, Trapped)
    bench.world.trap = lambda _, answer: replace(answer, body=answer.body.replace(b'"from":', b'"from_address":'))
    bench.world.add_message(sender="ada@c0rp.example")


def lacking_so_far() -> Track:
    """Return what is remembered of a field that all records had but for the last: one more, and it is missed."""
    since = time.time() - 60
    return Track(began=since - 86400, usual_at=since - 1, missed=MISSED - 1, since=since, last=since + 10)


async def stall(bench: Bench, _: App) -> None:
    """Let a reader of stdout have taken nothing for a minute."""
    bench.records.stuck, bench.records.problem = STUCK, TAKES_NOTHING


async def hold_event(_: Bench, app: App) -> None:
    """Let an event wait for a fact for five minutes in a second."""
    now, sight = app.services.clock.now(), Sight(reading("m1"), 1)
    held = Held(sight=sight, why="could not fetch Trace: no", since=now - 299, tries=0, next_at=now + 3600)
    await app.services.ledger.enter(Page(account=ACCOUNT, now=now, source="messages", held=(held,)))


async def brake(bench: Bench, app: App) -> None:
    """Forget a brake."""
    await app.services.ledger.order(ACCOUNT, "brake", "", "ada", "a test", app.services.clock.now())
    await until(lambda: any(line["event"] == "order taken" for line in bench.told()))
    bench.world.arrive(2, "outbreak")


async def lower_rule(bench: Bench, app: App) -> None:
    """Let a rule want something, and then stop the process of the rules three times before it is done."""
    await brake(bench, app)
    await until(lambda: "brake" in app.check_readiness().reasons)
    for number in range(3):
        bench.world.add_message(subject=f"bad {number}")
    await until(lambda: bool(app.services.host.lowered))
    await app.services.ledger.order(ACCOUNT, "unbrake", "", "ada", "a test", app.services.clock.now())


async def set_back(bench: Bench, app: App) -> None:
    """Let a block have been made for an hour, three hours ago, while the clock of the machine was hours ahead."""
    made, block = app.services.clock.now() - 3 * HOUR, BlockSender("evil@example.net", for_=timedelta(hours=1))
    page = Page(account=ACCOUNT, now=made, source="messages", drafts=(Desk().draft(block),))
    url = bench.environment["WORKER_STORE_URL"]
    async with open_ledger(url, owner="another", exclusive=False, latest=lambda: made + 9 * HOUR) as ledger:
        await ledger.enter(page)
        (entry,) = await ledger.entries(ACCOUNT)
        await ledger.settle(ACCOUNT, [Outcome(id=entry.id, state="done", remote="17")], made)


async def crowd(_: Bench, app: App) -> None:
    """Let there have been too many held events to hold them all."""
    now = app.services.clock.now()
    more = Slice(source="messages", kind="unheard", start=now - 60, end=now, opened=now, next_at=now + 300)
    await app.services.ledger.enter(Page(account=ACCOUNT, now=now, source="messages", slice=more))


async def revoke(bench: Bench, app: App) -> None:
    """Take the consent to the mailboxes back, and let the list of domains be read."""
    domains, now = bench.world.lists["domains"], time.time()
    for domain in domains.values():
        gone = {"authorized": False, "timestamp": None, "status_message": "consent revoked"}
        domain.become(now, (domain.value or {}) | {"authorization": gone})
    await app.workers[0].integration.check()


async def hang(bench: Bench, _: App) -> None:
    """Let the API answer nothing any more."""
    assert isinstance(bench.world, Trapped)
    bench.world.trap = lambda _, answer: replace(answer, delay=300.0)


BREAKS: Mapping[str, Break] = MappingProxyType({
    "stopping": stop, "loop_failing": refuse_all, "nothing_read": hear_reports, "reading_late": keep_searching,
    "search_slow": leave_a_gap, "actions_delayed": refuse_moves, "records_unreadable": garble,
    "field_missing": rename_field, "event_held": hold_event, "brake": brake, "rule_lowered": lower_rule,
    "end_overdue": set_back, "events_crowded": crowd, "integration_lost": revoke, "api_silent": hang,
    "records_stuck": stall,
})  # fmt: skip
EXAMPLES = """@rule(mode=ENFORCE, limit=per_hour(9))
    @example(sample.message(final_disposition="MALICIOUS"), gives=Move("DeletedItems"))
    @example(sample.message(), gives=None)"""
RULE = BAD.replace("{does}", "os._exit(7)").replace("@rule", EXAMPLES)
RULE = RULE.replace("return None", 'return Move("DeletedItems") if message.final_disposition == "MALICIOUS" else None')


class Answers(NamedTuple):
    """What a worker tells at one moment: its pages with their status, and the metrics."""

    ready: int
    page: dict[str, Any]
    started: int
    metrics: str

    def names(self, reason: str) -> bool:
        """Tell whether both pages name a reason."""
        return reason in self.page["reasons"] and f'worker_not_ready{{reason="{reason}"}} 1.0' in self.metrics


async def ask(url: str) -> Answers:
    """Ask a worker how it is; its pod is Ready when the path of the chart's probe answers."""
    path = container(GIVEN)["readinessProbe"]["httpGet"]["path"]
    async with (
        ClientSession() as web,
        web.get(url + "/readyz") as ready,
        web.get(url + path) as started,
        web.get(url + "/metrics") as metrics,
    ):
        return Answers(ready.status, await ready.json(), started.status, await metrics.text())


async def print_status(bench: Bench, url: str) -> str:
    """Return what `worker status` prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "worker", "status"),
        env={**bench.environment, **passed_on(), "WORKER_LISTEN": urlsplit(url).netloc},
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
    )
    return (await process.communicate())[0].decode()


@asynccontextmanager
async def working(bench: Bench, **more: str) -> AsyncIterator[tuple[App, str]]:
    """Run a worker that is ready, and give its address."""
    bench.world = Trapped(now=time.time)
    async with bench.api(), bench.worker(**more) as app, daemon.serve(app) as url:
        await until(lambda: app.check_readiness().ready)
        await until(lambda: any(line["event"] == "ready" for line in bench.told()))
        yield app, url


def test_the_table_has_every_reason_and_each_is_broken_here() -> None:
    assert sorted(named(OPERATIONS, "reason")) == sorted(KINDS) == sorted(BREAKS)


@pytest.mark.parametrize("reason", sorted(BREAKS))
async def test_a_reason_is_told_in_time_everywhere_while_the_pod_stays_ready(bench: Bench, reason: str) -> None:
    rule_files(bench.rules, moves=RULE if reason == "rule_lowered" else MOVES)
    deadline = {"WORKER_REQUEST_TIMEOUT": "20s"} if reason == "api_silent" else {}
    async with working(bench, **deadline) as (app, url):
        assert f'worker_not_ready{{reason="{reason}"}} 0.0' in (await ask(url)).metrics
        await BREAKS[reason](bench, app)
        async with asyncio.timeout(HANGING if reason == "api_silent" else SOON):
            told = await wait_for(bench, url, reason)
        assert (told.ready, told.started, told.page["ready"]) == (503, 200, False)
        status = await print_status(bench, url)
        assert " is not ready:\n" in status
        assert [says for says in told.page["why"] if without_figures(says) not in without_figures(status)] == []


async def wait_for(bench: Bench, url: str, reason: str) -> Answers:
    """Ask until a reason is told on both pages and in the log."""
    while not (told := await ask(url)).names(reason) or not is_logged(bench, reason):  # noqa: ASYNC110 (a server is asked)
        await asyncio.sleep(0.1)
    return told


def without_figures(text: str) -> str:
    """Leave out what changes from one second to the next."""
    return re.sub(r"[\d.,]+", "", text)


def is_logged(bench: Bench, reason: str) -> bool:
    """Tell whether the log names a reason."""
    lines = [line for line in bench.told() if line["event"] == "not ready" and line["level"] == "warning"]
    return any(reason in line["reasons"].split(", ") for line in lines)


@pytest.mark.parametrize(
    ("status", "told"), [(429, "so nothing is read or done"), (503, "of what it could not answer")]
)
async def test_a_pause_that_the_api_asks_for_is_told_with_its_end(bench: Bench, status: int, told: str) -> None:
    async with working(bench, WORKER_DRAIN="1s") as (app, url):
        refused = refuse(status, 10000, "later")
        assert isinstance(bench.world, Trapped)
        bench.world.trap = lambda *_: replace(refused, headers={**refused.headers, "retry-after": "99999"})
        await until(lambda: any(told in one for one in app.check_readiness().warnings))
        (warned,) = (one for one in app.check_readiness().warnings if told in one)
        assert re.search(r"until \d\d:\d\d:\d\d UTC, for another (89\d|900) s; after that it is asked again", warned)
        assert told in await print_status(bench, url)


async def test_a_single_message_with_an_unknown_verdict_is_a_warning(bench: Bench) -> None:
    bench.world = Trapped(now=time.time)
    bench.world.trap = rename_verdict
    async with bench.api(), bench.app() as app:
        bench.world.add_message(disposition="SPAM")
        await app.workers[0].intakes[0].read_head()
        await maintenance.read_standstill(app)
        (told,) = (one for one in app.check_readiness().warnings if "verdict" in one)
        assert told.startswith(f"account {ACCOUNT}: 1 message has a verdict that only rules without dispositions hear")


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (1, "1 record has not been judged, because it cannot be read; it is tried again: see worker gaps"),
        (2, "2 records have not been judged, because they cannot be read; they are tried again: see worker gaps"),
    ],
)
async def test_unreadable_records_are_a_warning_that_names_the_command(bench: Bench, count: int, told: str) -> None:
    async with bench.api(), bench.app() as app:
        app.standstill = {ACCOUNT: Standstill(unreadable=count)}
        assert f"account {ACCOUNT}: {told}" in app.check_readiness().warnings


async def test_problems_of_several_rule_files_are_told_apart(bench: Bench) -> None:
    async with bench.api(), bench.app() as app:
        app.refused = "a.py:1: no rule\nb.py:2: no rule"
        (told,) = app.check_readiness().warnings
        assert told.endswith("stay in force: a.py:1: no rule; b.py:2: no rule")


async def test_unreadable_records_that_a_person_has_closed_are_no_reason_any_more(bench: Bench) -> None:
    bench.world = Trapped(now=time.time)
    async with bench.api(), bench.app() as app:
        await garble(bench, app)
        (worker,), ledger = app.workers, app.services.ledger
        await worker.intakes[0].read_head()
        assert "records_unreadable" in app.check_readiness().reasons
        for record in await ledger.list_unreadable(ACCOUNT, inf, 9):
            await ledger.order(ACCOUNT, "close gap", record.gap, "ada", "looked at it", app.services.clock.now())
        await maintenance.take_orders(app)
        await maintenance.read_standstill(app)
        assert app.find_reasons() == ()
