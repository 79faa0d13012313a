"""Writing to stdout and stderr from a thread of its own: a reader that takes nothing holds up nobody."""

import errno
import os
import select
import stat
import threading
import time
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from typing import Protocol

PIECE = select.PIPE_BUF
"""Bytes that a pipe takes whole or not at all."""
AGAIN = 0.5
"""Seconds between two tries of a stream that takes nothing."""
ROOM = 2_000_000
"""Bytes that wait at most."""
LONGEST_TAIL = 1_000_000
"""Bytes at the end of a file in which a torn line is looked for."""
TAKES_NOTHING = "its reader takes nothing"
BUSY = {errno.EAGAIN, errno.EINTR}
Written = Future[None]
"""Ends when the bytes are out, all of them."""


class Outlet(Protocol):
    """Where lines go that leave the process."""

    @property
    def stuck(self) -> float:
        """Seconds for which nothing was taken of what waits, 0 when nothing waits."""

    @property
    def problem(self) -> str:
        """What is in the way; empty when nothing is."""

    @property
    def torn(self) -> bytes:
        """The last line that was there at the beginning, if it has no end."""

    def offer(self, lines: bytes) -> Written | None:
        """Take whole lines, to be written after those before; None when there is no room for them."""

    def flush(self, seconds: float) -> bool:
        """Wait until everything is out, at most so many seconds; return whether it is. Blocks."""


class Nowhere:
    """An outlet that takes all lines at once, and keeps none."""

    stuck, problem, torn = 0.0, "", b""

    def offer(self, lines: bytes) -> Written | None:  # noqa: ARG002 (nobody reads them)
        """Take lines."""
        written = Written()
        written.set_result(None)
        return written

    def flush(self, seconds: float) -> bool:  # noqa: ARG002 (nothing waits)
        """Have everything out."""
        return True


class Writer:
    """Writes lines to a descriptor, whole and in order, and tries again for ever. The thread ends with the process."""

    def __init__(self, descriptor: int | None, room: int = ROOM) -> None:
        """``descriptor`` is None when the stream was closed before the process began."""
        # One of its own, for as long as its thread lives: the number may be another file's later.
        self._descriptor = None if descriptor is None else os.dup(descriptor)
        self._room = room
        self._waiting = deque[tuple[bytes, Written]]()
        self._size, self._moved = 0, 0.0
        self._changed = threading.Condition()
        self._problem = "it is closed" if descriptor is None else ""
        self._is_file = descriptor is not None and _is_file(descriptor)
        self.torn = _read_torn(descriptor) if descriptor is not None and self._is_file else b""
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    @property
    def stuck(self) -> float:
        """Seconds for which nothing was taken of what waits, 0 when nothing waits."""
        with self._changed:
            return time.monotonic() - self._moved if self._waiting else 0.0

    @property
    def problem(self) -> str:
        """What is in the way; empty when nothing is."""
        return self._problem

    def offer(self, lines: bytes) -> Written | None:
        """Take whole lines, to be written after those before; None when there is no room for them."""
        with self._changed:
            if self._waiting and self._size + len(lines) > self._room:
                return None
            written = Written()
            written.set_running_or_notify_cancel()  # whoever stops waiting for it does not take it back
            self._moved = self._moved if self._waiting else time.monotonic()
            self._waiting.append((lines, written))
            self._size += len(lines)
            self._changed.notify_all()
        if self._thread.ident is None:
            self._thread.start()
        return written

    def flush(self, seconds: float) -> bool:
        """Wait until everything is out, at most so many seconds; return whether it is. Blocks."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting, seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                lines, written = self._waiting[0]
            self._write_whole(lines)
            with self._changed:
                self._waiting.popleft()
                self._size -= len(lines)
                self._changed.notify_all()
            written.set_result(None)

    def _write_whole(self, lines: bytes) -> None:
        """Write every byte, however long it takes."""
        at = 0
        while at < len(lines):
            try:
                at += self._write_piece(lines, at)
            except OSError as error:
                self._problem = TAKES_NOTHING if error.errno in BUSY else error.strerror or str(error)
                if error.errno == errno.EPIPE:
                    lines, at = _begin_anew(lines, at), 0
                time.sleep(AGAIN)
            else:
                self._moved, self._problem = time.monotonic(), ""

    def _write_piece(self, lines: bytes, at: int) -> int:
        """Write what is taken now; return how much that is."""
        if self._descriptor is None:
            raise OSError(errno.EBADF, self._problem)
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        if not poll.poll(AGAIN * 1000):
            raise BlockingIOError(errno.EAGAIN, TAKES_NOTHING)
        return os.write(self._descriptor, memoryview(lines)[at : self._choose_end(lines, at)])

    def _choose_end(self, lines: bytes, at: int) -> int:
        """Return where the next piece ends: for a pipe where a line does, so that none is torn when we end."""
        if self._is_file or len(lines) - at <= PIECE:
            return len(lines)
        return lines.rfind(b"\n", at, at + PIECE) + 1 or at + PIECE


def _begin_anew(lines: bytes, at: int) -> bytes:
    """Return what the next reader is given: the line that was torn from its beginning, on a line of its own."""
    begins = lines.rfind(b"\n", 0, at) + 1
    return lines[begins:] if begins == at else b"\n" + lines[begins:]


def _is_file(descriptor: int) -> bool:
    try:
        return stat.S_ISREG(os.fstat(descriptor).st_mode)
    except OSError:
        return False


def _read_torn(descriptor: int) -> bytes:
    """Return the last line of a file if it has no end, as one that was being written when the last process died."""
    with suppress(OSError), open(f"/proc/self/fd/{descriptor}", "rb") as file:  # noqa: PTH123 (not a path of ours)
        file.seek(max(0, os.fstat(descriptor).st_size - LONGEST_TAIL))
        return file.read(LONGEST_TAIL).rpartition(b"\n")[2]
    return b""
