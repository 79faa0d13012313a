"""`worker run --once`: one round acts, proves, and says what came of it."""

from pathlib import Path

import pytest

from tests.cli.shell import Shell
from tests.serving import RULES, Serving, sandbox
from worker.sandbox import SandboxOptions

pytestmark = pytest.mark.slow  # it starts a server


def test_a_round_acts_proves_and_says_so(shell: Shell) -> None:
    with sandbox() as serving:
        outbreak = serving.world.arrive(20, "outbreak")
        shell.set(**serving.environment(shell.folder, WORKER_CEILING="enforce", WORKER_SETTLE="4s"))
        code, out, _ = shell.type("run", "--once")
    assert (code, "\n\nno gap is open; all entries are settled\n" in out) == (0, True)
    assert out.startswith("entries of the ledger, by action and state:\naction ")
    assert "\n\nrequests of this round:\noperation " in out
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
