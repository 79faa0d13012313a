"""docs/api.md has every operation, as the client has it."""

import asyncio
import re
from typing import Any

import pytest

from tests.api.desk import EPOCH, Inside, client, loop_time, quickly
from tests.api_docs import PAGE, written
from tests.serving import sandbox
from worker.api import OPERATIONS
from worker.errors import Unsent
from worker.sandbox import ACCOUNT, SandboxOptions, World

TEXT = PAGE.read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_the_page_is_what_the_client_says() -> None:
    assert written(TEXT) == TEXT, "make the tables anew: .venv/bin/python -m tests.api_docs"


def test_every_operation_has_one_row_that_says_what_it_does() -> None:
    rows = re.findall(r"^\| ([A-Z]+) \| `(/\S*)` \| `(\S+)` \| \S.*[.)] \|$", TEXT, re.MULTILINE)
    assert sorted(rows) == sorted(tuple(operation) for operation in OPERATIONS)
    assert len(rows) == 71


@pytest.mark.slow  # it starts a server
def test_the_program_that_is_shown_finds_mail_and_blocks_its_sender(capsys: pytest.CaptureFixture[str]) -> None:
    program = PROGRAMS[0]
    with sandbox() as serving:
        mail = serving.world.add_message(sender="a@evil.example")
        shown: dict[str, Any] = {}
        exec(program.replace("https://api.cloudflare.com", serving.url), shown)  # noqa: S102 (what is being tested)
        asyncio.run(shown["main"]("any", ACCOUNT))
        blocked = [entry.value["pattern"] for entry in serving.world.lists["block_senders"].values() if entry.value]
    assert capsys.readouterr().out.startswith(mail.id)
    assert "evil.example" in blocked


def junked(options: SandboxOptions, *senders: str) -> World:
    """Run the second program on an account with mail of these senders, each to two recipients, and with clean mail."""
    shown: dict[str, Any] = {}
    exec(PROGRAMS[1], shown)  # noqa: S102 (what is being tested)

    async def day() -> World:
        world = World(ACCOUNT, now=lambda: EPOCH + loop_time(), options=options)
        for sender in senders:
            both = ["a@corp.example", "b@corp.example"]
            world.add_message(sender=sender, scanned=EPOCH - 600, client_recipients=both)
        world.add_message(sender="a@evil.example", scanned=EPOCH - 600, disposition="NONE")
        await shown["junk"](client(Inside(world)), EPOCH)
        return world

    return quickly(day)


def test_the_bulk_job_that_is_shown_moves_detections_and_counts_copies(capsys: pytest.CaptureFixture[str]) -> None:
    world = junked(SandboxOptions(), *["a@evil.example"] * 50, "a@fine.example")
    assert capsys.readouterr().out == "COMPLETED 100 of 100\n"
    assert [mail.now.folder for mail in world.mails].count("JunkEmail") == 50


def test_the_bulk_job_that_is_shown_is_cancelled_when_much_of_it_fails(capsys: pytest.CaptureFixture[str]) -> None:
    junked(SandboxOptions(move_failed=1.0, job_handles=2, job_retries=0), *["a@evil.example"] * 50)
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "CANCELLED 0 of 100"
    assert 10 < len(out) - 1 < 100


def test_the_bulk_job_that_is_shown_is_not_begun_when_it_would_touch_more() -> None:
    with pytest.raises(Unsent, match="would touch at least 51 messages, but at most 50 were expected"):
        junked(SandboxOptions(), *["a@evil.example"] * 51)
