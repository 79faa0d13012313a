"""Records leave in order, at least once, and can be verified where they arrive."""

from io import BytesIO
from typing import Any

import pytest

from tests.audit.test_verify import chain
from tests.ledger.desk import ME, T0, Desk
from worker.audit.stream import Stream
from worker.audit.verify import verify


async def test_records_are_handed_on_in_order_and_can_be_verified_there() -> None:
    desk = Desk()
    out = BytesIO()
    stream = Stream(desk.ledger, ME, out)
    await chain(desk, 1500)
    assert await stream.step() == 1500
    assert await stream.step() == 0
    await desk.wish()
    assert await Stream(desk.ledger, ME, out).step() == 1
    lines = out.getvalue().splitlines()
    assert (len(lines), verify(lines).problem) == (1501, "")


class Unbuffered(BytesIO):
    """A stream that takes as much as fits its pipe, and after a while nothing."""

    def __init__(self, *fits: int) -> None:
        super().__init__()
        self.fits = list(fits)

    def write(self, data: Any) -> Any:  # noqa: ANN401 (as a raw stream does)
        """Take a part; return how much, or nothing for none."""
        room = self.fits.pop(0) if self.fits else len(data)
        return super().write(data[:room]) if room else None


@pytest.mark.parametrize("fits", [(1,), (700, 1, 2), (100_000, 3)])
async def test_a_stream_that_takes_a_part_is_given_the_rest(fits: tuple[int, ...]) -> None:
    desk, out = Desk(), Unbuffered(*fits)
    await chain(desk, 300)
    assert await Stream(desk.ledger, ME, out).step() == 300
    lines = out.getvalue().splitlines()
    assert (len(lines), verify(lines).problem) == (300, "")


async def test_what_a_stream_does_not_take_is_handed_on_again() -> None:
    desk = Desk()
    await chain(desk)
    with pytest.raises(BlockingIOError):
        await Stream(desk.ledger, ME, Unbuffered(10, 0)).step()
    assert await Stream(desk.ledger, ME, BytesIO()).step() == 5


class Torn(BytesIO):
    """A stream whose reader goes away in the middle of a line."""

    def write(self, data: Any) -> int:  # noqa: ANN401 (any bytes)
        """Take half of it."""
        super().write(data[: len(data) // 2])
        raise BrokenPipeError


async def test_what_a_reader_may_not_have_got_is_handed_on_again() -> None:
    desk = Desk()
    await chain(desk)
    with pytest.raises(BrokenPipeError):
        await Stream(desk.ledger, ME, Torn()).step()
    out = BytesIO()
    assert await Stream(desk.ledger, ME, out).step() == 5


async def test_records_after_a_pruned_beginning_are_handed_on_too() -> None:
    desk = Desk()
    await chain(desk)
    await desk.ledger.prune(ME, T0 + 10, {}, T0 + 10)
    out = BytesIO()
    stream = Stream(desk.ledger, ME, out)
    assert await stream.step() == 2
    assert await stream.step() == 0


async def test_a_cell_that_somebody_filled_with_text_stops_no_stream() -> None:
    desk, out = Desk(), BytesIO()
    lines = await chain(desk)
    desk.runner.transact(lambda conn: conn.exec_driver_sql("update records set line = cast(line as text)"))
    assert await Stream(desk.ledger, ME, out).step() == 5
    assert out.getvalue().splitlines() == lines
