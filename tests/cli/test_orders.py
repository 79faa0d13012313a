"""What people ask of the ledger and order: run --once, gaps, waiting, approve, refuse, brake."""

import asyncio
import os
import time
from pathlib import Path

import msgspec
import pytest

from tests.cli.shell import Shell
from tests.ledger.desk import Desk
from tests.rule_files import GOOD, rule_files
from tests.serving import RULES, Serving, sandbox
from worker.ledger.ledger import open_ledger
from worker.ledger.values import Page, Slice
from worker.sandbox import SandboxOptions

pytestmark = pytest.mark.slow  # it starts a server


@pytest.mark.parametrize("command", ["status", "gaps", "waiting", "brake"])
def test_a_ledger_that_is_not_there_is_not_made_to_be_looked_at(shell: Shell, command: str) -> None:
    code, _, err = shell.type(command)
    assert (code, "there is no ledger at" in err) == (3, True)
    assert list(shell.folder.iterdir()) == []


def test_a_round_acts_proves_and_says_so(shell: Shell) -> None:
    with sandbox() as serving:
        outbreak = serving.world.arrive(20, "outbreak")
        shell.set(**serving.environment(shell.folder, WORKER_CEILING="enforce", WORKER_SETTLE="4s"))
        code, out, _ = shell.type("run", "--once")
    assert (code, "no gap is open; no entries are not settled yet" in out) == (0, True)
    assert {mail.now.folder for mail in outbreak} == {"DeletedItems"}
    assert serving.world.repeats() == []


def test_the_ends_of_blocks_are_left_for_later_and_not_called_ready(shell: Shell) -> None:
    with sandbox() as serving:
        serving.world.arrive(5, "outbreak")
        shell.set(**serving.environment(shell.folder, WORKER_CEILING="enforce", WORKER_SETTLE="4s"))
        summed_up = shell.json("run", "--once")["entries"]
    (known,) = shell.json("status")["accounts"]
    assert summed_up["Unblock"] == known["entries"]["Unblock"] == {"later": summed_up["BlockSender"]["done"]}
    assert {"later", "done"} <= set(shell.type("status")[1].split())


def test_a_round_under_the_default_ceiling_changes_nothing(shell: Shell, account: Serving) -> None:
    shell.set(**account.environment(shell.folder))
    summary = shell.json("run", "--once")
    assert {state for states in summary["entries"].values() for state in states} == {"observed"}
    assert account.world.effects == []


def test_a_round_that_cannot_ask_the_api_could_not(shell: Shell, account: Serving) -> None:
    shell.set(**account.environment(shell.folder, CLOUDFLARE_API_TOKEN="wrong-s3cret"))  # noqa: S106
    code, _, err = shell.type("run", "--once")
    assert code == 3
    assert "s3cret" not in err


def test_a_round_needs_no_phishguard_unless_a_rule_hears_reports(shell: Shell, tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "partner_release.py").write_text((RULES / "partner_release.py").read_text())
    (rules / "_common.py").write_text((RULES / "_common.py").read_text())
    with sandbox(options=SandboxOptions(phishguard=False)) as serving:
        shell.set(**serving.environment(shell.folder, WORKER_RULES=str(rules)))
        assert shell.type("run", "--once")[0] == 0
        shell.set(WORKER_RULES=str(RULES))
        code, _, err = shell.type("run", "--once")
    assert (code, "phishguard/reports" in err) == (3, True)


def test_no_open_gap_is_told_with_the_time_up_to_which_that_is_known(worked: Shell) -> None:
    worked.set(WORKER_POLL_EVERY="1h")
    code, out, _ = worked.type("gaps")
    (account,) = worked.json("status")["accounts"]
    until = [f"{source['source']} are read up to {source['until'][11:19]}Z (" for source in account["sources"]]
    assert (code, out.startswith(f"no gap is open: {until[0]}"), f"s ago), {until[1]}" in out) == (0, True, True)


