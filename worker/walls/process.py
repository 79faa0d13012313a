"""What a process can do for itself: not be read by others, have no privilege, stay small, and end with its parent."""

import os
import resource
import signal
from struct import pack

from worker.walls.kernel import capset, prctl

PR_SET_PDEATHSIG, PR_GET_DUMPABLE, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 3, 4, 38
CAPABILITY_VERSION = 0x2008_0522
LITTLE = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_NPROC: 0}
"""No core dump, no byte in a file, no further process. The last does not bind root, which seccomp does."""


def hide() -> None:
    """Keep other processes of this user from reading this one's memory, environment and descriptors; dump no core."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl(PR_SET_DUMPABLE, 0)


def is_hidden() -> bool:
    """Tell whether other processes of this user are kept from reading this one."""
    return prctl(PR_GET_DUMPABLE) == 0


def die_with(parent: int) -> None:
    """End when the process ends that started this one, also if it has ended already."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def gain_nothing() -> None:
    """Keep this process and all that it starts from gaining a privilege, as by a setuid program."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def drop_capabilities() -> None:
    """Give up every capability; of root, only the name is left."""
    capset(pack("<Ii", CAPABILITY_VERSION, 0), bytes(24))


def limit_effects() -> None:
    """Start no process, write no file, dump no core."""
    for limit, most in LITTLE.items():
        resource.setrlimit(limit, (most, most))


def limit_room(memory: int, descriptors: int) -> None:
    """Limit the bytes of address space, and the numbers that descriptors may have."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
