"""What mypy tells rule authors in their editor."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

TYPING = Path(__file__).parents[1] / "typing"
IGNORE = re.compile(r"  # type: ignore\[([a-z-]+)\]")


@pytest.mark.slow
def test_mypy_tells_each_mistake_and_accepts_each_use(tmp_path: Path) -> None:
    mistakes = (TYPING / "mistakes.py").read_text()
    (tmp_path / "mistakes.py").write_text(IGNORE.sub("", mistakes))
    (tmp_path / "uses.py").write_text((TYPING / "uses.py").read_text())
    expected = {
        (f"mistakes.py:{number}", found[1])
        for number, line in enumerate(mistakes.splitlines(), 1)
        if (found := IGNORE.search(line))
    }
    config = f"--config-file={TYPING.parents[1] / 'pyproject.toml'}"
    command = [sys.executable, "-m", "mypy", config, "--cache-dir", str(tmp_path / "cache"), "mistakes.py", "uses.py"]
    told = subprocess.run(  # noqa: S603 (all arguments are ours)
        command, cwd=tmp_path, env={"MYPYPATH": str(TYPING.parents[1])}, capture_output=True, text=True, check=False
    )
    assert set(re.findall(r"(\w+\.py:\d+): error: .* \[([a-z-]+)\]", told.stdout)) == expected
    assert len(expected) == 10
