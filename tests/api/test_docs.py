"""docs/api.md has every operation, as the client has it."""

import asyncio
import re
from typing import Any

import pytest

from tests.api_docs import PAGE, written
from tests.serving import sandbox
from worker.api import OPERATIONS
from worker.sandbox import ACCOUNT

TEXT = PAGE.read_text()


def test_the_page_is_what_the_client_says() -> None:
    assert written(TEXT) == TEXT, "make the tables anew: .venv/bin/python -m tests.api_docs"


def test_every_operation_has_one_row_that_says_what_it_does() -> None:
    rows = re.findall(r"^\| ([A-Z]+) \| `(/\S*)` \| `(\S+)` \| \S.*[.)] \|$", TEXT, re.MULTILINE)
    assert sorted(rows) == sorted(tuple(operation) for operation in OPERATIONS)
    assert len(rows) == 70


@pytest.mark.slow  # it starts a server
def test_the_program_that_is_shown_finds_mail_and_blocks_its_sender(capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    with sandbox() as serving:
        mail = serving.world.add_message(sender="a@evil.example")
        shown: dict[str, Any] = {}
        exec(program.replace("https://api.cloudflare.com", serving.url), shown)  # noqa: S102 (what is being tested)
        asyncio.run(shown["main"]("any", ACCOUNT))
        blocked = [entry.value["pattern"] for entry in serving.world.lists["block_senders"].values() if entry.value]
    assert capsys.readouterr().out.startswith(mail.id)
    assert "evil.example" in blocked
