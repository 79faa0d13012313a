"""Lines leave whole and in order, whatever their reader does, and nobody waits for it."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from worker.telemetry.writer import PIECE, TAKES_NOTHING, Writer

LINES = b"".join(b"%05d%s\n" % (number, b"x" * 300) for number in range(1000))


class Pipe(NamedTuple):
    """The two ends of a pipe."""

    reads: int
    writes: int

    def read(self, size: int) -> bytes:
        """Read so many bytes, however long it takes."""
        found = b""
        while len(found) < size and (part := os.read(self.reads, size - len(found))):
            found += part
        return found


@contextmanager
def pipe() -> Iterator[Pipe]:
    """Open a pipe."""
    ends = Pipe(*os.pipe())
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)


def wait_for_problem(writer: Writer, problem: str) -> None:
    """Wait until a writer says what is in its way."""
    until = time.monotonic() + 10
    while writer.problem != problem:
        assert time.monotonic() < until, writer.problem
        os.sched_yield()


@pytest.mark.parametrize("blocking", [True, False])
def test_a_reader_that_stalls_gets_everything_when_it_comes_back(*, blocking: bool) -> None:
    with pipe() as ends:
        os.set_blocking(ends.writes, blocking)
        writer = Writer(ends.writes)
        written = writer.offer(LINES)
        wait_for_problem(writer, TAKES_NOTHING)
        assert written
        assert not written.done()
        assert writer.stuck > 0
        assert ends.read(len(LINES)) == LINES
        assert writer.flush(5)
        assert (written.done(), writer.stuck, writer.problem) == (True, 0.0, "")


def test_what_a_stalled_reader_was_given_ends_with_a_whole_line() -> None:
    with pipe() as ends:
        writer = Writer(ends.writes)
        writer.offer(LINES)
        wait_for_problem(writer, TAKES_NOTHING)
        os.set_blocking(ends.reads, False)
        assert os.read(ends.reads, fcntl.fcntl(ends.writes, fcntl.F_GETPIPE_SZ)).endswith(b"\n")


@pytest.mark.parametrize("size", [10, PIECE - 1, PIECE, PIECE + 1, 300_000])
def test_lines_of_any_length_leave_whole(size: int) -> None:
    line = b"y" * size + b"\n"
    with pipe() as ends:
        writer = Writer(ends.writes)
        writer.offer(line)
        writer.offer(line)
        assert ends.read(2 * len(line)) == 2 * line


def test_a_reader_that_went_away_is_given_its_line_again_when_it_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    first = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writes = os.open(path, os.O_WRONLY)
    writer = Writer(writes)
    os.close(first)
    writer.offer(b"one\ntwo\n")
    wait_for_problem(writer, "Broken pipe")
    with path.open("rb") as second:
        assert [second.readline(), second.readline()] == [b"one\n", b"two\n"]
    os.close(writes)


def test_a_full_disk_is_named() -> None:
    with Path("/dev/full").open("wb") as full:
        writer = Writer(full.fileno())
        writer.offer(b"a line\n")
        wait_for_problem(writer, "No space left on device")


def test_a_closed_stream_takes_nothing_and_says_so() -> None:
    writer = Writer(None)
    assert writer.offer(b"a line\n")
    wait_for_problem(writer, "it is closed")
    assert not writer.flush(0)


def test_what_there_is_no_room_for_is_not_taken() -> None:
    writer = Writer(None, room=10)
    assert writer.offer(b"more than ten\n")  # a first one always is
    assert writer.offer(b"x\n") is None
