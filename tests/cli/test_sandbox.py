"""`worker sandbox --eml`: real messages in the account, and what is said of those that are none."""

import re
import signal
from pathlib import Path

import pytest
from aiohttp import ClientSession

from tests.cli.shell import Shell
from tests.cli.test_demo import start
from worker.sandbox.folder import RULES


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
        [r"skipped b\u001B[2J.eml: it has no headers", f"1 messages of {tmp_path} lie there"],
    )


def test_a_folder_that_is_none_is_an_option_to_change(shell: Shell) -> None:
    missing = shell.folder / "missing"
    code, _, err = shell.type("sandbox", "--port", "0", "--eml", str(missing))
    assert (code, err) == (
        2,
        f"worker: --eml {missing} cannot be read (No such file or directory): name a folder of .eml files\n",
    )


def test_the_help_says_how_a_message_is_judged(shell: Shell) -> None:
    _, out, _ = shell.type("sandbox", "--help")
    words = "".join(out.split())  # the help is folded wherever a line is full
    told = [words.find(f":{rule.disposition};") for rule in RULES]
    assert "X-Sandbox-Disposition" in words
    assert told == sorted(told)
    assert -1 not in told
