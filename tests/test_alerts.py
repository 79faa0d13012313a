"""Every alert of the documentation is tried: its fault is made in an account of the sandbox, and it fires."""

import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

from tests.daemon import test_reasons as reasons
from tests.daemon.bench import Bench, until
from tests.daemon.conftest import bench
from tests.daemon.test_telling import FAILS
from tests.faults.rig import INFORMS, Trapped
from tests.ledger.desk import Desk
from tests.promql import Alert, Timeline, ask_promtool, does_fire, read_minutes
from tests.rule_files import rule_files
from tests.test_readme import OPERATIONS, blocks
from worker.daemon import App, maintenance
from worker.daemon.reload import RuleWatch
from worker.daemon.signing import Signing
from worker.language.actions import Move
from worker.ledger.values import Page
from worker.sandbox import ACCOUNT, Fault, SandboxOptions

__all__ = ["bench"]
(RULES,) = blocks(OPERATIONS, "yaml")
WRITTEN: list[dict[str, Any]] = yaml.safe_load(RULES)["groups"][0]["rules"]
ALERTS = {one["alert"]: Alert(one["alert"], one["expr"], read_minutes(one.get("for", ""))) for one in WRITTEN}
PROMTOOL = shutil.which("promtool")
Pages = list[str]
"""What a worker exposed: while it was well, and after each thing that happened to it."""
SLOW = '''
    import enum
    clock = enum.sys.modules["time"].perf_counter

    @rule
    def ponders(message: Message) -> Move | None:
        """It takes its time."""
        end = clock() + 0.1
        while clock() < end:
            pass
        return None
'''


class Worker:
    """A worker whose loops take a turn when the test says so."""

    def __init__(self, app: App) -> None:
        self.app = app
        self._records, self._rules = maintenance.Records(app), RuleWatch(app)

    async def turn(self) -> str:
        """Let every loop take a turn, and return what the worker exposes then."""
        for loop in self.app.workers[0].list_loops():
            await self.app.take_turn(loop)
        await maintenance.take_orders(self.app)
        await self.app.workers[0].executor.step()
        return await self.scrape()

    async def scrape(self) -> str:
        """Return what the worker exposes when its figures are up to date."""
        await self._rules.step()
        await maintenance.read_standstill(self.app)
        await self._records.step()
        await self._records.follow()
        await maintenance.update_gauges(self.app)
        return self.app.services.outlets.metrics.render().decode()

    async def settle(self) -> str:
        """Let it take turns until all is well, and return what it exposes then."""
        for _ in range(50):
            page = await self.turn()
            if f'worker_gap_seconds{{account="{ACCOUNT}",source="messages"}} 0.0\n' in page and self.is_ready:
                return page
        raise AssertionError(self.app.check_readiness().why)

    @property
    def is_ready(self) -> bool:
        """Whether it is."""
        return self.app.check_readiness().ready

    async def wait(self, since: float) -> None:
        """Let a decision wait for a person since a time."""
        draft = Desk().draft(Move("JunkEmail"), state="waiting", rules=("moves",))
        await self.app.services.ledger.enter(Page(account=ACCOUNT, now=since, source="messages", drafts=(draft,)))

    async def order(self, verb: str, subject: str) -> None:
        """Order something as a person."""
        await self.app.services.ledger.order(ACCOUNT, verb, subject, "ada", "a test", self.app.services.clock.now())
        await maintenance.take_orders(self.app)

    @property
    def now(self) -> float:
        """The worker's time."""
        return self.app.services.clock.now()


@asynccontextmanager
async def working(bench: Bench, **more: str) -> AsyncIterator[tuple[Worker, str]]:
    """Give a worker, and what it exposes while all is well."""
    async with bench.api(), bench.app(**more) as app:
        await app.begin()
        worker = Worker(app)
        yield worker, await worker.settle()


async def go_away(bench: Bench) -> Pages:
    """Expose nothing any more."""
    async with working(bench) as (_, well):
        return [well, ""]


async def restart(bench: Bench) -> Pages:
    """Begin four times."""
    pages = Pages()
    for _ in range(4):
        async with working(bench) as (_, well):
            pages.append(well)
    return pages


async def hold_an_event(bench: Bench) -> Pages:
    """Let an event wait for a fact for five minutes."""
    async with working(bench) as (worker, well):
        await reasons.hold_event(bench, worker.app)
        bench.ahead = 10.0
        return [well, await worker.scrape()]


async def only_observe(bench: Bench) -> Pages:
    """Lower the ceiling."""
    async with working(bench) as (_, well):
        pass
    async with working(bench, WORKER_CEILING="observe") as (_, lowered):
        return [well, lowered]


