"""A shell for tests: types commands in an environment of its own."""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.main import get_command

from tests.serving import RULES
from worker.cli import app, context

BUILT = get_command(app)
"""The commands as Typer makes them of the functions: it would do so again for each one that is typed."""
OURS = ("WORKER_", "CLOUDFLARE_", "COLUMNS")


class Shell:
    """Types commands in an environment and keeps what they print."""

    def __init__(self, patch: pytest.MonkeyPatch, captured: pytest.CaptureFixture[str], folder: Path) -> None:
        """Begin without any setting but a ledger in the folder."""
        self.folder = folder
        self._patch, self._captured = patch, captured
        self._environment: dict[str, str] = {}
        for name in [name for name in os.environ if name.startswith(OURS)]:
            patch.delenv(name)
        self.set(WORKER_RULES=str(RULES), WORKER_STORE_URL=f"sqlite:///{folder / 'worker.db'}")

    def set(self, **environment: str) -> None:
        """Set variables for every command from now on."""
        self._environment |= environment
        for name, value in self._environment.items():
            self._patch.setenv(name, value)

    def read(self) -> tuple[str, str]:
        """Return what was printed since the last time, to both streams."""
        out, err = self._captured.readouterr()
        return out, err

    def type(self, *words: str) -> tuple[int, str, str]:
        """Run a command; return its exit code and both streams."""
        self.set()
        return (context.run(BUILT, words), *self.read())

    def json(self, *words: str, code: int = 0) -> Any:  # noqa: ANN401 (any JSON)
        """Run a command with --json and return what it printed."""
        found, out, err = self.type(*words, "--json")
        assert found == code, err
        return msgspec.json.decode(out)
