"""The audit record: asking for it, proving offline that nobody changed it, and handing it on line by line."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, BinaryIO, NamedTuple

import msgspec
import structlog
from msgspec import Struct

from worker.ledger.ledger import Ledger
from worker.ledger.records import NOTHING, hashed

STDOUT = "stdout"
AT_ONCE = 1000
VERBS = (
    *("started", "stopped", "bundle taken", "bundle refused"),
    *("entered", "joined", "withdrawn", "claimed", "answered", "settled", "released", "extended"),
    *("postponed", "put behind", "retired", "approved", "refused", "lapsed"),
    *("ordered", "braked", "unbraked", "abandoned"),
    *("rule failed", "broken record", "drift", "gap closed", "overtaken", "given up", "pruned"),
)
"""Everything that a record may say has happened."""


class Verdict(Struct, frozen=True, kw_only=True):
    """What came of verifying a chain: how many records hold, and where and why it breaks, if it does.

    ``previous`` is the hash that the first record names. When nothing here vouches for it, ``unchecked`` is the number
    of the record that must have it: everything up to there could not be verified.
    """

    records: int = 0
    first: int = 0
    last: int = 0
    hash: str = ""
    previous: str = ""
    unchecked: int = 0
    broken_at: int = 0
    problem: str = ""


def verify(lines: Iterable[bytes], *, cut: bool = False, reaching: int = 0) -> Verdict:
    """Prove that records follow each other unchanged from the first one, or from a checkpoint that a later one tells.

    With ``cut``, the beginning may be missing, as in a stream whose older files are elsewhere: what is here is proved.
    ``reaching`` is the number of a record that was handed out once: the chain must not end before it.
    A hash that somebody kept earlier must still be found among the records: only that shows a chain written anew.
    """
    held = Verdict()
    cuts: dict[int, str] = {}
    for line in lines:
        try:
            link = _link(line)
        except (KeyError, ValueError, TypeError, RecursionError) as error:
            return _broken(held, held.last + 1, f"is not a record ({error})")
        if problem := _problem(held, link):
            return _broken(held, link.number, problem)
        first, previous = (held.first, held.previous) if held.records else (link.number, link.previous)
        held = Verdict(records=held.records + 1, first=first, last=link.number, hash=link.hash, previous=previous)
        cuts |= link.cut
    if held.last < reaching:
        return _broken(held, held.last + 1, f"is missing, and with it all up to {reaching}, which was handed out once")
    return _begun(held, {**cuts, 0: NOTHING}.get(held.first - 1), cut=cut) if held.records else held


class _Link(NamedTuple):
    """What a record has to do with the chain; ``cut`` is what a checkpoint tells: the last number cut off, its hash."""

    number: int
    previous: str
    hash: str
    fits: bool
    cut: dict[int, str]


def _link(line: bytes) -> _Link:
    """Read a record; raises KeyError, ValueError, TypeError or RecursionError when it is none."""
    record = msgspec.json.decode(line, type=dict[str, Any])
    number, previous, said = int(record["number"]), str(record["previous"]), str(record.pop("hash"))
    cut = {int(record["through"]): str(record["cut"])} if record.get("verb") == "pruned" else {}
    return _Link(number, previous, said, hashed(previous, record) == said, cut)


def _problem(held: Verdict, link: _Link) -> str:
    """Say what keeps a record from being the next one; nothing when it is."""
    if not link.fits:
        return "does not match its own hash: it was changed"
    if held.records and link.number != held.last + 1:
        return f"does not follow record {held.last}: some are missing, repeated or out of order"
    if held.records and link.previous != held.hash:
        return f"names another record than {held.last} as its previous one"
    return ""


def _begun(held: Verdict, told: str | None, *, cut: bool) -> Verdict:
    """Compare what the first record names as its previous one with what is told of that elsewhere."""
    if held.previous == told:
        return held
    if told is None and cut:
        return msgspec.structs.replace(held, unchecked=held.first - 1)
    why = "no checkpoint says what came before it" if told is None else "names another one before it than there was"
    return _broken(held, held.first, f"is the first one here, and {why}")


def _broken(held: Verdict, number: int, problem: str) -> Verdict:
    return msgspec.structs.replace(held, broken_at=number, problem=f"record {number} {problem}")


async def query(
    ledger: Ledger,
    account: str,
    *,
    verb: str = "",
    entry: str = "",
    rule: str = "",
    target: str = "",
    after: int = 0,
    since: float | None = None,
) -> AsyncIterator[bytes]:
    """Yield an account's records as canonical JSON, in order: all, or those that match everything that is given.

    ``after`` is a record's number, ``since`` a time in seconds; neither yields what was at it itself.
    """
    while lines := await ledger.records(account, after=after, limit=AT_ONCE):
        for line in lines:
            record = msgspec.json.decode(line, type=dict[str, Any])
            after = record["number"]
            wanted = {"verb": verb, "entry": entry, "target": target}
            late = since is None or datetime.fromisoformat(record["at"]).timestamp() > since
            ruled = not rule or rule in rules_of(record)
            if late and ruled and all(record.get(name) == value for name, value in wanted.items() if value):
                yield line


def rules_of(record: Mapping[str, Any]) -> list[str]:
    """Name the rules that had a part in a record."""
    return [each[0] for each in record.get("rules", ())]


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