async def forget_a_brake(bench: Bench) -> Pages:
    """Brake a rule, and say nothing."""
    async with working(bench) as (worker, well):
        await worker.order("brake", "rule:moves")
        return [well, await worker.turn()]


async def keep_back(bench: Bench) -> Pages:
    """Brake a lane, and let something arrive that would be moved."""
    async with working(bench) as (worker, well):
        await worker.order("brake", "lane:placement")
        bench.world.arrive(2, "outbreak")
        return [well, await worker.turn()]


async def let_many_wait(bench: Bench) -> Pages:
    """Let more wait than anybody decides on."""
    async with working(bench, WORKER_CEILING="approve") as (worker, well):
        bench.world.arrive(101, "outbreak")
        return [well, await worker.turn()]


async def let_one_wait_long(bench: Bench) -> Pages:
    """Let one decision wait for five hours."""
    async with working(bench) as (worker, well):
        await worker.wait(since=worker.now - 5 * 3600)
        return [well, await worker.turn()]


async def spoil_a_record(bench: Bench) -> Pages:
    """Let a message arrive that cannot be read."""
    bench.world = Trapped(now=bench.world.clock)
    async with working(bench) as (worker, well):
        await reasons.garble(bench, worker.app)
        return [well, await worker.turn()]


async def learn_a_verdict(bench: Bench) -> Pages:
    """Let a message arrive with a verdict that nobody knows."""
    bench.world = Trapped(now=bench.world.clock)
    async with working(bench) as (worker, well):
        bench.world.trap = reasons.rename_verdict
        bench.world.add_message(disposition="SPAM")
        return [well, await worker.turn()]


async def lose_a_field(bench: Bench) -> Pages:
    """Rename a field that all mail had."""
    bench.world = Trapped(now=bench.world.clock)
    async with working(bench) as (worker, well):
        await reasons.lack_field(bench, worker.app.services.ledger)
        await worker.app.workers[0].fields.recall()
        return [well, await worker.turn()]


async def deafen_a_channel(bench: Bench) -> Pages:
    """Let a rule notify a channel where nobody listens."""
    rule_files(bench.rules, informs=INFORMS)
    async with working(bench, WORKER_NOTIFY_SOC="json://127.0.0.1:1/hook") as (worker, well):
        bench.world.arrive(1, "outbreak")
        await worker.turn()
        return [well, await worker.turn()]


async def fail_to_act(bench: Bench) -> Pages:
    """Switch off the integration with the mailboxes."""
    async with working(bench) as (worker, well):
        bench.world.options = SandboxOptions(integration="off")
        bench.world.arrive(1, "outbreak")
        await worker.turn()
        return [well, await worker.turn()]


async def let_one_lapse(bench: Bench) -> Pages:
    """Let nobody decide for three days."""
    async with working(bench) as (worker, well):
        await worker.wait(since=worker.now - 4 * 86400)
        await maintenance.apply_retention(worker.app)
        return [well, await worker.turn()]


async def act_late(bench: Bench) -> Pages:
    """Act a minute and a half after a message came."""
    async with working(bench) as (worker, well):
        second = int(time.time())
        await until(lambda: int(time.time()) > second)  # the API tells no fractions of a second
        bench.world.arrive(3, "outbreak")
        await worker.app.take_turn(worker.app.workers[0].list_loops()[0])
        bench.ahead = 90.0
        return [well, await worker.turn()]


async def fail_to_judge(bench: Bench) -> Pages:
    """Let a rule divide by nothing."""
    rule_files(bench.rules, divides=FAILS)
    async with working(bench) as (worker, well):
        bench.world.add_message(subject="")
        return [well, await worker.turn()]


async def ponder(bench: Bench) -> Pages:
    """Let a rule take its time."""
    rule_files(bench.rules, ponders=SLOW)
    async with working(bench) as (worker, well):
        bench.world.arrive(3, "outbreak")
        return [well, await worker.turn()]


async def refuse_rules(bench: Bench) -> Pages:
    """Save a rule file that is none."""
    async with working(bench) as (worker, well):
        rule_files(bench.rules, broken="def f(:\n")
        await worker.turn()
        return [well, await worker.turn()]


async def put_an_older_ledger_in_place(bench: Bench) -> Pages:
    """Go on with a ledger that knows less than the one before."""
    async with working(bench) as (worker, _):
        await worker.order("brake", "lane:block")
        well = await worker.turn()
    older = f"sqlite:///{bench.folder / 'older.db'}"
    async with working(bench, WORKER_STORE_URL=older) as (_, after):
        return [well, after]


