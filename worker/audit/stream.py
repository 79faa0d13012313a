"""Handing audit records on, line by line, as they were chained."""

from collections.abc import Callable
from typing import Any, BinaryIO

import msgspec
import structlog

from worker.ledger.ledger import Ledger

STDOUT = "stdout"
AT_ONCE = 1000


class Stream:
    """Hands records on to a stream as they are, one JSON line each, in order and at least once."""

    def __init__(
        self,
        ledger: Ledger,
        account: str,
        stream: BinaryIO,
        name: str = STDOUT,
        told: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        """Keep what is handed in; how far the stream is served is kept in the ledger under ``name``.

        ``told`` hears each line too, to measure what it tells.
        """
        self._ledger = ledger
        self._account = account
        self._name = name
        self._told = told
        self._log: Any = structlog.wrap_logger(structlog.BytesLogger(stream), processors=[_line])

    async def step(self) -> int:
        """Hand on what is new; return how many records that were."""
        handed = 0
        last = await self._ledger.cursor(self._account, self._name)
        while lines := await self._ledger.records(self._account, after=last, limit=AT_ONCE):
            self._log.info(b"\n".join(lines))
            for line in lines:
                self._told(line)
            handed += len(lines)
            last = msgspec.json.decode(lines[-1], type=dict[str, Any])["number"]
            await self._ledger.keep_cursor(self._account, self._name, last)
        return handed


def _line(_logger: object, _method: str, event: Any) -> bytes:  # noqa: ANN401 (structlog's event dictionary)
    """Give the line as it was chained, so that what was handed on can be verified as well."""
    return bytes(event["event"])
