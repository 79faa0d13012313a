"""Stream: hands audit records on, line by line, as they were chained."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, BinaryIO

import msgspec
import structlog

from worker.ledger.ledger import Ledger

STDOUT = "stdout"
AT_ONCE = 1000


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
        self._log: Any = structlog.wrap_logger(structlog.BytesLogger(stream), processors=[_take_line])
        self.head: Head | None = None
        """The last record that was written since the start."""

    async def step(self) -> int:
        """Write the new records; return how many."""
        handed = 0
        last = await self._ledger.cursor(self._account, self._name)
        while lines := await self._ledger.records(self._account, after=last, limit=AT_ONCE):
            self._log.info(b"\n".join(lines))
            for line in lines:
                self._on_record(line)
            handed += len(lines)
            self.head = msgspec.json.decode(lines[-1], type=Head)
            last = self.head.number
            await self._ledger.keep_cursor(self._account, self._name, last)
        return handed


def _take_line(_logger: object, _method: str, event: Any) -> bytes:  # noqa: ANN401 (structlog's event dictionary)
    """Return the line as it was chained, so that the output can be verified as well."""
    return bytes(event["event"])
