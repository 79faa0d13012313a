"""The daemon at work: mail, restarts, orders, rules that change."""

import socket
import time
from pathlib import Path

import msgspec
import pytest
from aiohttp import ClientSession

from tests.daemon.bench import MOVES, Bench, until
from tests.ledger.db.revision_0001 import OLD_LEDGER
from tests.ledger.desk import reading
from tests.rule_files import rule_files
from tests.support import Memory
from worker import daemon
from worker.daemon import maintenance, reload
from worker.daemon.reload import stamp
from worker.errors import RuleError, SettingsError, StoreError
from worker.intake.coverage import find_end
from worker.ledger.db.lock import hold_lock
from worker.ledger.db.place import place_of
from worker.ledger.values import Held, Page, Sight, Slice
from worker.sandbox import ACCOUNT
from worker.settings import Settings
from worker.telemetry import Metrics, Outlets, open_log

pytestmark = pytest.mark.slow  # it starts a server
MOVES_WHAT_LINKS = """
@rule(mode=ENFORCE)
@example(sample.message(), sample.detection(links=["https://a.example"]), gives=Move("DeletedItems"))
@example(sample.message(), sample.detection(), gives=None)
def moves(message: Message, detection: Detection) -> Move | None:
    "Move what links somewhere."
    return Move("DeletedItems") if detection.links else None
"""


async def test_mail_that_arrives_is_moved_once_and_on_record(bench: Bench) -> None:
    async with bench.api(), bench.worker() as app:
        outbreak = bench.world.arrive(5, "outbreak")
        await until(lambda: {mail.now.folder for mail in outbreak} == {"DeletedItems"})
        await until(lambda: b'"to":"done"' in bench.records.getvalue())
    records = [msgspec.json.decode(line) for line in bench.records.getvalue().splitlines()]
    assert [record["number"] for record in records] == list(range(1, len(records) + 1))
    assert (records[0]["verb"], records[-1]["verb"]) == ("started", "stopped")
    assert bench.world.repeats() == []
    assert app.workers[0].totals["decisions"] == 5


async def test_what_is_decided_once_a_fact_is_there_counts_as_well(bench: Bench) -> None:
    rule_files(bench.rules, moves=MOVES_WHAT_LINKS)
    async with bench.api(), bench.worker() as app:
        outbreak = bench.world.arrive(5, "outbreak")
        await until(lambda: {mail.now.folder for mail in outbreak} == {"DeletedItems"})
    assert app.workers[0].totals["decisions"] == 5


async def test_a_restart_goes_on_where_the_last_one_stopped(bench: Bench) -> None:
    async with bench.api():
        async with bench.worker() as app:
            await until(lambda: app.check_readiness().ready)
        before, bench.records = bench.records.getvalue(), Memory()
        bench.world.arrive(3, "outbreak")
        async with bench.worker() as app:
            await until(lambda: len(bench.world.effects) == 3)
            spent = app.workers[0].connection.budget.count_spent()
    first = msgspec.json.decode(bench.records.getvalue().splitlines()[0])
    assert first["number"] == len(before.splitlines()) + 1
    assert sum(count for _, count in spent) > sum(app.workers[0].client.calls.values())


async def test_the_daemon_migrates_an_older_ledger_and_names_its_copy(bench: Bench) -> None:
    (bench.folder / "worker.db").write_bytes(OLD_LEDGER)
    async with bench.api(), bench.worker() as app:
        await until(lambda: app.check_readiness().ready)
    (migrated,) = [line for line in bench.told() if line["event"] == "ledger migrated"]
    assert migrated["copy"] == str(bench.folder / "worker.db.0001")
    assert "put the copy in the ledger's place" in migrated["back"]


async def test_a_second_daemon_on_one_ledger_is_refused(bench: Bench) -> None:
    async with bench.api(), bench.app():
        with pytest.raises(StoreError, match="another worker"):
            async with bench.app():
                pass


async def test_rules_that_cannot_be_loaded_keep_it_from_starting(bench: Bench) -> None:
    rule_files(bench.rules, broken="def f(:\n")
    with pytest.raises(RuleError, match=r"broken\.py"):
        async with bench.app():
            pass
    assert not (bench.folder / "worker.db").exists()


async def test_a_second_worker_is_told_of_the_ledger_before_the_address(bench: Bench) -> None:
    held = hold_lock(place_of(bench.environment["WORKER_STORE_URL"]))
    with socket.create_server(("127.0.0.1", 0)) as taken, held:
        settings = Settings.load({**bench.environment, "WORKER_LISTEN": f"127.0.0.1:{taken.getsockname()[1]}"})
        with pytest.raises(StoreError, match="another worker"):
            await daemon.run(settings, Outlets(open_log(bench.log), bench.records, Metrics()))


