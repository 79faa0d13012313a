"""What tests of commands are given: a shell, an account to work on, and a ledger that was worked on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shell import Shell
from tests.serving import Serving, sandbox
from worker.sandbox import MailFlow


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    """Give a shell."""
    return Shell(monkeypatch, capfd, tmp_path)


@pytest.fixture
def account() -> Iterator[Serving]:
    """Give a served account with an hour of mail."""
    with sandbox(mail_flow=MailFlow(messages=120), seed=5) as serving:
        yield serving


@pytest.fixture
def worked(shell: Shell, account: Serving) -> Shell:
    """Give a shell whose ledger holds what one round under a ceiling of approve came to."""
    shell.set(**account.environment(shell.folder, WORKER_CEILING="approve"))
    assert shell.json("run", "--once")["open_gaps"] == 0
    return shell
