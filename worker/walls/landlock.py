"""Landlock: the files that this process may read, and that it reaches no network and no process outside of itself.

The kernel documents the interface in Documentation/userspace-api/landlock.rst. What a right is called there stands
beside each bit.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from struct import pack

from worker.walls.kernel import call

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
"""Numbers of the system calls, the same on every architecture."""
ASK_VERSION = 1
PATH_BENEATH = 1
READ_FILE, READ_DIR = 1 << 2, 1 << 3
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""By version of the interface: how many rights to files it knows, from EXECUTE to IOCTL_DEV."""
NETWORK_SINCE, SCOPES_SINCE = 4, 6
TCP = 0b11  # BIND_TCP, CONNECT_TCP
SCOPES = 0b11  # ABSTRACT_UNIX_SOCKET, SIGNAL


def find_version() -> int:
    """Return the version of the interface that this kernel has; 0 when there is none, or when it is turned off."""
    try:
        return call(CREATE_RULESET, None, 0, ASK_VERSION)
    except OSError:
        return 0


def close_files(readable: Iterable[Path]) -> None:
    """Let this process open files for reading below these paths, and do nothing else with any file."""
    version = _require(1, "files")
    known = max(count for since, count in FILE_RIGHTS.items() if since <= version)
    ruleset = _create(pack("<Q", (1 << known) - 1))
    for path in readable:
        _allow_reading(ruleset, path)
    _restrict(ruleset)


def close_network() -> None:
    """Keep this process from opening or accepting a TCP connection."""
    _require(NETWORK_SINCE, "network")
    _restrict(_create(pack("<QQ", 0, TCP)))


def close_scopes() -> None:
    """Keep this process from signalling others, and from their abstract Unix sockets."""
    _require(SCOPES_SINCE, "signals")
    _restrict(_create(pack("<QQQ", 0, 0, SCOPES)))


def _require(since: int, what: str) -> int:
    """Return the version; raise OSError when this kernel has no rules for this yet."""
    version = find_version()
    if version < since:
        raise OSError(f"this kernel's Landlock has version {version}, and rules for {what} come with version {since}")
    return version


def _create(handled: bytes) -> int:
    return call(CREATE_RULESET, handled, len(handled), 0)


def _allow_reading(ruleset: int, path: Path) -> None:
    """Allow reading below a path; one that is not there needs no rule."""
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rights = READ_FILE | READ_DIR if path.is_dir() else READ_FILE
        call(ADD_RULE, ruleset, PATH_BENEATH, pack("<Qi", rights, place), 0)
    finally:
        os.close(place)


def _restrict(ruleset: int) -> None:
    """Put a ruleset into force, beside those that already are."""
    try:
        call(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
