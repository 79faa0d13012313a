"""What a person has to know is said at once, and once."""

import pytest

from tests.daemon.bench import MOVES, Bench, until
from tests.rule_files import rule_files
from worker import daemon
from worker.daemon import maintenance
from worker.ledger.values import Mishap, Page
from worker.sandbox import ACCOUNT, SandboxOptions
from worker.sandbox import World as Account
from worker.settings import Settings
from worker.telemetry import Metrics, Outlets, open_log

pytestmark = pytest.mark.slow  # it starts a server

FAILS = '''
    @rule
    def divides(message: Message) -> Move | None:
        """It divides by nothing."""
        return Move("JunkEmail") if 1 / len(message.subject) > 1 else None
'''


async def test_mailboxes_that_all_refuse_are_logged_and_every_channel_is_told(bench: Bench) -> None:
    bench.world = Account(now=bench.world.clock, options=SandboxOptions(integration="off"))
    for number in range(25):
        bench.world.add_message(client_recipients=[f"user{number}@corp.example"])
    async with bench.api(), bench.worker(WORKER_NOTIFY_SOC="log://"):
        await until(lambda: any(told["event"] == "notice" for told in bench.told()))
    (said,) = [told for told in bench.told() if told["event"] == "mail is not moved"]
    assert said["level"] == "error"
    (notice,) = [told for told in bench.told() if told["event"] == "notice"]
    assert "25 mailboxes in a row refused" in notice["text"]


async def test_a_limit_that_is_spent_is_logged_once_and_what_is_beyond_it_is_announced(bench: Bench) -> None:
    rule_files(bench.rules, moves=MOVES.replace("per_hour(1000)", "per_hour(2)"))
    bench.world.arrive(5, "outbreak")
    async with bench.api(), bench.worker(WORKER_NOTIFY_SOC="log://") as app:
        await until(lambda: any(told["event"] == "notice" for told in bench.told()))
        waits = [entry.said for entry in await app.services.ledger.entries(ACCOUNT, states=("waiting",))]
    (said,) = [told for told in bench.told() if told["event"] == "a limit is spent"]
    assert (said["level"], said["rule"], [said["because"]] * 3) == ("warning", "moves", waits)
    (notice,) = [told for told in bench.told() if told["event"] == "notice"]
    assert notice["text"].startswith("moves: 1 decision waits for a person | ")
    assert "why: the limit of moves is spent: 2 per 1 hour" in notice["text"]
    assert "3 messages in all" in notice["text"]


async def test_a_single_round_announces_what_waits_as_well(bench: Bench) -> None:
    bench.world.arrive(2, "outbreak")
    async with bench.api():
        settings = Settings.load(
            {**bench.environment, "WORKER_CEILING": "approve", "WORKER_NOTIFY_APPROVALS": "log://"}
        )
        await daemon.run_once(settings, Outlets(open_log(bench.log), bench.records, Metrics()))
    (notice,) = [told for told in bench.told() if told["event"] == "notice"]
    assert (notice["channel"], notice["text"].partition(" | ")[0]) == (
        "approvals",
        "moves: 2 decisions wait for a person",
    )


async def test_a_rule_that_fails_is_named_once_with_its_file_and_line(bench: Bench) -> None:
    rule_files(bench.rules, divides=FAILS)
    for _ in range(3):
        bench.world.add_message(subject="")
    async with bench.api(), bench.worker():
        await until(lambda: any(told["event"] == "a rule failed" for told in bench.told()))
    (said,) = [told for told in bench.told() if told["event"] == "a rule failed"]
    assert said["rule"] == "divides"
    assert "/divides.py:6: ZeroDivisionError" in said["problem"]


async def test_a_rule_that_failed_lately_is_a_warning(bench: Bench) -> None:
    rule_files(bench.rules, divides=FAILS)
    bench.world.add_message(subject="")
    async with bench.api(), bench.worker() as app:
        await until(
            lambda: any("rule divides failed in the last hour" in one for one in app.check_readiness().warnings)
        )
        assert not any("rule moves" in one for one in app.check_readiness().warnings)


async def test_each_failing_rule_is_named(bench: Bench) -> None:
    async with bench.app() as app:
        mishaps = [
            Mishap(rule=name, fingerprint="f", cause=f"a/Message/b/{n}", problem="no", raw=b"{}")
            for n, name in enumerate(("one", "other", "one"))
        ]
        await app.services.ledger.enter(Page(account=ACCOUNT, now=1.0, source="messages", mishaps=tuple(mishaps)))
        await maintenance.Records(app).follow()
    assert [told["rule"] for told in bench.told() if told["event"] == "a rule failed"] == ["one", "other"]


async def test_a_channel_that_cannot_be_reached_ends_nothing_and_its_address_is_not_told(bench: Bench) -> None:
    bench.world = Account(now=bench.world.clock, options=SandboxOptions(integration="off"))
    for number in range(25):
        bench.world.add_message(client_recipients=[f"user{number}@corp.example"])
    async with bench.api(), bench.worker(WORKER_NOTIFY_SOC="json://127.0.0.1:1/secret-part"):
        await until(lambda: any(told["event"] == "a notice was not taken" for told in bench.told()))
    assert "secret-part" not in bench.log.getvalue()


async def test_a_missing_permission_is_said_once_and_keeps_it_from_being_ready(bench: Bench) -> None:
    bench.world.arrive(4, "outbreak")
    bench.environment["CLOUDFLARE_API_TOKEN"] = "read-only"  # noqa: S105 (the sandbox takes any)
    async with bench.api(), bench.app() as app:
        (worker,) = app.workers
        await worker.intakes[0].read_head()
        await worker.executor.step()
        app.log_problems()
        app.log_problems()
        assert any("Cloud Email Security: Write" in why for why in app.check_readiness().why)
    (said,) = [told for told in bench.told() if told["event"] == "effects are held up"]
    assert "Cloud Email Security: Write" in said["problem"]