def test_a_ledger_of_which_nothing_is_read_yet_claims_nothing(shell: Shell) -> None:
    asyncio.run(fill())
    assert shell.type("gaps")[:2] == (0, "no gap is open: nothing is read yet\n")
    asyncio.run(fill(Page(account="a1", now=1.0, source="messages", drafts=(Desk().draft(),))))
    shell.set(CLOUDFLARE_ACCOUNT_ID="a1")
    assert shell.type("gaps")[:2] == (0, "no gap is open: messages are not read yet\n")


async def fill(*pages: Page) -> None:
    """Make a ledger that holds these pages."""
    async with open_ledger(os.environ["WORKER_STORE_URL"], owner="test", exclusive=False) as ledger:
        for page in pages:
            await ledger.enter(page)


def test_a_gap_is_listed_with_its_length_and_reason_and_is_a_finding(worked: Shell) -> None:
    account = os.environ["CLOUDFLARE_ACCOUNT_ID"]
    now = time.time()

    async def leave_a_gap() -> None:
        async with open_ledger(os.environ["WORKER_STORE_URL"], owner="test", exclusive=False) as ledger:
            late = Slice(source="messages", kind="head", start=now + 3600, end=now + 7200)
            await ledger.enter(Page(account=account, now=now, source="messages", slice=late, closes=True))

    asyncio.run(leave_a_gap())
    worked.set(WORKER_POLL_EVERY="1h")
    (gap,) = worked.json("gaps", code=1)
    assert (gap["source"], gap["why"]) == ("messages", "its turn has not come yet")


def test_what_was_not_read_since_the_worker_stopped_is_a_gap_too(worked: Shell) -> None:
    worked.set(WORKER_POLL_EVERY="1ms", WORKER_REQUEST_TIMEOUT="1ms")
    gaps = worked.json("gaps", code=1)
    ready, needed = (
        f"nothing was read since: is the worker running, and {what}?" for what in ("ready", "a rule about it")
    )
    told = {gap["source"]: gap["why"] for gap in gaps if gap["source"] != "allow policies"}  # may not be late yet
    assert told == {"messages": ready, "reports": needed, "submissions": needed}


def test_what_waits_can_be_approved_or_refused_by_its_id(worked: Shell) -> None:
    first, second, *_ = worked.json("waiting")
    assert worked.type("approve", first["id"], "--as", "ada")[0] == 0
    assert worked.type("refuse", second["id"], "--because", "a newsletter")[0] == 0
    worked.json("run", "--once")
    left = {row["id"] for row in worked.json("waiting")}
    assert not left & {first["id"], second["id"]}
    orders = [
        msgspec.json.decode(line)
        for line in worked.type("audit", "query", "--verb", "ordered", "--json")[1].splitlines()
    ]
    assert (orders[0]["what"], orders[0]["who"]) == ("approve", "ada")
    assert orders[1]["because"] == "a newsletter"


def test_everything_of_a_rule_can_be_refused_at_once(worked: Shell) -> None:
    of_it = [row for row in worked.json("waiting") if "malicious_mail" in row["rule"]]
    code, out, _ = worked.type("refuse", "--rule", "malicious_mail")
    assert (code, out.startswith(f"refuse all that waits of 'malicious_mail', {len(of_it)} in number: ")) == (0, True)
    worked.json("run", "--once")
    assert not [row for row in worked.json("waiting") if "malicious_mail" in row["rule"]]


def test_what_a_sender_would_be_spared_is_told_before_anybody_decides(worked: Shell) -> None:
    allows = [row for row in worked.json("waiting") if row["action"].startswith("AllowSender")]
    assert allows
    assert {row["action"].split(" ", 2)[2] for row in allows} == {"EMAIL acceptable verify for 30d"}


def test_what_belongs_to_one_decision_is_decided_together(worked: Shell) -> None:
    waiting = worked.json("waiting")
    release = next(row for row in waiting if row["action"] == "Release")
    parts = {row["id"] for row in waiting if row["item"] == release["item"]}
    _, out, _ = worked.type("approve", release["id"])
    worked.type("run", "--once")
    assert (len(parts), out.startswith("approve it and 2 more of the same decision: ordered")) == (3, True)
    assert not parts & {row["id"] for row in worked.json("waiting")}


