"""`worker show --live`: what the API shows now, after it was said what asking costs."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from tests.cli.shell import Shell
from tests.rule_files import GOOD, rule_files
from tests.serving import Serving
from tests.surface import HELD, hold, list_keys
from worker.ledger.ledger import open_ledger

pytestmark = pytest.mark.slow  # it starts a server


@pytest.fixture
def asking(shell: Shell, account: Serving) -> Shell:
    """Give a shell with an empty ledger and an account that has mail."""
    shell.set(**account.environment(shell.folder))

    async def make() -> None:
        async with open_ledger(os.environ["WORKER_STORE_URL"], owner="test", exclusive=True):
            pass

    asyncio.run(make())
    return shell


def requests(serving: Serving) -> int:
    return sum(sum(each.values()) for each in serving.world.requests.values())


@pytest.mark.parametrize("by", ["id", "alert id", "postfix id", "Message-ID", "address"])
def test_mail_that_the_ledger_does_not_know_is_found_and_the_cost_was_said_first(
    asking: Shell, account: Serving, by: str
) -> None:
    mail = account.world.add_message(
        disposition="NONE", scanned=time.time() - 60, client_recipients=["zoe@corp.example"], message_id="<z@x.example>"
    )
    names = {
        "id": [mail.id], "alert id": [mail.id.rpartition("-")[0]], "postfix id": [mail.postfix],
        "Message-ID": ["<z@x.example>"], "address": ["--recipient", "zoe@corp.example"],
    }  # fmt: skip
    before = requests(account)
    code, out, err = asking.type("show", *names[by], "--live")
    assert (code, mail.id in out, "NONE" in out) == (0, True, True)
    assert "--live makes 2 requests at most" in err
    assert requests(account) - before <= 2


def test_mail_that_no_rule_hears_is_found_by_the_api_and_its_life_by_the_ledger(
    shell: Shell, account: Serving, tmp_path: Path
) -> None:
    narrow = GOOD.replace("@rule", '@rule(dispositions=("SPOOF",))')
    shell.set(**account.environment(shell.folder, WORKER_RULES=str(rule_files(tmp_path, one=narrow))))
    mail = account.world.add_message(disposition="SPAM", scanned=time.time() - 60, sender="zoe@mail.example")
    shell.type("run", "--once")
    told = shell.json("show", "--sender", "zoe@mail.example", "--live")
    (sight,) = told["mail"]["sights"]
    assert told["mail"]["id"] == mail.id
    assert sight["silent"] == [{"rule": "good", "why": "other_verdict", "trigger": "Message", "hears": ["SPOOF"]}]


def test_what_others_did_to_it_is_in_its_log(asking: Shell, account: Serving) -> None:
    mail = account.world.add_message(quarantined=True)
    account.world.release_by_hand(mail.id)
    told = asking.json("show", mail.id, "--live")
    assert (told["mail"], told["live"]["mail"]["id"]) == (None, mail.id)
    assert [line["operation"] for line in told["live"]["mail"]["log"]] == ["QUARANTINE_RELEASE"]
    held = {key for key in HELD["--json"]["worker show"] if key.startswith("live.")}
    hold("--json", {"worker show": held}, {"worker show": list_keys({"live": told["live"]})})


def test_a_quarantined_mail_is_said_to_be_in_quarantine_once(asking: Shell, account: Serving) -> None:
    mail = account.world.add_message(quarantined=True)
    _, out, _ = asking.type("show", mail.id, "--live")
    assert out.count("quarantine") == 1


def test_without_it_nothing_is_asked_and_the_way_is_named(asking: Shell, account: Serving) -> None:
    mail = account.world.add_message()
    before = requests(account)
    code, _, err = asking.type("show", mail.id)
    assert (code, "--live asks the API" in err, requests(account)) == (1, True, before)


def test_of_a_time_before_any_calendar_the_api_says_that_it_is_too_long_ago(asking: Shell) -> None:
    _, _, err = asking.type("show", "--sender", "zoe@mail.example", "--since", "9999999d", "--live")
    assert "start must be within the last 12 months" in err


def test_mail_that_nobody_knows_is_a_finding(asking: Shell) -> None:
    code, out, err = asking.type("show", "--sender", "nobody@nowhere.example", "--live")
    assert (code, out, "neither the ledger nor the API" in err) == (1, "", True)


def test_after_a_round_each_rule_has_a_reason_for_each_mail(worked: Shell) -> None:
    reasons = set[str]()
    for mail in worked.json("show", "--subject", "e", "--since", "30d")["found"][:20]:
        life = worked.json("show", mail["id"])["mail"]
        (sight,) = life["sights"]
        assert (sight["rules_known"], len(sight["spoke"]) + len(sight["silent"])) == (True, 10)
        assert {rule for entry in life["entries"] for rule in entry["rules"]} <= {one["rule"] for one in sight["spoke"]}
        reasons |= {one["why"] for one in sight["silent"]}
    assert reasons >= {"other_trigger", "returned_nothing"}
