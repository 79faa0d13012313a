"""Memory: settings that keep a process as small after a year as after an hour."""

import ctypes
import gc

TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
"""How glibc's ``mallopt`` names what is set here (malloc.h)."""
LARGE = 128 << 10
"""Bytes from which a block is given back to the system when it is freed: glibc's own figure, before it learns."""


def give_back() -> None:
    """Return freed memory to the system: glibc keeps more of it with each large block that it has seen freed.

    Call it before a second thread starts, which would have an arena of its own.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library
        return
    mallopt(MMAP_THRESHOLD, LARGE)
    mallopt(TRIM_THRESHOLD, LARGE)
    mallopt(ARENA_MAX, 1)


def collect_seldom() -> None:
    """Freeze the objects that stay, and collect the others less often.

    A page is ten thousand small objects without cycles: scanning them again and again took a sixth of the CPU.
    Call it when everything is open.
    """
    gc.freeze()
    gc.set_threshold(5_000, 10, 10)
