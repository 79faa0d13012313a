"""Verification: proves offline that nobody changed the audit records."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from worker.ledger.records import NOTHING, hash_record


class Verdict(Struct, frozen=True, kw_only=True):
    """The result of verifying a chain: how many records are intact, and where and why it breaks, if it does.

    ``previous`` is the hash that the first record names. When nothing here confirms it, ``unchecked`` is the number of
    the record that must have it: everything up to there could not be verified.
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
    """Verify that records follow each other unchanged, from the first one or from a checkpoint in a later one.

    With ``cut``, the beginning may be missing, as in a stream whose older files are elsewhere.
    ``reaching`` is the number of a record that was handed out before: the chain must not end before it.
    To detect a rewritten chain, look for a hash that you kept earlier among the records.
    """
    held = Verdict()
    cuts: dict[int, str] = {}
    for line in lines:
        try:
            link = _read_link(line)
        except (KeyError, ValueError, TypeError, RecursionError) as error:
            return _break_at(held, held.last + 1, f"is not a record ({error})")
        if problem := _find_problem(held, link):
            return _break_at(held, link.number, problem)
        first, previous = (held.first, held.previous) if held.records else (link.number, link.previous)
        held = Verdict(records=held.records + 1, first=first, last=link.number, hash=link.hash, previous=previous)
        cuts |= link.cut
    if held.last < reaching:
        return _break_at(
            held, held.last + 1, f"is missing, and with it all up to {reaching}, which was handed out once"
        )
    return _check_beginning(held, {**cuts, 0: NOTHING}.get(held.first - 1), cut=cut) if held.records else held


class _Link(NamedTuple):
    """The part of a record that chains it; ``cut`` is of a checkpoint: the last number cut off, and its hash."""

    number: int
    previous: str
    hash: str
    fits: bool
    cut: dict[int, str]


def _read_link(line: bytes) -> _Link:
    """Read a record; raises KeyError, ValueError, TypeError or RecursionError when it is not one."""
    record = msgspec.json.decode(line, type=dict[str, Any])
    number, previous, said = int(record["number"]), str(record["previous"]), str(record.pop("hash"))
    cut = {int(record["through"]): str(record["cut"])} if record.get("verb") == "pruned" else {}
    return _Link(number, previous, said, hash_record(previous, record) == said, cut)


def _find_problem(held: Verdict, link: _Link) -> str:
    """Return why a record is not the next one; empty when it is."""
    if not link.fits:
        return "does not match its own hash: it was changed"
    if held.records and link.number != held.last + 1:
        return f"does not follow record {held.last}: some are missing, repeated or out of order"
    if held.records and link.previous != held.hash:
        return f"names another record than {held.last} as its previous one"
    return ""


def _check_beginning(held: Verdict, told: str | None, *, cut: bool) -> Verdict:
    """Compare the hash that the first record names as previous with what a checkpoint says."""
    if held.previous == told:
        return held
    if told is None and cut:
        return msgspec.structs.replace(held, unchecked=held.first - 1)
    why = "no checkpoint says what came before it" if told is None else "names another one before it than there was"
    return _break_at(held, held.first, f"is the first one here, and {why}")


def _break_at(held: Verdict, number: int, problem: str) -> Verdict:
    return msgspec.structs.replace(held, broken_at=number, problem=f"record {number} {problem}")