async def record_nothing(bench: Bench) -> Pages:
    """Let a day pass without a record."""
    async with working(bench) as (worker, well):
        bench.ahead = 86_500.0
        await maintenance.update_gauges(worker.app)
        return [well, worker.app.services.outlets.metrics.render().decode()]


async def leave_a_gap(bench: Bench) -> Pages:
    """Read the present only, of a time that nobody has read."""
    async with working(bench) as (_, well):
        pass
    async with bench.api(), bench.app(WORKER_STORE_URL=f"sqlite:///{bench.folder / 'new.db'}") as app:
        await app.begin()
        await app.take_turn(app.workers[0].list_loops()[0])
        return [well, await Worker(app).scrape()]


async def contradict(bench: Bench) -> Pages:
    """Show a failed move of what was proved to be moved."""
    async with working(bench) as (worker, _):
        (mail,) = bench.world.arrive(1, "outbreak")
        while not await worker.app.services.ledger.entries(ACCOUNT, states=("done",)):
            await worker.turn()
        well = await worker.turn()
        page = Page(account=ACCOUNT, now=worker.now, source="messages", failing=(mail.id,))
        await worker.app.services.ledger.enter(page)
        return [well, await worker.turn()]


async def be_paced(bench: Bench) -> Pages:
    """Let others spend the budget."""
    async with working(bench) as (worker, well):
        bench.world.faults.script([Fault("paced", seconds=0.5)])
        await worker.turn()
        return [well, await worker.turn()]


async def sign_nothing(bench: Bench) -> Pages:
    """Let what signs the records fail."""
    async with working(bench, WORKER_AUDIT_SIGNER="false") as (worker, well):
        await Signing(worker.app).end()
        return [well, await worker.turn()]


async def set_the_clock_back(bench: Bench) -> Pages:
    """Let the watchdog wake a loop."""
    async with working(bench) as (worker, well):
        worker.app.report_oversleep("messages")
        return [well, await worker.turn()]


FAULTS: Mapping[str, Callable[[Bench], Awaitable[Pages]]] = MappingProxyType({
    "WorkerGone": go_away, "WorkerRestarts": restart, "WorkerNotReady": hold_an_event,
    "WorkerOnlyObserves": only_observe, "WorkerBrakeOn": forget_a_brake, "WorkerKeepsBack": keep_back,
    "WorkerWaitingMany": let_many_wait, "WorkerWaitingLong": let_one_wait_long, "WorkerHoldsEvents": hold_an_event,
    "WorkerChannelDeaf": deafen_a_channel,
    "WorkerUnreadable": spoil_a_record, "WorkerUnknownVerdict": learn_a_verdict, "WorkerFieldMissing": lose_a_field,
    "WorkerActionsFail": fail_to_act, "WorkerDecisionsLapse": let_one_lapse,
    "WorkerSlow": act_late, "WorkerRuleFails": fail_to_judge, "WorkerRuleSlow": ponder,
    "WorkerRulesRefused": refuse_rules, "WorkerLedgerOlder": put_an_older_ledger_in_place,
    "WorkerRecordsStopped": record_nothing, "WorkerGap": leave_a_gap, "WorkerDrift": contradict,
    "WorkerSigningFails": sign_nothing, "WorkerPaced": be_paced, "WorkerClockSetBack": set_the_clock_back,
})  # fmt: skip


def test_each_alert_has_its_fault() -> None:
    assert sorted(FAULTS) == sorted(ALERTS)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALERTS)
async def test_an_alert_fires_for_its_fault_and_not_while_all_is_well(bench: Bench, tmp_path: Path, name: str) -> None:
    pages = await FAULTS[name](bench)
    well, broken = Timeline(pages[:1]), Timeline(pages)
    assert (does_fire(ALERTS[name], well), does_fire(ALERTS[name], broken)) == (False, True)
    if PROMTOOL:
        found = [ask_promtool(RULES, ALERTS[name], timeline, tmp_path) for timeline in (well, broken)]
        assert found == [False, True]


@pytest.mark.skipif(not PROMTOOL, reason="promtool is not on the PATH")
@pytest.mark.slow
def test_prometheus_takes_the_rules(tmp_path: Path) -> None:
    (tmp_path / "alerts.yaml").write_text(RULES)
    done = subprocess.run(["promtool", "check", "rules", "alerts.yaml"], cwd=tmp_path, check=False)  # noqa: S607
    assert done.returncode == 0
