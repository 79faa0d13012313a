"""The walls in earnest: a process puts them up, and then tries to get out."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import worker
from worker.walls import WALLS, Wall, explain_missing

pytestmark = pytest.mark.slow
SEALED = """
import sys; sys.path[:0] = {paths}
import ctypes, os, resource, signal, socket, subprocess, threading
from pathlib import Path
import worker
from worker.walls import WALLS, Limits, list_libraries, seal
standing = seal(list_libraries(worker), Limits(256 << 20, 32), {walls})
missing = dict((wall, why) for wall, why in standing.items() if why)
assert not missing, missing
try:
    print(eval({tried!r}))
except (OSError, RuntimeError, subprocess.SubprocessError) as problem:
    print(type(problem).__name__)
"""
PATHS = [str(Path(module.__file__ or "").parents[1]) for module in (worker, msgspec)]


def attempt(tried: str, *walls: Wall) -> str:
    """Put up walls in a process of its own, evaluate an expression there, and return what it prints."""
    script = SEALED.format(paths=PATHS, walls=walls or WALLS, tried=tried)
    done = subprocess.run(  # noqa: S603 (ours)
        [sys.executable, "-I", "-S", "-c", script], env={}, capture_output=True, text=True, check=False, timeout=30
    )
    return done.stdout.strip() or f"ended {done.returncode}: {done.stderr.strip()[-200:]}"


@pytest.mark.parametrize(
    ("tried", "told"),
    [
        ("open('/etc/hostname').read()", "PermissionError"),
        ("open('/proc/self/environ').read()", "PermissionError"),
        ("os.listdir('/')", "PermissionError"),
        ("open('/tmp/x', 'w')", "PermissionError"),
        ("os.chmod('/tmp', 0o777)", "PermissionError"),
        ("os.fork()", "PermissionError"),
        ("threading.Thread(target=print).start()", "RuntimeError"),
        ("os.execv('/bin/true', ['true'])", "PermissionError"),
        ("subprocess.run(['/bin/true'])", "PermissionError"),
        ("socket.socket()", "PermissionError"),
        ("socket.socketpair()", "PermissionError"),
        ("os.kill(os.getppid(), 0)", "PermissionError"),
        ("os.memfd_create('x')", "PermissionError"),
        ("resource.getrlimit(resource.RLIMIT_NOFILE)", "PermissionError"),
        ("ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0)", "-1"),
        ("len(os.listdir(os.path.dirname(os.__file__))) > 100", "True"),
        ("os.kill(os.getpid(), 0)", "None"),
        ("__import__('zoneinfo').ZoneInfo('Europe/Berlin').key", "Europe/Berlin"),
        ("__import__('statistics').mean([1, 3])", "2"),
        ("os.urandom(1) != b''", "True"),
        ("os.strerror(1)", "Operation not permitted"),
    ],
)
def test_a_process_behind_all_walls_computes_and_reaches_nothing(tried: str, told: str) -> None:
    assert attempt(tried) == told


@pytest.mark.parametrize(
    ("wall", "tried", "told"),
    [
        ("not_dumpable", "ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)", "0"),
        ("no_new_privileges", "ctypes.CDLL(None).prctl(39, 0, 0, 0, 0)", "1"),
        ("no_capabilities", "os.chroot('/')", "PermissionError"),
        ("limits", "open('/dev/shm/walls-test', 'wb', 0).write(b'x')", "OSError"),
        ("limits", "resource.getrlimit(resource.RLIMIT_CORE)", "(0, 0)"),
        ("landlock_files", "open('/etc/hostname').read()", "PermissionError"),
        ("landlock_network", "socket.create_connection(('127.0.0.1', 1), 1)", "PermissionError"),
        ("landlock_scopes", "os.kill(os.getppid(), 0)", "PermissionError"),
        ("seccomp", "socket.socket()", "PermissionError"),
    ],
)
def test_each_wall_stands_by_itself(wall: Wall, tried: str, told: str) -> None:
    try:
        assert attempt(tried, "no_new_privileges", wall) == told
    finally:
        Path("/dev/shm/walls-test").unlink(missing_ok=True)  # noqa: S108 (made by the attempt)


def test_a_process_that_hides_is_not_read_by_others_of_its_user() -> None:
    script = (
        f"import sys; sys.path[:0] = {PATHS}\n"
        "from worker.walls import hide; from worker.walls.process import drop_capabilities\n"
        "hide(); drop_capabilities(); import os; reader = os.fork()\n"
        "if reader == 0:\n"
        "    try: open(f'/proc/{os.getppid()}/environ').read(); os._exit(1)\n"
        "    except PermissionError: os._exit(7)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(reader, 0)[1]))"
    )
    done = subprocess.run([sys.executable, "-c", script], env={"SECRET": "x"}, check=False)  # noqa: S603 (ours)
    assert done.returncode == 7


def test_what_does_not_stand_is_named_with_its_reason() -> None:
    standing: dict[Wall, str] = {"seccomp": "", "landlock_files": "Function not implemented", "landlock_scopes": "old"}
    assert explain_missing(standing, ("seccomp", "landlock_files")) == "landlock_files: Function not implemented"
    assert explain_missing({"seccomp": ""}, {"seccomp"}) == ""
    assert explain_missing({}, {"seccomp"}) == "seccomp: it was not put up"
