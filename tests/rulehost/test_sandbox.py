"""The walls around the rules as the host knows them: which stand, and what becomes of a machine that lacks some."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rule_files import BAD, GOOD, mail, rule_files
from worker import walls
from worker.errors import SettingsError
from worker.rulehost import starting as hosting
from worker.rulehost.host import Host
from worker.walls import SANDBOXES, WALLS, Sandbox

pytestmark = pytest.mark.slow


def read_status(pid: int) -> str:
    """Read what the kernel says of a process."""
    return Path(f"/proc/{pid}/status").read_text()


async def test_a_child_says_which_walls_stand_before_it_is_given_a_rule(tmp_path: Path) -> None:
    async with Host(rule_files(tmp_path, good=GOOD)) as host:
        assert host.standing == dict.fromkeys(WALLS, "")
        status = read_status(host.pid)
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
    assert "CapEff:\t0000000000000000" in status


async def test_without_walls_rules_run_all_the_same(tmp_path: Path) -> None:
    does = "return Move('Inbox') if os.listdir('/') else None"
    rule_files(tmp_path, bad=BAD.replace("{does}", does))
    for name, acts in (("off", True), ("best-effort", False)):
        async with Host(tmp_path, sandbox=SANDBOXES[name]) as host:
            (said,) = await host.propose([mail(subject="bad")])
            assert bool(said.proposals) is acts
            assert [one.problem[:15] for one in said.failed] == ([] if acts else ["PermissionError"])


async def test_who_requires_walls_does_not_start_without_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosting, "is_hidden", lambda: True)
    rule_files(tmp_path, good=GOOD)
    async with Host(tmp_path, sandbox=SANDBOXES["require"]) as host:
        assert host.bundle.rules
    lacking = Sandbox(frozenset(WALLS) - {"seccomp"}, SANDBOXES["require"].required)
    with pytest.raises(SettingsError, match=r"WORKER_RULES_SANDBOX is require.*\(seccomp: it was not put up\)"):
        await Host(tmp_path, sandbox=lacking).load()


async def test_who_requires_walls_is_hidden_himself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosting, "is_hidden", lambda: False)
    with pytest.raises(SettingsError, match="the worker itself can be read"):
        await Host(rule_files(tmp_path, good=GOOD), sandbox=SANDBOXES["require"]).load()


def test_every_command_is_hidden_before_it_reads_a_setting() -> None:
    script = (
        "import sys\n"
        "from worker.cli import context, main\n"
        "from worker.walls import is_hidden\n"
        "context.read_settings = lambda: sys.exit(7 if is_hidden() else 8)\n"
        "context.run = lambda *_: context.read_settings()\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], env=dict(os.environ), check=False)  # noqa: S603 (ours)
    assert done.returncode == 7
    assert not walls.is_hidden()
