"""System calls that Python has no function for. Each raises OSError when the kernel refuses."""

import ctypes
import os

_LIBC = ctypes.CDLL(None, use_errno=True)


def call(number: int, *arguments: int | bytes | None) -> int:
    """Make a system call by its number: an int is passed as a long, bytes as the address of a copy."""
    return _check(_LIBC.syscall(ctypes.c_long(number), *map(_pass, arguments)))


def prctl(option: int, *arguments: int | bytes) -> int:
    """Change something of this process."""
    padded = (*arguments, 0, 0, 0, 0)[:4]
    return _check(_LIBC.prctl(option, *map(_pass, padded)))


def capset(header: bytes, data: bytes) -> None:
    """Set the capabilities of this process."""
    _check(_LIBC.capset(header, data))


def _pass(argument: int | bytes | None) -> ctypes.c_long | bytes | None:
    return ctypes.c_long(argument) if isinstance(argument, int) else argument


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
