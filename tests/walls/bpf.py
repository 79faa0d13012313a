"""A classic BPF machine, as far as seccomp uses it: what a filter decides about a call, on any architecture."""

from collections.abc import Sequence
from struct import pack, unpack_from

from worker.walls.seccomp import ANY_BIT, EQUALS, LOAD, RETURN, Instruction


def decide(program: Sequence[Instruction], audit: int, number: int, *arguments: int) -> int:
    """Run a filter on a call and return its decision."""
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    data = pack("<iIQ6Q", number, audit, 0, *(one & 0xFFFF_FFFF_FFFF_FFFF for one in padded))
    at, held = 0, 0
    for _ in range(len(program)):  # there are only jumps forward
        one = program[at]
        at += 1
        if one.code == RETURN:
            return one.value
        if one.code == LOAD:
            (held,) = unpack_from("<I", data, one.value)
        else:
            holds = {EQUALS: held == one.value, ANY_BIT: bool(held & one.value)}[one.code]
            at += one.yes if holds else one.no
    raise AssertionError("the filter does not come to a decision")
