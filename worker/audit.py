"""The audit record: asking for it, proving offline that nobody changed it, and handing it on line by line."""

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, BinaryIO

import msgspec
import structlog
from msgspec import Struct

from worker.store.ledger import Ledger
from worker.store.records import NOTHING, hashed

AT_ONCE = 1000


class Verdict(Struct, frozen=True, kw_only=True):
    """What came of verifying a chain: how many records hold, and where and why it breaks, if it does."""

    records: int = 0
    first: int = 0
    last: int = 0
    hash: str = ""
    broken_at: int = 0
    problem: str = ""


def verify(lines: Iterable[bytes]) -> Verdict:
    """Prove that records follow each other unchanged from the first one, or from a checkpoint that a later one tells.

    A hash that somebody kept earlier must still be found among the records: only that shows a chain written anew.
    """
    held = Verdict()
    before = ""
    missing: dict[int, str] = {}
    for line in lines:
        try:
            record = msgspec.json.decode(line, type=dict[str, Any])
            number, previous, said = int(record["number"]), str(record["previous"]), str(record.pop("hash"))
            fits = hashed(previous, record) == said
        except (msgspec.DecodeError, KeyError, ValueError, TypeError) as error:
            return _broken(held, held.last + 1, f"is not a record ({error})")
        if not fits:
            return _broken(held, number, "does not match its own hash: it was changed")
        if held.records and number != held.last + 1:
            return _broken(held, number, f"does not follow record {held.last}: records are missing or out of order")
        if held.records and previous != held.hash:
            return _broken(held, number, f"names another record than {held.last} as its previous one")
        before = before or previous
        held = Verdict(records=held.records + 1, first=held.first or number, last=number, hash=said)
        if record.get("verb") == "pruned":
            missing[int(record["through"])] = str(record["cut"])
    if held.records and before != missing.get(held.first - 1, NOTHING if held.first == 1 else ""):
        return _broken(held, held.first, "is the first one here, and no checkpoint says what came before it")
    return held


def _broken(held: Verdict, number: int, problem: str) -> Verdict:
    return msgspec.structs.replace(held, broken_at=number, problem=f"record {number} {problem}")


async def query(
    ledger: Ledger, account: str, *, verb: str = "", entry: str = "", rule: str = "", target: str = "", after: int = 0
) -> AsyncIterator[bytes]:
    """Yield an account's records as canonical JSON, in order: all, or those that match everything that is given."""
    while lines := await ledger.records(account, after=after, limit=AT_ONCE):
        for line in lines:
            record = msgspec.json.decode(line, type=dict[str, Any])
            after = record["number"]
            wanted = {"verb": verb, "entry": entry, "target": target}
            ruled = not rule or [rule] in [pair[:1] for pair in record.get("rules", ())]
            if ruled and all(record.get(name) == value for name, value in wanted.items() if value):
                yield line


class Stream:
    """Hands records on to a stream as they are, one JSON line each, in order and at least once."""

    def __init__(
        self,
        ledger: Ledger,
        account: str,
        stream: BinaryIO,
        name: str = "stdout",
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
            for line in lines:
                self._log.info(line)
                self._told(line)
            handed += len(lines)
            last = msgspec.json.decode(lines[-1], type=dict[str, Any])["number"]
            await self._ledger.keep_cursor(self._account, self._name, last)
        return handed


def _line(_logger: object, _method: str, event: Any) -> bytes:  # noqa: ANN401 (structlog's event dictionary)
    """Give the line as it was chained, so that what was handed on can be verified as well."""
    return bytes(event["event"])
