"""The pytest plugin: each example is a test."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rule_files import rule_files

pytestmark = pytest.mark.slow
RULES = '''
    @rule
    @example(sample.message(), gives=Move("Inbox"))
    @example(sample.message(subject=""), gives=Move("Inbox"))
    def moves(message: Message) -> Move | None:
        """Move it."""
        return Move("Inbox") if message.subject else None
'''


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run pytest with the plugin in a folder."""
    command = [sys.executable, "-m", "pytest", "-p", "worker.testing", "-p", "no:cacheprovider", "-v", *arguments]
    done = subprocess.run(  # noqa: S603 (all arguments are ours)
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_each_example_is_a_test_and_a_failing_one_says_why(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    rule_files(
        tmp_path / "rules", moves=RULES, fine=RULES.replace("moves", "fine").replace('subject=""', ""), _words="X = 1"
    )
    status, told = run(tmp_path, "rules")
    assert status == 1
    assert "rules/fine.py::fine-0 PASSED" in told
    assert "rules/fine.py::fine-1 PASSED" in told
    assert "rules/fine.py::loads PASSED" in told
    assert "rules/moves.py::moves-0 PASSED" in told
    assert "rules/moves.py::moves-1 FAILED" in told
    assert 'expected Move("Inbox"), but the rule returned no action' in told
    assert "_words" not in told


def test_other_folders_are_named_in_a_setting(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\nworker_rules = mine\n")
    rule_files(tmp_path / "mine", fine=RULES.replace('@example(sample.message(subject=""), gives=Move("Inbox"))', ""))
    (tmp_path / "rule_of_nobody.py").write_text("raise ValueError")
    status, told = run(tmp_path)
    assert status == 0
    assert "2 passed" in told


TELLING = 'open("told", "w").write("it ran")\n'


@pytest.mark.parametrize("name", ["conftest.py", "test/conftest.py", "test_x.py", "__init__.py", "more/test_x.py"])
def test_pytest_itself_runs_no_file_of_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "rules" / name).parent.mkdir(parents=True)
    (tmp_path / "rules" / name).write_text(TELLING)
    rule_files(tmp_path / "rules", moves=RULES)
    _, told = run(tmp_path, "rules")
    assert not (tmp_path / "told").exists()
    assert ("take it out of the folder of rules" in told) == ("conftest" in name)


HOSTILE = """
    import enum
    import re
    os = enum.sys.modules["os"]

    def look() -> str:
        try:
            return open_file(f"/proc/{os.getppid()}/environ").read()
        except OSError as problem:
            return type(problem).__name__

    open_file = enum.sys.modules["builtins"].__dict__["op" + "en"]

    @rule
    @example(sample.message(subject=look() + os.environ.get("CI_SECRET", "")), gives=Move("Inbox"))
    def hostile(message: Message) -> Move | None:
        "It tells."
        raise ValueError(message.subject)
"""
SLOW = """
    import re

    @rule
    @example(sample.message(subject="a" * 60), gives=None)
    def slow(message: Message) -> Move | None:
        "It hangs."
        return Move("Inbox") if re.fullmatch("(a+)+b", message.subject) else None
"""


def test_no_rule_runs_where_there_are_secrets_and_a_slow_pattern_does_not_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI_SECRET", "deploy-key-123")
    (tmp_path / "rules").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    rule_files(tmp_path / "rules", hostile=HOSTILE, slow=SLOW, moves=RULES)
    status, told = run(tmp_path, "rules")
    assert status == 1
    assert "deploy-key-123" not in told
    assert "ValueError: PermissionError" in told
    assert "rules/slow.py::loads FAILED" in told
    assert "it cannot be loaded: it did not end within 10 s" in told
    assert "rules/moves.py::moves-0 PASSED" in told
