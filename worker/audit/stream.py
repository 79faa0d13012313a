"""Stream: hands audit records on, line by line, as they were chained."""

from collections.abc import Callable
from datetime import datetime
from errno import EAGAIN
from typing import BinaryIO, Protocol

import msgspec

from worker.ledger.ledger import Ledger

STDOUT = "stdout"
AT_ONCE = 1000


class Writable(Protocol):
    """A stream that may take only a part of what it is given, or nothing (None)."""

    def write(self, data: memoryview, /) -> int | None:
        """Take a part; return how many bytes."""

    def flush(self) -> None:
        """Let go of what is buffered."""


class Head(msgspec.Struct, frozen=True):
    """The newest record of a chain: whoever keeps its hash can detect a rewritten chain."""

    account: str
    number: int
    hash: str
    at: datetime


class Stream:
    """Writes records to a stream as they are, one JSON line each, in order and at least once."""

    def __init__(
        self,
        ledger: Ledger,
        account: str,
        stream: BinaryIO,
        name: str = STDOUT,
        on_record: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        """Continue after the last record that was written under ``name``; ``on_record`` is called with each line."""
        self._ledger = ledger
        self._account = account
        self._name = name
        self._on_record = on_record
        self._stream = stream
        self.head: Head | None = None
        """The last record that was written since the start."""

    async def step(self) -> int:
        """Write the new records; return how many."""
        handed = 0
        last = await self._ledger.cursor(self._account, self._name)
        while lines := await self._ledger.records(self._account, after=last, limit=AT_ONCE):
            write_whole(self._stream, b"".join(line + b"\n" for line in lines))
            for line in lines:
                self._on_record(line)
            handed += len(lines)
            self.head = msgspec.json.decode(lines[-1], type=Head)
            last = self.head.number
            await self._ledger.keep_cursor(self._account, self._name, last)
        return handed


def write_whole(stream: Writable, lines: bytes) -> None:
    """Write every byte: an unbuffered stdout takes only a part when a signal comes while its reader is slow."""
    left = memoryview(lines)
    while left:
        written = stream.write(left)
        if written is None:
            raise BlockingIOError(EAGAIN, "its reader takes nothing, and it does not wait")
        left = left[written:]
    stream.flush()
