"""The app: what the API refuses, what is logged about it, and what can be seen from outside."""

import re
import resource
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager

import msgspec
import pytest
from aiohttp import ClientSession

from tests.daemon.bench import TOKEN, Bench, until
from tests.rule_files import BAD, rule_files
from worker import daemon
from worker.api import Request
from worker.daemon import App, maintenance
from worker.daemon.account import UNHEARD
from worker.daemon.signing import Signing
from worker.errors import Unsure
from worker.language.models import TRIGGERS
from worker.ledger.values import Page, Slice
from worker.sandbox import ACCOUNT, Fault, SandboxOptions

pytestmark = pytest.mark.slow  # it starts a server


async def test_the_metrics_tell_what_was_done_and_what_is_missing(bench: Bench) -> None:
    bench.world.arrive(4, "outbreak")
    async with bench.api(), bench.worker() as app, daemon.serve(app) as url, ClientSession() as web:
        await until(
            lambda: app.services.outlets.metrics.render().decode().count("worker_time_to_proved_seconds_count 4.0") == 1
        )
        app.services.outlets.metrics.entries.labels(ACCOUNT, "Move", "sent").set(4)
        await maintenance.count_entries(app)
        async with web.get(url + "/metrics") as answer:
            page = await answer.text()
    assert f'worker_entries{{account="{ACCOUNT}",kind="Move",state="done"}} 4.0' in page
    assert 'state="sent"' not in page
    assert "worker_time_to_answered_seconds_count 4.0" in page
    assert 'worker_api_requests_total{operation="POST /investigate/move",status="200"} 1.0' in page
    assert f'worker_gap_seconds{{account="{ACCOUNT}",source="messages"}} 0.0' in page


async def test_the_head_of_the_audit_records_is_logged(bench: Bench) -> None:
    async with bench.api(), bench.app() as app:
        await app.begin()
        records = maintenance.Records(app)
        await records.step()
        await records.log_heads()
    head = msgspec.json.decode(bench.records.getvalue().splitlines()[-1])
    assert (bench.told()[-1]["event"], bench.told()[-1]["hash"]) == ("audit head", head["hash"])


async def test_a_stretch_that_cannot_be_read_for_now_keeps_it_from_being_ready(bench: Bench) -> None:
    async with bench.api(), bench.app() as app:
        messages, *_ = app.workers[0].list_loops()
        await app.take_turn(messages)
        now = app.services.clock.now()
        stuck = Slice(source="messages", kind="gap", start=now - 900, end=now - 840, why="too slow", next_at=now + 300)
        page = Page(account=ACCOUNT, now=now, source="messages", slice=stuck)
        await app.services.ledger.enter(page)
        await app.take_turn(messages)
        await maintenance.update_gauges(app)
        assert "messages: too slow" in app.check_readiness().why


async def test_a_loop_that_the_watchdog_woke_is_told(bench: Bench) -> None:
    async with bench.app() as app:
        app.report_oversleep("messages")
        assert "worker_overslept_total 1.0" in app.services.outlets.metrics.render().decode()
    assert bench.told()[-1]["loop"] == "messages"


async def test_accounts_that_share_a_credential_share_its_budget(bench: Bench) -> None:
    (bench.folder / "accounts.toml").write_text(
        f'[[account]]\nid = "other"\ntoken = "{TOKEN}"\n'
        '[[account]]\nid = "third"\nemail = "a@corp.example"\nkey = "k"\n'
    )
    async with bench.app(WORKER_ACCOUNTS=str(bench.folder / "accounts.toml")) as app:
        first, other, third = app.workers
    assert first.connection is other.connection
    assert third.connection.budget is not first.connection.budget
    assert other.list_loops()[0].name == "other messages"


async def test_what_one_credential_has_spent_is_not_forgotten_for_what_another_wrote_later(bench: Bench) -> None:
    (bench.folder / "accounts.toml").write_text('[[account]]\nid = "idle"\ntoken = "another"\n')
    accounts = {"WORKER_ACCOUNTS": str(bench.folder / "accounts.toml")}
    async with bench.app(**accounts) as app:
        ledger, now = app.services.ledger, app.services.clock.now()
        await ledger.keep_spent(ACCOUNT, ((now - 10, 900),), now)
        await ledger.keep_spent("idle", ((now - 5, 1),), now)
    async with bench.app(**accounts) as app:
        busy, idle = (worker.connection.budget.count_spent() for worker in app.workers)
    assert [sum(count for _, count in spent) for spent in (busy, idle)] == [900, 1]


