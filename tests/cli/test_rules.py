"""`worker check` and `worker rules`."""

from pathlib import Path

import pytest

from tests.cli.shell import Shell
from tests.rule_files import GOOD, rule_files

pytestmark = pytest.mark.slow  # it starts processes


def test_the_shipped_rules_pass_their_examples(shell: Shell) -> None:
    code, out, _ = shell.type("check")
    assert (code, out) == (0, "10 rules loaded; all examples pass\n")


def test_one_rule_is_not_called_several(shell: Shell, tmp_path: Path) -> None:
    one = tmp_path / "one"
    one.mkdir()
    assert shell.type("check", str(rule_files(one, good=GOOD)))[:2] == (0, "1 rule loaded; all examples pass\n")


def test_a_bad_rule_file_is_named_with_its_line_and_is_a_finding(shell: Shell, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    rule_files(bad, broken="def f(:\n")
    code, out, _ = shell.type("check", str(bad))
    assert code == 1
    assert "broken.py:2" in out
    assert shell.json("check", str(bad), code=1)["problems"]


def test_a_rules_folder_that_is_not_there_is_named(shell: Shell) -> None:
    code, _, err = shell.type("check", "/nowhere/rules")
    assert (code, "WORKER_RULES" in err) == (2, True)


def test_a_file_is_not_taken_for_a_folder_and_its_folder_is_named(shell: Shell, tmp_path: Path) -> None:
    rule_files(tmp_path, good=GOOD)
    code, out, err = shell.type("check", f"{tmp_path}/good.py")
    assert (code, out, f"try `worker check {tmp_path}`" in err, "WORKER_RULES" in err) == (2, "", True, True)


def test_the_list_of_rules_says_what_each_may_do(shell: Shell) -> None:
    rules = {rule["rule"]: rule for rule in shell.json("rules")}
    assert rules["malicious_sender"]["may"] == ["BlockSender"]
    assert rules["executive_lookalike"]["asks"] == ["Registry", "Detection"]
    assert rules["executive_lookalike"]["where"].startswith("executive_lookalike.py:")


def test_the_table_of_rules_fits_a_hundred_columns(shell: Shell) -> None:
    _, out, _ = shell.type("rules")
    assert "partner_release" in out
    assert max(map(len, out.splitlines())) <= 100
    assert "\x1b" not in out
