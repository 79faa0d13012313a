"""The system calls that a process behind walls may make, and their numbers.

The numbers are those of the kernel's tables: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/
unistd.h. The list is what the interpreter needs to compute, to read open descriptors, to import a module and to end.
"""

import fcntl
import os
from typing import NamedTuple

NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "stat": (4, None),
    "fstat": (5, 80),
    "lstat": (6, None),
    "lseek": (8, 62),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "pread64": (17, 67),
    "readv": (19, 65),
    "writev": (20, 66),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "nanosleep": (35, 101),
    "getpid": (39, 172),
    "exit": (60, 93),
    "kill": (62, 129),
    "uname": (63, 160),
    "fcntl": (72, 25),
    "getcwd": (79, 17),
    "gettimeofday": (96, 169),
    "getrusage": (98, 165),
    "times": (100, 153),
    "getuid": (102, 174),
    "getgid": (104, 176),
    "geteuid": (107, 175),
    "getegid": (108, 177),
    "getppid": (110, 173),
    "sigaltstack": (131, 132),
    "gettid": (186, 178),
    "time": (201, None),
    "futex": (202, 98),
    "getdents64": (217, 61),
    "restart_syscall": (219, 128),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "exit_group": (231, 94),
    "tgkill": (234, 131),
    "openat": (257, 56),
    "newfstatat": (262, 79),
    "getrandom": (318, 278),
    "statx": (332, 291),
}
"""By name: the number on x86-64 and on aarch64; None where there is no such call."""
ONLY_TO_SELF = ("kill", "tgkill")
"""Calls whose first argument must be the process itself: how an abort or a handler of a signal ends it."""
FCNTL_COMMANDS = (fcntl.F_GETFD, fcntl.F_SETFD, fcntl.F_GETFL)
"""Not F_SETOWN, by which the kernel would send signals to any process of this user."""
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
"""Flags of ``openat`` by which a file would be changed."""
ALLOWED = tuple(name for name in NUMBERS if name not in {*ONLY_TO_SELF, "fcntl", "openat"})
"""Calls that may be made whatever their arguments are."""


class Architecture(NamedTuple):
    """How the kernel calls an architecture in its audit records, and the numbers of its system calls."""

    audit: int
    numbers: dict[str, int]


ARCHITECTURES = {
    "x86_64": Architecture(0xC000_003E, {name: one for name, (one, _) in NUMBERS.items() if one is not None}),
    "aarch64": Architecture(0xC000_00B7, {name: one for name, (_, one) in NUMBERS.items() if one is not None}),
}
"""By the name that ``uname`` gives. The numbers of aarch64 are checked against the kernel's table, and untried."""