async def test_an_api_nobody_reaches_is_said_once_and_taken_up_when_it_is_there(bench: Bench) -> None:
    async with bench.app(WORKER_POLL_EVERY="10ms") as app:
        loop = app.workers[0].list_loops()[0]
        for _ in range(2):
            assert await app.take_turn(loop) > 0
        ready = app.check_readiness()
        assert not ready.ready
        assert "could not connect" in ready.why[0]
    assert [line["event"] for line in bench.told()] == ["could not; tries again"]


async def test_an_api_that_goes_away_is_told_before_its_reads_have_been_given_up(bench: Bench) -> None:
    async with bench.api(), bench.app() as app:
        for loop in app.workers[0].list_loops()[:2]:
            await app.take_turn(loop)
        connection, ask = app.workers[0].connection.transport, Request(method="GET", path="/accounts/a")
        bench.world.faults.script([Fault("reset")] * 3)
        for ready in (True, False, False):
            with pytest.raises(Unsure):
                await connection.send(ask)
            assert app.check_readiness().ready == ready
        assert [why.partition(":")[0] for why in app.check_readiness().why] == ["messages"]
        await connection.send(ask)
        assert app.check_readiness().ready


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Let no file and no socket be opened while the block runs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_without_descriptors_each_loop_waits_and_says_why(bench: Bench) -> None:
    async with bench.api(), bench.app() as app:
        loops = [*app.workers[0].list_loops(), *maintenance.list_loops(app, maintenance.Records(app), Signing(app))]
        with no_descriptors():
            pauses = [await app.take_turn(loop) for loop in loops]
            assert "rules: too many files are open" in "; ".join(app.check_readiness().why)
        assert min(pauses) >= 0
        for loop in loops:
            await app.take_turn(loop)
        assert "too many files" not in "; ".join(app.check_readiness().why)


@pytest.mark.parametrize("base", ["http://proxy.example/v4", "https://proxy.example/v4"])
async def test_a_credential_that_is_sent_unencrypted_is_a_warning_at_each_start(bench: Bench, base: str) -> None:
    async with bench.app(CLOUDFLARE_BASE_URL=base, WORKER_PLAIN_HTTP="yes") as app:
        await app.begin()
        warned = [warning for warning in app.check_readiness().warnings if "unencrypted" in warning]
    logged = [line for line in bench.told() if "unencrypted" in str(line["event"])]
    assert len(warned) == len(logged) == (not base.startswith("https"))


async def test_the_log_says_when_readiness_turns_and_why(bench: Bench) -> None:
    async with bench.api(), bench.app() as app:
        connection, ask = app.workers[0].connection.transport, Request(method="GET", path="/accounts/a")
        await maintenance.log_readiness(app)
        for loop in app.workers[0].list_loops()[:2]:
            await app.take_turn(loop)
        assert await maintenance.log_readiness(app) == 1
        bench.world.faults.script([Fault("reset")] * 2)
        for _ in range(2):
            with pytest.raises(Unsure):
                await connection.send(ask)
        await maintenance.log_readiness(app)
        await maintenance.log_readiness(app)
        await connection.send(ask)
        await maintenance.log_readiness(app)
    told = [(line["event"], line["level"]) for line in bench.told()]
    assert told == [("not ready", "info"), ("ready", "info"), ("not ready", "warning"), ("ready again", "info")]
    assert bench.told()[2]["why"].startswith("messages: ")


async def test_an_outage_is_in_the_log_of_a_running_worker(bench: Bench) -> None:
    def said(event: str, level: str) -> bool:
        return (event, level) in {(line["event"], line["level"]) for line in bench.told()}

    async with AsyncExitStack() as api:
        await api.enter_async_context(bench.api())
        async with bench.worker():
            await until(lambda: said("ready", "info"))
            await api.aclose()
            await until(lambda: said("not ready", "warning"))


async def test_a_rule_that_stopped_the_process_too_often_is_a_warning(bench: Bench) -> None:
    rule_files(bench.rules, exits=BAD.replace("{does}", "os._exit(7)"))
    for number in range(3):
        bench.world.add_message(subject=f"bad {number}")
    async with bench.api(), bench.app() as app:
        await app.take_turn(app.workers[0].list_loops()[0])
        lowered, failed = app.check_readiness().warnings
        assert ("rule bad only observes" in lowered, "rule bad failed in the last hour" in failed) == (True, True)
        for _ in range(2):
            await maintenance.log_readiness(app)
    (told,) = [line for line in bench.told() if line["event"] == "a rule only observes until it is fixed"]
    assert (told["rule"], told["level"]) == ("bad", "warning")


