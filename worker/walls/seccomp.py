"""Seccomp: a filter in the kernel that refuses every system call but those on a list."""

import ctypes
import os
import platform
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from worker.walls.kernel import prctl
from worker.walls.syscalls import ALLOWED, ARCHITECTURES, FCNTL_COMMANDS, ONLY_TO_SELF, WRITING, Architecture

PR_SET_SECCOMP, MODE_FILTER = 22, 2
LOAD, EQUALS, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06
"""Instructions: load a word of what is called, jump if it is this, jump if it shares a bit with this, decide."""
ALLOW, REFUSE, KILL = 0x7FFF_0000, 0x0005_0000 | 1, 0x8000_0000
"""Decisions: go on, fail with EPERM, end the process."""
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16
"""Offsets in ``struct seccomp_data``; of an argument, the lower half comes first on both architectures."""


class Instruction(NamedTuple):
    """One instruction of classic BPF; ``yes`` and ``no`` are how many instructions a jump leaves out."""

    code: int
    yes: int
    no: int
    value: int


class _Program(ctypes.Structure):
    """``struct sock_fprog``."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def find_architecture(machine: str = "") -> Architecture:
    """Return the numbers of this machine's system calls; raise OSError when none are known."""
    name = machine or platform.machine()
    if name not in ARCHITECTURES:
        raise OSError(f"the numbers of the system calls of {name} are not known here")
    return ARCHITECTURES[name]


def allow_little() -> None:
    """Refuse this process every system call but those on the list, for good."""
    install(assemble(find_architecture(), os.getpid()))


def install(program: Sequence[Instruction]) -> None:
    """Put a filter into force; raise OSError when the kernel refuses it."""
    code = b"".join(
        one.code.to_bytes(2, "little") + bytes((one.yes, one.no)) + one.value.to_bytes(4, "little") for one in program
    )
    kept = ctypes.create_string_buffer(code, len(code))
    prctl(PR_SET_SECCOMP, MODE_FILTER, bytes(_Program(len(program), ctypes.addressof(kept))))


def assemble(architecture: Architecture, pid: int) -> list[Instruction]:
    """Write the filter for a process: what is not allowed fails, and a call of another architecture ends it."""
    numbers = architecture.numbers
    return [
        Instruction(LOAD, 0, 0, ARCHITECTURE),
        Instruction(EQUALS, 1, 0, architecture.audit),
        Instruction(RETURN, 0, 0, KILL),
        Instruction(LOAD, 0, 0, NUMBER),
        *(one for name in ALLOWED if name in numbers for one in _allow(numbers[name])),
        *(one for name in ONLY_TO_SELF for one in _allow_if_equal(numbers[name], 0, (pid,))),
        *_allow_if_equal(numbers["fcntl"], 1, FCNTL_COMMANDS),
        *_allow_unless_any(numbers["openat"], 2, WRITING),
        Instruction(RETURN, 0, 0, REFUSE),
    ]


def _allow(number: int) -> Iterator[Instruction]:
    yield Instruction(EQUALS, 0, 1, number)
    yield Instruction(RETURN, 0, 0, ALLOW)


def _allow_if_equal(number: int, argument: int, values: Sequence[int]) -> Iterator[Instruction]:
    """Allow a call if one of its arguments is one of some values."""
    yield Instruction(EQUALS, 0, 2 * len(values) + 2, number)
    yield Instruction(LOAD, 0, 0, ARGUMENTS + 8 * argument)
    for value in values:
        yield from _allow(value)
    yield Instruction(RETURN, 0, 0, REFUSE)


def _allow_unless_any(number: int, argument: int, bits: int) -> Iterator[Instruction]:
    """Allow a call unless one of its arguments has one of some bits."""
    yield Instruction(EQUALS, 0, 4, number)
    yield Instruction(LOAD, 0, 0, ARGUMENTS + 8 * argument)
    yield Instruction(ANY_BIT, 0, 1, bits)
    yield Instruction(RETURN, 0, 0, REFUSE)
    yield Instruction(RETURN, 0, 0, ALLOW)
