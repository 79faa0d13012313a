"""`worker brake`: what is put on holds, and is taken off by the option it was put on with."""

import pytest

from tests.cli.shell import Shell
from tests.cli.test_approvals import draft, waits
from tests.rule_files import GOOD, rule_files


@pytest.mark.slow
def test_a_lane_can_be_braked_and_let_go(worked: Shell) -> None:
    for lane in ("block", "trust"):
        assert worked.type("brake", "on", "--lane", lane)[0] == 0
    worked.json("run", "--once")
    assert [row["lane"] for row in worked.json("brake")] == ["block", "trust"]
    for lane in ("block", "trust"):
        worked.type("brake", "off", "--lane", lane)
    worked.json("run", "--once")
    assert worked.json("brake") == []


@pytest.mark.slow
def test_a_brake_that_is_not_on_cannot_be_taken_off(worked: Shell) -> None:
    code, out, err = worked.type("brake", "off")
    assert (code, out, err) == (1, "", "worker: there is no brake on everything to release; no brake is on\n")
    worked.type("brake", "on", "--lane", "block")
    on = "on: lane block (worker brake off --lane block)\n"
    for words in ((), ("--rule", "gone"), ("--lane", "verdict")):
        code, out, err = worked.type("brake", "off", *words)
        assert (code, out, err.endswith(f"to release; brakes that are {on}")) == (1, "", True)
    worked.type("brake", "on")
    code, out, _ = worked.type("brake", "off")
    assert (code, out.splitlines()[1:]) == (0, [f"Still {on}".strip()])
    worked.json("run", "--once")
    assert [row["lane"] for row in worked.json("brake")] == ["block"]


@pytest.mark.slow
def test_a_rule_that_is_gone_can_still_be_let_go(worked: Shell) -> None:
    worked.type("brake", "on", "--rule", "malicious_mail")
    worked.json("run", "--once")
    worked.set(WORKER_RULES=str(rule_files(worked.folder, other=GOOD)))
    assert worked.type("brake", "off", "--rule", "malicious_mail")[0] == 0
    worked.json("run", "--once")
    assert worked.json("brake") == []


@pytest.mark.slow
@pytest.mark.parametrize("words", [("--lane", "blocks"), ("--lane", "block", "--rule", "malicious_mail")])
def test_a_lane_that_does_not_exist_is_refused(worked: Shell, words: tuple[str, ...]) -> None:
    code, _, err = worked.type("brake", "on", *words)
    assert (code, "placement, verdict, block, allow, trust, notice" in err) == (2, True)
    assert err.endswith("did you mean block?\n") == (words[1] == "blocks")


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_brake_on_a_rule_that_does_not_exist_would_hold_nothing(worked: Shell) -> None:
    code, _, err = worked.type("brake", "on", "--rule", "malicious_male")
    assert (code, "did you mean malicious_mail?" in err) == (2, True)
    assert worked.type("brake", "on", "--rule", "malicious_mail")[0] == 0
    code, _, err = worked.type("brake", "on", "--rule", "foo")
    assert (code, err) == (2, "worker: there is no rule 'foo': `worker rules` lists all rules\n")


@pytest.mark.slow
def test_broken_rule_files_keep_nobody_from_braking(worked: Shell) -> None:
    broken = worked.folder / "broken"
    broken.mkdir()
    worked.set(WORKER_RULES=str(rule_files(broken, bad="def f(:\n")))
    assert worked.type("brake", "on", "--rule", "malicious_mail")[0] == 0


def test_a_brake_is_on_or_off(shell: Shell) -> None:
    code, _, err = shell.type("brake", "sideways")
    assert (code, "`worker brake on` or `worker brake off`" in err) == (2, True)


@pytest.mark.parametrize(
    ("brakes", "told"),
    [
        ([()], "everything (worker brake off)"),
        ([("--lane", "placement")], "lane placement (worker brake off --lane placement)"),
        ([("--lane", "block"), ("--lane", "placement"), ()], "everything (worker brake off), lane placement (worker"),
        ([("--lane", "block")], ""),
        ([], ""),
    ],
)
def test_an_approval_names_the_brakes_that_keep_it_back(shell: Shell, brakes: list[tuple[str, ...]], told: str) -> None:
    waits(draft("m1", "one"), draft("m2", "two"))
    for words in brakes:
        assert shell.type("brake", "on", *words)[0] == 0
    code, out, _ = shell.type("approve", "--rule", "r", "--as", "ada")
    assert (code, "Kept back until you release the brakes that are on: " + told in out) == (0, bool(told))
    assert ("Kept back" in out) == bool(told)