async def test_a_source_works_again_as_soon_as_it_is_let(bench: Bench) -> None:
    async with bench.api(), bench.app() as app:
        messages, *_ = app.workers[0].list_loops()
        bench.world.options = SandboxOptions(entitled=False)
        assert await app.take_turn(messages) == 3600
        assert "subscription" in app.check_readiness().why[0]
        bench.world.options = SandboxOptions()
        assert await app.take_turn(messages) < 10
    assert [line["event"] for line in bench.told()] == ["could not; tries again", "works again"]


REPORTS = """
@rule
@example(sample.report(), gives=None)
def hears(report: Report) -> Move | None:
    "Hear reports."
    return None
"""


async def test_reports_outside_of_the_subscription_are_no_trouble_while_no_rule_hears_them(bench: Bench) -> None:
    bench.world.options = SandboxOptions(phishguard=False)
    async with bench.api(), bench.app() as app:
        messages, reports, *_ = app.workers[0].list_loops()
        assert (await app.take_turn(messages) < 10, await app.take_turn(reports)) == (True, UNHEARD)
        assert app.check_readiness().ready
        rule_files(bench.rules, hears=REPORTS)
        await app.services.host.load()
        assert await app.take_turn(reports) == 3600
        assert "reports: GET /phishguard/reports" in app.check_readiness().why[0]
        (bench.rules / "hears.py").unlink()
        await app.services.host.load()
        assert app.check_readiness().ready


async def test_a_source_that_no_rule_is_about_any_more_has_no_figures(bench: Bench) -> None:
    def figures(app: App) -> int:
        page = app.services.outlets.metrics.render().decode()
        return len(re.findall(r'^worker_(?:gap|coverage_age)_seconds{.*source="reports"}', page, re.MULTILINE))

    rule_files(bench.rules, hears=REPORTS)
    async with bench.api(), bench.app() as app:
        await turned(app)
        await maintenance.update_gauges(app)
        read = figures(app)
        (bench.rules / "hears.py").unlink()
        await app.services.host.load()
        await maintenance.update_gauges(app)
        assert (read, figures(app)) == (2, 0)


CLEAN = """
@rule(dispositions=("NONE",){mark})
def hears(event: {kind}) -> Notify | None:
    "Hear what is clean."
    return None
"""


@pytest.mark.parametrize(
    ("kind", "mark", "read"), [("Message", "", 1), ("Message", ", mode=OFF", 0), ("Report", "", 0)]
)
async def test_clean_mail_is_read_only_for_a_rule_about_mail_that_is_not_off(
    bench: Bench, kind: str, mark: str, read: int
) -> None:
    rule_files(bench.rules, hears=CLEAN.format(kind=kind, mark=mark))
    bench.world.add_message(disposition="NONE")
    async with bench.api(), bench.app() as app:
        await app.take_turn(app.workers[0].list_loops()[0])
        assert app.workers[0].totals["read"] == read


ABOUT = """
@rule{mark}
def hears(event: {kind}) -> Notify | None:
    "Hear them."
    return Notify("soc")
"""


async def test_what_no_rule_is_about_is_not_read_until_one_is(bench: Bench) -> None:
    async with bench.api(), bench.app() as app:
        (worker,) = app.workers
        await turned(app)
        assert {name for name in bench.world.requests if name in WHERE.values()} == {"GET investigate"}
        assert [intake.source.kind for intake in worker.needed] == ["Message"]
        for kind in TRIGGERS.keys() - {"Message"}:
            rule_files(bench.rules, hears=ABOUT.format(mark="(mode=OFF)", kind=kind))
            await app.services.host.load()
            assert [intake.source.kind for intake in worker.needed] == ["Message"]
            rule_files(bench.rules, hears=ABOUT.format(mark="", kind=kind))
            await app.services.host.load()
            before = bench.world.requests[WHERE[kind]]["200"] if WHERE[kind] in bench.world.requests else 0
            assert not app.check_readiness().ready
            await turned(app)
            assert bench.world.requests[WHERE[kind]]["200"] > before
            assert app.check_readiness().ready
            assert set(app.check_readiness().sources) == {"messages", worker.needed[1].source.name}


WHERE = {
    "Message": "GET investigate",
    "Report": "GET phishguard/reports",
    "Submission": "GET submissions",
    "BlockedSender": "GET settings/block_senders",
    "AllowPolicy": "GET settings/allow_policies",
}


async def turned(app: App) -> None:
    """Take a turn of everything that reads."""
    for loop in app.workers[0].list_loops():
        await app.take_turn(loop)


async def test_a_credential_that_is_refused_is_tried_again_without_haste(bench: Bench) -> None:
    async with bench.api(), bench.app(CLOUDFLARE_API_TOKEN="wrong-" + TOKEN) as app:
        assert await app.take_turn(app.workers[0].list_loops()[0]) == 60
        assert "credential" in app.check_readiness().why[0]
    assert TOKEN not in bench.log.getvalue()
