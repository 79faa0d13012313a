"""`worker sandbox --eml`: real messages in the account, and what is said of those that are none."""

import re
import signal
from pathlib import Path

import pytest
from aiohttp import ClientSession

from tests.cells import each
from tests.cli.shell import Shell
from tests.cli.test_demo import start
from worker.cli.sandbox import parse_budget, parse_rate
from worker.sandbox.content.eml_folder import RULES


@pytest.mark.slow
async def test_a_folder_of_messages_lies_in_the_account(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(b"From: x@y.example\r\nX-Sandbox-Disposition: SPOOF\r\n\r\nhello")
    (tmp_path / "b\x1b[2J.eml").write_bytes(b"")
    nothing = ("--messages", "0", "--arrivals", "0/s")
    process = await start("sandbox", "--port", "0", *nothing, "--eml", str(tmp_path))
    assert process.stdout
    printed = (await process.stdout.readline()).decode()
    found = re.search(r"http://[^/]+", printed)
    assert found
    async with ClientSession() as web, web.get(f"{found[0]}/_sandbox/messages") as answer:
        [message] = await answer.json()
    assert (message["from"], message["disposition"], message["folder"]) == ("x@y.example", "SPOOF", "Inbox")
    process.send_signal(signal.SIGTERM)
    _, err = await process.communicate()
    assert (process.returncode, err.decode().splitlines()) == (
        0,
        [r"skipped b\u001B[2J.eml: it has no headers", f"added 1 message from {tmp_path}"],
    )


@pytest.mark.slow
async def test_an_account_of_the_older_pages_has_numbers_in_its_lists() -> None:
    process = await start("sandbox", "--port", "0", "--messages", "0", "--era", "seeds")
    assert process.stdout
    base = re.search(r"http://\S+", (await process.stdout.readline()).decode())
    assert base
    place = f"{base[0]}/accounts/023e105f4ecef8ad9ca31a8372d0c353/email-security/settings/domains"
    async with ClientSession(headers={"authorization": "Bearer any"}) as web, web.get(place) as answer:
        ids = [row["id"] for row in (await answer.json())["result"]]
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    assert {type(one) for one in ids} == {int}


def test_a_folder_that_is_none_is_an_option_to_change(shell: Shell) -> None:
    missing = shell.folder / "missing"
    code, _, err = shell.type("sandbox", "--port", "0", "--eml", str(missing))
    assert (code, err) == (
        2,
        f"worker: --eml {missing} cannot be read (No such file or directory): name a folder of .eml files\n",
    )


@each(("said", "a_second"), [("5/s", 5), ("30/m", 0.5), ("5/30s", 1 / 6), ("6/10m", 0.01), ("0/s", 0)])
def test_a_rate_is_a_number_in_a_unit_or_in_a_duration(said: str, a_second: float) -> None:
    assert parse_rate(said) == pytest.approx(a_second)


@pytest.mark.parametrize(
    ("option", "said", "advice"),
    [
        *(("--arrivals", said, "such as 5/s, 30/m or 5/10m") for said in ("inf/s", "nan/s", "-1/s", "5/0s", "2000/s")),
        *(("--arrivals", said, "such as 5/s, 30/m or 5/10m") for said in ("5", "5/", "5/h ", "5/1.5.2m", "many/s")),
        *(("--quota", said, "such as 1200/300s, or none") for said in ("10/0s", "1.5/s", "-1/s", "10", "9" * 5000)),
        *((option, "9" * 400 + "s", "write 1d or less") for option in ("--lag", "--latency")),
        ("--latency", "soon", "write a number and ms, s, m, h or d"),
        *(("--account", said, "write up to 32 letters and digits") for said in ("a/b", "", "a" * 33)),
        *(("--port", said, f"Input should be {word}") for said, word in (("99999", "less"), ("-1", "greater"))),
        *(("--messages", said, f"than or equal to {most}") for said, most in (("-1", 0), ("9999999", 1000000))),
        ("--seed", "-1", "greater than or equal to 0"),
        ("--faults", "gentle", "none, rough, hostile"),
    ],
)
def test_an_option_that_makes_no_sense_is_named_with_what_to_write(
    shell: Shell, option: str, said: str, advice: str
) -> None:
    code, out, err = shell.type("sandbox", "--port", "0", option, said)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert option in err
    assert advice in err


def test_a_budget_is_requests_in_a_time_or_none() -> None:
    assert [parse_budget(said) for said in ("1200/300s", "10/m", "0/2m", "none")] == [
        (1200, 300),
        (10, 60),
        (0, 120),
        None,
    ]


def test_the_help_says_how_a_message_is_judged(shell: Shell) -> None:
    _, out, _ = shell.type("sandbox", "--help")
    words = "".join(out.split())  # the help is folded wherever a line is full
    told = [words.find(f":{rule.disposition};") for rule in RULES]
    assert "X-Sandbox-Disposition" in words
    assert told == sorted(told)
    assert -1 not in told
