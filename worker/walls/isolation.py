"""Isolation: an interpreter that begins with nothing of the process that starts it."""

import subprocess
from collections.abc import Collection, Iterable
from importlib.util import find_spec
from pathlib import Path


def start_isolated(
    python: str, program: str, arguments: Iterable[object], packages: Iterable[str], descriptors: Collection[int]
) -> "subprocess.Popen[bytes]":
    """Start an interpreter without environment, folder, streams or site, in a session of its own.

    It runs a program of Python with the arguments, behind which stand the folders of the packages that it imports.
    """
    folders = dict.fromkeys(map(_find_folder, packages))
    return subprocess.Popen(  # noqa: S603 (every argument is ours)
        [python, "-I", "-S", "-c", program, *map(str, arguments), *folders],
        env={},
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=tuple(descriptors),
        start_new_session=True,
    )


def _find_folder(package: str) -> str:
    """Return the folder that a package is in, without importing it."""
    spec = find_spec(package)
    return str(Path(spec.origin).parents[1]) if spec and spec.origin else ""
