"""A process that types commands as a user without privileges would, one after the other.

It is started as `python -m tests.faults.commands`, reads the commands from stdin and writes what they came to, as JSON.
"""

import contextlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tests.faults.rig import Told
from tests.serving import passed_on
from worker.cli import app, context

UNPRIVILEGED = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--")
"""Starts a program of root that the system refuses what it refuses everybody else."""
NOBODY = 10_001
"""The user of the image: no line of passwd names it."""
NAMELESS = (
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--bounding-set=-all,+dac_read_search"),
    *("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search", "--"),
)
"""Starts a program as that user. It may read everything: the interpreter may lie where only root can go."""


def type_all(
    commands: Sequence[tuple[str, ...]], environment: Mapping[str, str], *, as_user: Sequence[str] = UNPRIVILEGED
) -> dict[tuple[str, ...], Told]:
    """Run commands in a process of their own that has no privileges; return what each came to."""
    start = as_user if os.geteuid() == 0 and shutil.which("setpriv") else ()
    done = subprocess.run(  # noqa: S603 (ours)
        [*start, sys.executable, "-m", "tests.faults.commands"],
        input=msgspec.json.encode(commands),
        env={**passed_on(), **environment},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return dict(zip(commands, msgspec.json.decode(done.stdout, type=list[Told]), strict=True))


def type_one(words: Sequence[str], environment: Mapping[str, str]) -> Told:
    """Run one command in this process; the one before may have taken secrets out of the environment."""
    os.environ.update(environment)
    out, err = (io.TextIOWrapper(io.BytesIO(), write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = context.run(app, words)
    return Told(code, read_all(out), read_all(err))


def read_all(stream: io.TextIOWrapper) -> str:
    """Return what was written."""
    stream.seek(0)
    return stream.read()


def main() -> None:
    """Type what stdin holds."""
    commands: list[Any] = msgspec.json.decode(sys.stdin.buffer.read())
    environment = dict(os.environ)
    sys.stdout.write(msgspec.json.encode([type_one(words, environment) for words in commands]).decode())


if __name__ == "__main__":
    main()