def test_a_lane_can_be_braked_and_let_go(worked: Shell) -> None:
    for lane in ("block", "trust"):
        assert worked.type("brake", "on", "--lane", lane)[0] == 0
    worked.json("run", "--once")
    assert [row["lane"] for row in worked.json("brake")] == ["block", "trust"]
    for lane in ("block", "trust"):
        worked.type("brake", "off", "--lane", lane)
    worked.json("run", "--once")
    assert worked.json("brake") == []


def test_a_brake_that_is_not_on_cannot_be_taken_off(worked: Shell) -> None:
    code, out, err = worked.type("brake", "off")
    assert (code, out, err) == (1, "", "worker: there is no brake on everything to take off; no brake is on\n")
    worked.type("brake", "on", "--lane", "block")
    on = "on: lane block (worker brake off --lane block)\n"
    for words in ((), ("--rule", "gone"), ("--lane", "verdict")):
        code, out, err = worked.type("brake", "off", *words)
        assert (code, out, err.endswith(f"to take off; {on}")) == (1, "", True)
    worked.type("brake", "on")
    code, out, _ = worked.type("brake", "off")
    assert (code, out.splitlines()[1:]) == (0, [f"still {on}".strip()])
    worked.json("run", "--once")
    assert [row["lane"] for row in worked.json("brake")] == ["block"]


def test_a_rule_that_is_gone_can_still_be_let_go(worked: Shell) -> None:
    worked.type("brake", "on", "--rule", "malicious_mail")
    worked.json("run", "--once")
    worked.set(WORKER_RULES=str(rule_files(worked.folder, other=GOOD)))
    assert worked.type("brake", "off", "--rule", "malicious_mail")[0] == 0
    worked.json("run", "--once")
    assert worked.json("brake") == []


@pytest.mark.parametrize("words", [("--lane", "blocks"), ("--lane", "block", "--rule", "malicious_mail")])
def test_a_lane_that_does_not_exist_is_refused(worked: Shell, words: tuple[str, ...]) -> None:
    code, _, err = worked.type("brake", "on", *words)
    assert (code, "placement, verdict, block, allow, trust, notice" in err) == (2, True)
    assert err.endswith("did you mean block?\n") == (words[1] == "blocks")


@pytest.mark.parametrize("words", [("approve", "nothing-like-it"), ("approve",), ("refuse", "x", "--rule", "y")])
def test_a_decision_about_nothing_is_refused(worked: Shell, words: tuple[str, ...]) -> None:
    code, _, err = worked.type(*words)
    assert (code, "worker waiting" in err) == (2, True)


def test_a_brake_holds_everything_until_it_is_taken_off(worked: Shell) -> None:
    assert worked.type("brake")[1] == "no brake is on\n"
    worked.type("brake", "on", "--because", "wrong mails are moved", "--as", "ben")
    worked.json("run", "--once")
    (brake,) = worked.json("brake")
    assert (brake["rule"], brake["who"], brake["because"]) == ("all", "ben", "wrong mails are moved")
    assert "wrong mails" in worked.type("status")[1]
    worked.type("brake", "off")
    worked.json("run", "--once")
    assert worked.json("brake") == []


def test_a_brake_on_a_rule_that_does_not_exist_would_hold_nothing(worked: Shell) -> None:
    code, _, err = worked.type("brake", "on", "--rule", "malicious_male")
    assert (code, "did you mean malicious_mail?" in err) == (2, True)
    assert worked.type("brake", "on", "--rule", "malicious_mail")[0] == 0
    code, _, err = worked.type("brake", "on", "--rule", "foo")
    assert (code, err) == (2, "worker: there is no rule 'foo': `worker rules` lists those there are\n")


def test_broken_rule_files_keep_nobody_from_braking(worked: Shell) -> None:
    broken = worked.folder / "broken"
    broken.mkdir()
    worked.set(WORKER_RULES=str(rule_files(broken, bad="def f(:\n")))
    assert worked.type("brake", "on", "--rule", "malicious_mail")[0] == 0


def test_a_brake_is_on_or_off(shell: Shell) -> None:
    code, _, err = shell.type("brake", "sideways")
    assert (code, "on or off" in err) == (2, True)
