"""Records leave in order, at least once, and can be verified where they arrive."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.audit.test_verify import chain
from tests.ledger.desk import ME, T0, Desk
from tests.support import Memory
from worker.audit.stream import STDOUT, Follower, Stream
from worker.audit.verify import verify
from worker.telemetry.writer import Writer


async def test_records_are_handed_on_in_order_and_can_be_verified_there() -> None:
    desk = Desk()
    out = Memory()
    stream = Stream(desk.ledger, ME, out)
    await chain(desk, 1500)
    assert await stream.step() == 1500
    assert await stream.step() == 0
    await desk.wish()
    assert await Stream(desk.ledger, ME, out).step() == 1
    lines = out.getvalue().splitlines()
    assert (len(lines), verify(lines).problem) == (1501, "")


@contextmanager
def pipe() -> Iterator[tuple[BinaryIO, Writer]]:
    """Open a pipe; yield its reader and a writer."""
    reads, writes = os.pipe()
    try:
        with os.fdopen(reads, "rb") as reader:
            yield reader, Writer(writes)
    finally:
        os.close(writes)


async def test_the_cursor_does_not_move_before_the_reader_has_taken_the_bytes() -> None:
    desk = Desk()
    await chain(desk, 300)
    with pipe() as (reader, writer):
        stream = Stream(desk.ledger, ME, writer)
        assert (await stream.step(), await desk.ledger.cursor(ME, STDOUT)) == (0, 0)
        assert writer.stuck > 0
        lines = [reader.readline().rstrip() for _ in range(300)]
        assert (await stream.step(), await desk.ledger.cursor(ME, STDOUT)) == (300, 300)
    assert verify(lines).problem == ""


async def test_who_acts_on_records_does_not_wait_for_the_stream() -> None:
    desk, shown = Desk(), list[bytes]()
    await chain(desk, 300)
    with pipe() as (reader, writer):
        await Stream(desk.ledger, ME, writer).step()
        assert await Follower(desk.ledger, ME, shown.append).step() == 300
        assert await Follower(desk.ledger, ME, shown.append).step() == 0
        assert b"".join(line + b"\n" for line in shown) == reader.read(sum(map(len, shown)) + 300)


async def test_a_first_follower_goes_on_where_an_older_version_stopped() -> None:
    desk, shown = Desk(), list[bytes]()
    await chain(desk, 3)
    await Stream(desk.ledger, ME, Memory()).step()
    follower = Follower(desk.ledger, ME, shown.append)
    await follower.begin()
    await desk.wish()
    assert await follower.step() == 1


async def test_a_follower_that_has_begun_misses_nothing_that_the_stream_passes() -> None:
    desk, shown = Desk(), list[bytes]()
    follower = Follower(desk.ledger, ME, shown.append)
    await follower.begin()
    await chain(desk, 3)
    await Stream(desk.ledger, ME, Memory()).step()
    assert await follower.step() == 3


@pytest.mark.parametrize("kept", [0, 1, 2])
@pytest.mark.parametrize("torn", [1, 50, -1])
async def test_a_line_that_was_torn_is_finished_by_the_next_stream(tmp_path: Path, kept: int, torn: int) -> None:
    desk, path = Desk(), tmp_path / "records"
    lines = await chain(desk, 5)
    await desk.ledger.keep_cursor(ME, STDOUT, kept)
    path.write_bytes(b"".join(line + b"\n" for line in lines[:kept]) + lines[kept][:torn])
    with path.open("ab") as file:
        writer = Writer(file.fileno())
        assert await Stream(desk.ledger, ME, writer).finish(writer.torn)
        assert writer.flush(5)
    assert path.read_bytes().splitlines() == list(lines)


async def test_a_torn_line_of_others_is_none_of_ours() -> None:
    desk, out = Desk(), Memory()
    await chain(desk)
    assert not await Stream(desk.ledger, ME, out).finish(b"Traceback (most")
    assert out.getvalue() == b""


async def test_records_after_a_pruned_beginning_are_handed_on_too() -> None:
    desk = Desk()
    await chain(desk)
    await desk.ledger.prune(ME, T0 + 10, {}, T0 + 10)
    out = Memory()
    stream = Stream(desk.ledger, ME, out)
    assert await stream.step() == 2
    assert await stream.step() == 0


async def test_a_cell_that_somebody_filled_with_text_stops_no_stream() -> None:
    desk, out = Desk(), Memory()
    lines = await chain(desk)
    desk.runner.transact(lambda conn: conn.exec_driver_sql("update records set line = cast(line as text)"))
    assert await Stream(desk.ledger, ME, out).step() == 5
    assert out.getvalue().splitlines() == lines
