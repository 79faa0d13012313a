"""The filter for system calls, run by a machine of our own: what it decides on both architectures."""

import fcntl
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cells import each
from tests.walls.bpf import decide
from worker.walls.seccomp import ALLOW, KILL, REFUSE, assemble, find_architecture
from worker.walls.syscalls import ALLOWED, ARCHITECTURES, NUMBERS

PID = 4321
PROGRAMS = {name: assemble(one, PID) for name, one in ARCHITECTURES.items()}
X32 = 0x4000_0000


def ask(machine: str, call: str | int, *arguments: int) -> int:
    """Ask the filter of an architecture about one of its calls."""
    architecture = ARCHITECTURES[machine]
    number = architecture.numbers[call] if isinstance(call, str) else call
    return decide(PROGRAMS[machine], architecture.audit, number, *arguments)


@each("machine", ARCHITECTURES)
def test_what_is_on_the_list_is_allowed_and_every_other_number_is_refused(machine: str) -> None:
    numbers = ARCHITECTURES[machine].numbers
    assert {name for name in ALLOWED if name in numbers and ask(machine, name) != ALLOW} == set()
    allowed = {number for number in range(600) if ask(machine, number) == ALLOW}
    assert allowed == {numbers[name] for name in (*ALLOWED, "openat") if name in numbers}


@each("machine", ARCHITECTURES)
def test_a_process_signals_nobody_but_itself(machine: str) -> None:
    for call in ("kill", "tgkill"):
        assert ask(machine, call, PID, 9) == ALLOW
        assert {ask(machine, call, pid, 9) for pid in (0, 1, -1, -PID, PID + 1)} == {REFUSE}


@each("machine", ARCHITECTURES)
def test_files_are_opened_for_reading_only(machine: str) -> None:
    assert ask(machine, "openat", 0, 0, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY) == ALLOW
    for flag in (os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC, os.O_TMPFILE | os.O_RDWR):
        assert ask(machine, "openat", 0, 0, flag | os.O_CLOEXEC) == REFUSE


@each("machine", ARCHITECTURES)
def test_a_descriptor_is_asked_about_and_not_made_to_signal_somebody(machine: str) -> None:
    assert ask(machine, "fcntl", 3, fcntl.F_GETFL) == ALLOW
    for command in (fcntl.F_SETOWN, fcntl.F_SETSIG, fcntl.F_SETFL, fcntl.F_DUPFD, fcntl.F_NOTIFY):
        assert ask(machine, "fcntl", 3, command) == REFUSE


@each("machine", ARCHITECTURES)
def test_a_call_of_another_architecture_ends_the_process(machine: str) -> None:
    for audit in (0x4000_0003, 0, *(one.audit for name, one in ARCHITECTURES.items() if name != machine)):
        assert decide(PROGRAMS[machine], audit, 1) == KILL


@given(st.sampled_from(sorted(ARCHITECTURES)), st.integers(0, 2**31 - 1), st.lists(st.integers(0, 2**64 - 1)))
def test_every_call_comes_to_a_decision(machine: str, number: int, arguments: list[int]) -> None:
    assert ask(machine, number, *arguments) in {ALLOW, REFUSE}
    assert ask(machine, number | X32, *arguments) == REFUSE


def test_jumps_fit_into_a_byte() -> None:
    assert all(max(one.yes, one.no) < 256 for program in PROGRAMS.values() for one in program)


HEADERS = {
    0: Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    1: Path("/usr/include/asm-generic/unistd.h"),
}


@pytest.mark.parametrize("column", [pytest.param(column, marks=pytest.mark.skipif(
    not header.exists(), reason=f"{header} is not here: it comes with the headers of the kernel"
)) for column, header in HEADERS.items()], ids=["x86_64", "aarch64"])  # fmt: skip
def test_the_numbers_are_those_of_the_kernels_headers(column: int) -> None:
    told = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", HEADERS[column].read_text())
    known = {name: int(number) for name, number in told}
    known.setdefault("newfstatat", known.get("fstatat", -1))  # its name in the generic table
    wrong = {name: both[column] for name, both in NUMBERS.items() if both[column] not in {None, known.get(name)}}
    assert wrong == {}


def test_an_unknown_machine_is_named() -> None:
    with pytest.raises(OSError, match="of riscv64 are not known"):
        find_architecture("riscv64")
