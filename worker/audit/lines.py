"""Lines: one audit record as it was written, and whether its bytes still are what its hash was made of."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from worker.ledger.records import canonical, hash_bytes

HASH = re.compile(rb',"hash":"([0-9a-f]{64})"\}\Z')
"""How every record ends."""
HEX = re.compile(r"[0-9a-f]{64}")


class BrokenLineError(ValueError):
    """A line is no record, or not as it was written; ``number`` is what it calls itself, 0 when it does not."""

    def __init__(self, problem: str, number: int = 0) -> None:
        """Keep both."""
        super().__init__(problem)
        self.number = number


class RecordLine(NamedTuple):
    """An unchanged record: its place in the chain, and all that it says."""

    number: int
    previous: str
    hash: str
    said: Mapping[str, Any]


def parse(line: bytes) -> RecordLine:
    """Read a record, without its line ending; raises BrokenLineError when it is not exactly what was hashed.

    The hash is over the bytes, and the bytes must be the one way to write what they say: two readers that treat, say, a
    key that is there twice differently would otherwise see two records.
    """
    ending = HASH.search(line)
    body = line[: -len(ending[0])] + b"}" if ending else line
    said = _decode(body)
    number = _read_number(said)
    if not ending:
        raise BrokenLineError('does not end with ,"hash":"…"}, as every record does', number)
    previous = said.get("previous")
    if not (isinstance(previous, str) and HEX.fullmatch(previous)):
        raise BrokenLineError("is not a record (it names no previous hash)", number)
    if hash_bytes(previous, body) != (told := ending[1].decode()):
        raise BrokenLineError("does not match its own hash: it was changed", number)
    if problem := _find_oddity(said, body):
        raise BrokenLineError(problem, number)
    return RecordLine(number, previous, told, said)


def _decode(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (ValueError, RecursionError) as error:
        raise BrokenLineError(f"is not a record ({error})") from None


def _read_number(said: Mapping[str, Any]) -> int:
    number = said.get("number")
    if type(number) is not int or number < 1:
        raise BrokenLineError("is not a record (it has no number)")
    return number


def _find_oddity(said: Mapping[str, Any], body: bytes) -> str:
    """Say what is wrong with a record whose hash fits; empty when it is as the worker writes it."""
    missing = [name for name in ("account", "at", "verb") if not isinstance(said.get(name), str)]
    if missing:
        return f"is not a record (it has no {missing[0]})"
    return (
        "" if canonical(said) == body else "is not written as the worker writes records: two readers may differ on it"
    )
