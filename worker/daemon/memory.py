"""Memory: how a process that runs for months keeps as little of it after a year as after an hour."""

import ctypes
import gc

TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
"""How glibc's ``mallopt`` names what is set here (malloc.h)."""
LARGE = 128 << 10
"""Bytes from which a block is given back to the system when it is freed: glibc's own figure, before it learns."""


def give_back() -> None:
    """Let freed pages leave the process: glibc raises its thresholds with the largest block that it has seen freed.

    To be called before there is a second thread, which would have blocks of its own.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library, which has its own ways
        return
    mallopt(MMAP_THRESHOLD, LARGE)
    mallopt(TRIM_THRESHOLD, LARGE)
    mallopt(ARENA_MAX, 1)


def collect_seldom() -> None:
    """Let the garbage collector leave alone what is there for good, and look through the rest less often.

    A page is ten thousand small objects without cycles: looking through them again and again was a sixth of the CPU.
    To be called when everything is open.
    """
    gc.freeze()
    gc.set_threshold(5_000, 10, 10)