async def test_an_address_that_is_taken_is_refused_before_a_ledger_is_made(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Settings.load({**bench.environment, "WORKER_LISTEN": f"127.0.0.1:{taken.getsockname()[1]}"})
        with pytest.raises(SettingsError, match=r"nothing can listen \(address already in use\): stop what is there"):
            await daemon.run(settings, Outlets(open_log(bench.log), bench.records, Metrics()))
    assert not (bench.folder / "worker.db").exists()


async def test_what_a_person_orders_is_taken_up(bench: Bench) -> None:
    async with bench.api(), bench.worker() as app:
        await app.services.ledger.order(ACCOUNT, "brake", "", "ada", "enough", time.time())
        await until(lambda: "order taken" in bench.log.getvalue())
        assert [brake.who for brake in await app.services.ledger.brakes(ACCOUNT)] == ["ada"]


async def test_an_order_wakes_who_acts(bench: Bench) -> None:
    async with bench.app() as app:
        (worker,) = app.workers
        await maintenance.take_orders(app)
        assert not worker.wake.is_set()
        await app.services.ledger.order(ACCOUNT, "unbrake", "", "ada", "go on", time.time())
        await maintenance.take_orders(app)
        assert worker.wake.is_set()


async def test_a_changed_rule_file_is_taken_up_while_running(bench: Bench) -> None:
    async with bench.api(), bench.worker() as app:
        rule_files(bench.rules, more=MOVES.replace("moves", "more"))
        await until(lambda: app.services.host.bundle.generation == 2)
        await until(lambda: b'"generation":2' in bench.records.getvalue())
    assert {rule.name for rule in app.services.host.bundle.rules} == {"moves", "more"}


async def test_a_folder_that_is_emptied_leaves_the_running_rules_acting(bench: Bench) -> None:
    async with bench.api(), bench.worker() as app:
        (bench.rules / "moves.py").unlink()
        await until(lambda: b'"bundle refused"' in bench.records.getvalue())
        assert "this folder has no rule file" in app.check_readiness().warnings[0]
        bench.world.arrive(1, "outbreak")
        await until(lambda: len(bench.world.effects) == 1)


async def test_a_bad_rule_file_leaves_the_running_rules_and_says_so_loudly(bench: Bench) -> None:
    async with bench.api(), bench.worker() as app, daemon.serve(app) as url, ClientSession() as web:
        rule_files(bench.rules, broken="def f(:\n")
        await until(lambda: b'"bundle refused"' in bench.records.getvalue())
        async with web.get(url + "/metrics") as answer:
            assert "worker_bundle_refused 1.0" in await answer.text()
        assert "broken.py:2" in app.check_readiness().warnings[0]
        assert [rule.name for rule in app.services.host.bundle.rules] == ["moves"]
        (bench.rules / "broken.py").unlink()
        await until(lambda: app.services.outlets.metrics.render().decode().count("worker_bundle_refused 0.0") == 1)
        assert app.check_readiness().warnings == ()
    (refused,) = [line for line in bench.told() if "refused" in line["event"]]
    assert "broken.py:2" in refused["problem"]


async def test_rules_that_change_while_the_worker_starts_are_taken_up_and_the_same_ones_are_not(bench: Bench) -> None:
    async with bench.app() as app:
        watch = reload.RuleWatch(app)
        for _ in range(2):
            await watch.step()
        assert (app.services.host.bundle.generation, "rules taken" in bench.log.getvalue()) == (1, False)
        rule_files(bench.rules, moves=MOVES + "\n# changed\n")
        watch = reload.RuleWatch(app)
        for _ in range(2):
            await watch.step()
        assert (app.services.host.bundle.generation, "rules taken" in bench.log.getvalue()) == (2, True)


async def test_rules_that_have_changed_are_asked_at_once_about_events_that_are_held(bench: Bench) -> None:
    async with bench.app() as app:
        ledger, now = app.services.ledger, app.services.clock.now()
        held = Held(sight=Sight(reading("m1"), 1), why="a rule stops", since=now, tries=0, next_at=now + 3600)
        await ledger.enter(Page(account=ACCOUNT, now=now, source="messages", held=(held,)))
        rule_files(bench.rules, moves=MOVES + "\n# changed\n")
        watch = reload.RuleWatch(app)
        for _ in range(2):
            assert await ledger.due_held(ACCOUNT, now + 60) == ()
            await watch.step()
        assert len(await ledger.due_held(ACCOUNT, now + 60)) == 1


def test_what_changes_with_a_rule_file_is_noticed(tmp_path: Path) -> None:
    rules = rule_files(tmp_path, moves=MOVES)
    (rules / "gone.py").symlink_to(rules / "nowhere.py")
    before = stamp(rules)
    assert [name for name, *_ in before] == ["moves.py"]
    rule_files(rules, moves=MOVES + "\n")
    assert stamp(rules) != before


async def test_a_single_round_reads_the_present_although_an_earlier_one_was_broken_off(bench: Bench) -> None:
    async with bench.api():
        async with bench.app() as app:
            now = app.services.clock.now()
            head = Slice(source="messages", kind="head", start=now - 1900, end=now - 1800, cursor="lost")
            page = Page(account=ACCOUNT, now=now, source="messages", slice=head, since=head.start)
            await app.services.ledger.enter(page)
        outlets = Outlets(open_log(bench.log, secrets=()), bench.records, Metrics())
        summary = await daemon.run_once(Settings.load(bench.environment), outlets)
        async with bench.app() as app:
            read = await app.services.ledger.coverage(ACCOUNT, "messages")
    assert summary.open_gaps == 0
    assert find_end(read) >= now
