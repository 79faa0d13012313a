"""Stream: hands audit records on, line by line, as they were chained."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from worker.ledger.ledger import Ledger
from worker.telemetry.writer import Outlet, Written

STDOUT, ALERTS = "stdout", "alerts"
AT_ONCE = 1000
PATIENCE = 1.0
"""Seconds to wait for records to be out, before the next turn looks again."""


class Head(msgspec.Struct, frozen=True):
    """The newest record of a chain: whoever keeps its hash can detect a rewritten chain."""

    account: str
    number: int
    hash: str
    at: datetime


class Batch(NamedTuple):
    """Records that are being written."""

    head: Head
    size: int
    written: Written


class Stream:
    """Writes records to an outlet as they are, one JSON line each, in order and at least once."""

    def __init__(self, ledger: Ledger, account: str, out: Outlet, name: str = STDOUT) -> None:
        """Continue after the last record that was written under ``name``."""
        self._ledger = ledger
        self._account = account
        self._name = name
        self._out = out
        self._batch: Batch | None = None
        self.head: Head | None = None
        """The last record that was written since the start."""

    @property
    def is_behind(self) -> bool:
        """Whether records are being written that are not out yet."""
        return self._batch is not None

    async def step(self) -> int:
        """Write the new records; return how many are out. What is not out within a second is still being written."""
        handed = 0
        while batch := self._batch or await self._begin():
            if not await is_out(batch.written):
                break
            await self._ledger.keep_cursor(self._account, self._name, batch.head.number)
            self.head, self._batch = batch.head, None
            handed += batch.size
        return handed

    async def finish(self, torn: bytes) -> bool:
        """Write the rest of a line that the last process has begun; return whether it is one of this chain."""
        lines = await self._read()
        found = next((at for at, line in enumerate(lines) if line.startswith(torn)), None)
        return found is not None and self._offer(lines[found:], done=len(torn)) is not None

    async def _begin(self) -> Batch | None:
        """Begin to write the next records, if there are any and the outlet has room for them."""
        lines = await self._read()
        return self._offer(lines) if lines else None

    async def _read(self) -> Sequence[bytes]:
        last = await self._ledger.cursor(self._account, self._name)
        return await self._ledger.records(self._account, after=last, limit=AT_ONCE)

    def _offer(self, lines: Sequence[bytes], done: int = 0) -> Batch | None:
        """Offer records to the outlet, without the bytes at their beginning that are done."""
        if written := self._out.offer(b"".join(line + b"\n" for line in lines)[done:]):
            self._batch = Batch(msgspec.json.decode(lines[-1], type=Head), len(lines), written)
        return self._batch


async def is_out(written: Written) -> bool:
    """Wait a second at most; return whether the bytes are out."""
    done, _ = await asyncio.wait([asyncio.wrap_future(written)], timeout=PATIENCE)
    return bool(done)


class Follower:
    """Shows each record to whoever acts on it, in order and at least once, however far the stream is."""

    def __init__(self, ledger: Ledger, account: str, take: Callable[[bytes], None]) -> None:
        """Continue after the last record that was shown to ``take``."""
        self._ledger, self._account, self._take = ledger, account, take

    async def begin(self) -> None:
        """Begin behind the stream in a ledger from before followers had a cursor; call it before the stream goes on."""
        if not await self._ledger.cursor(self._account, ALERTS):
            streamed = await self._ledger.cursor(self._account, STDOUT)
            await self._ledger.keep_cursor(self._account, ALERTS, streamed)

    async def step(self) -> int:
        """Show the new records; return how many."""
        shown, last = 0, await self._ledger.cursor(self._account, ALERTS)
        while lines := await self._ledger.records(self._account, after=last, limit=AT_ONCE):
            for line in lines:
                self._take(line)
            shown += len(lines)
            last = msgspec.json.decode(lines[-1], type=Head).number
            await self._ledger.keep_cursor(self._account, ALERTS, last)
        return shown
