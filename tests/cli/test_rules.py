"""`worker check` and `worker rules`."""

import asyncio
import re
from pathlib import Path

import pytest

from tests.cli.shell import Shell
from tests.ledger.desk import ME, T0, Desk, info, standing
from tests.rule_files import GOOD, rule_files
from worker import Reclassify
from worker.cli.rules import say_limit
from worker.language.actions import ACTIONS
from worker.language.models import DISPOSITIONS, FACTS
from worker.language.rules import Limit
from worker.ledger.entries import Outcome
from worker.ledger.ledger import open_ledger

pytestmark = pytest.mark.slow  # it starts processes


def test_the_shipped_rules_pass_their_examples(shell: Shell) -> None:
    code, out, _ = shell.type("check")
    assert (code, out) == (0, "10 rules loaded; all examples pass\n")


def test_one_rule_is_not_called_several(shell: Shell, tmp_path: Path) -> None:
    one = tmp_path / "one"
    one.mkdir()
    assert shell.type("check", str(rule_files(one, good=GOOD)))[:2] == (0, "1 rule loaded; all examples pass\n")


def test_a_check_without_walls_says_so_on_stderr_also_of_a_bad_file(shell: Shell, tmp_path: Path) -> None:
    told = "worker: the rules run without walls, because WORKER_RULES_SANDBOX is off\n"
    assert shell.type("check")[2] == ""
    shell.set(WORKER_RULES_SANDBOX="off")
    for name, code, text in (("good", 0, GOOD), ("broken", 1, "def f(:\n")):
        (folder := tmp_path / name).mkdir()
        found, _, err = shell.type("check", str(rule_files(folder, **{name: text})))
        assert (found, err) == (code, told)


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
    rules = shell.json("rules")
    told = [word for rule in rules for word in (rule["rule"], rule["where"], *rule["asks"], *rule["may"])]
    assert set(told) <= set(out.split())


OF_A_MESSAGE = [name for name in ACTIONS if name != "Escalate"]  # which is about what a user submitted
FACTS_OF_A_RULE, ACTIONS_OF_A_RULE = ", ".join(f"{name.lower()}: {name}" for name in FACTS), " | ".join(OF_A_MESSAGE)
EVERYTHING = f"""
    from worker import ActionLog
    @rule(dispositions={DISPOSITIONS}, limit=limit(7, per="30m", by="recipient"))
    def everything(message: Message, {FACTS_OF_A_RULE}) -> {ACTIONS_OF_A_RULE} | None:
        "It may do anything."
"""


def test_no_word_of_a_rule_that_may_do_anything_is_broken(shell: Shell, tmp_path: Path) -> None:
    shell.set(WORKER_RULES=str(rule_files(tmp_path, everything=EVERYTHING, good=GOOD)))
    _, out, _ = shell.type("rules")
    assert {*FACTS, *OF_A_MESSAGE, *DISPOSITIONS, "Message:"} <= set(out.split())
    assert max(map(len, out.splitlines())) <= 100
    assert ("7 in 30m" in out, "for each recipient" in " ".join(out.split())) == (True, True)
    assert "every detection" in out


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (Limit(100), "100 an hour"),
        (Limit(5000, 86400.0), "5,000 a day"),
        (Limit(1, 60.0, "sender"), "1 a minute for each sender"),
        (Limit(7, 1800.0), "7 in 30m"),
        (Limit(7, 5400.0), "7 in 1h 30m"),
    ],
)
def test_a_limit_is_said_as_people_say_it(limit: Limit, said: str) -> None:
    assert say_limit(limit) == said


async def ask_cloudflare(folder: Path) -> None:
    """Leave a ledger in which a shipped rule asked twice, and was granted one request."""
    desk = Desk()
    async with open_ledger(f"sqlite:///{folder / 'worker.db'}", owner="first", exclusive=False) as desk.ledger:
        for message, state, review in (("m1", "done", "granted"), ("m2", "sent", "accepted")):
            entry = await desk.wish(Reclassify("NONE"), message, rules=("partner_release",))
            await desk.claim(entry, under=standing(info("partner_release")))
            await desk.answer(entry)
            shown = Outcome(id=entry.id, state=state, review=review)  # type: ignore[arg-type]
            await desk.ledger.settle(ME, [shown], T0)


def test_the_list_of_rules_says_how_often_cloudflare_agreed(shell: Shell) -> None:
    before, out, _ = shell.json("rules"), *shell.type("rules")[1:]
    assert ({sum(rule["agreement"].values()) for rule in before}, "granted" in out) == ({0}, False)
    asyncio.run(ask_cloudflare(shell.folder))
    rules = {rule["rule"]: rule["agreement"] for rule in shell.json("rules")}
    assert rules["partner_release"] == {"asked": 2, "granted": 1, "rejected": 0, "invalid": 0, "never decided": 0}
    assert rules["malicious_mail"]["asked"] == 0
    assert re.search(r"^partner_release +2 +1 +0 +0 +0 *$", shell.type("rules")[1], re.MULTILINE)


def test_rules_are_listed_though_the_ledger_cannot_be_read(shell: Shell) -> None:
    (shell.folder / "worker.db").write_bytes(b"no database")
    code, out, err = shell.type("rules")
    assert (code, "partner_release" in out, "what Cloudflare granted is not known" in err) == (0, True, True)


CLEAN_TOO = """
@rule(dispositions=("NONE", "SPAM"))
def asks(message: Message) -> Reclassify | None:
    "Ask for another verdict."
    return None
"""


def test_a_rule_that_may_ask_about_clean_mail_is_remarked_upon_and_no_problem(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "clean"
    folder.mkdir()
    rules = str(rule_files(folder, asks=CLEAN_TOO))
    code, out, _ = shell.type("check", rules)
    assert (code, "asks.py:4: asks: it hears clean mail too" in out) == (0, True)
    assert len(shell.json("check", rules)["remarks"]) == 1
    assert shell.json("check")["remarks"] == []
