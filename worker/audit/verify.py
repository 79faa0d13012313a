"""Verification: whether the audit records follow each other unchanged, from the bytes of their lines alone."""

from collections.abc import Iterable
from datetime import datetime
from math import inf
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from worker.audit.lines import BrokenLineError, RecordLine, parse
from worker.audit.proof import Proof
from worker.ledger.records import NOTHING, instant

ROUNDED, TOLERANCE = 1.0, 3600.0
"""Seconds by which times on record may be rounded, and by which the clock of who verifies may differ."""
DAY = 86400.0


class Verdict(Struct, frozen=True, kw_only=True):
    """The result of verifying a chain: how many records are intact, and where and why it breaks, if it does.

    ``previous`` is the hash that the first record names. When nothing here confirms it, ``unchecked`` is the number of
    the record that must have it: everything up to there could not be verified. A problem with ``broken_at`` 0 is none
    of the chain: something else in the ledger differs from it.
    """

    records: int = 0
    first: int = 0
    last: int = 0
    hash: str = ""
    previous: str = ""
    unchecked: int = 0
    broken_at: int = 0
    problem: str = ""
    signed: int = 0
    """The number of the last record that a trusted head has signed, and when and by which key that was."""
    signed_at: str = ""
    signed_by: str = ""


class Age(NamedTuple):
    """For how many seconds records are kept, and what time it is, so that no checkpoint lies about that."""

    keep: float = 0.0
    now: float = inf

    def find_latest(self, at: float) -> float:
        """Return the time before which a checkpoint of some time may have cut off everything."""
        return min(at, self.now + TOLERANCE) - self.keep + ROUNDED


class Checkpoint(NamedTuple):
    """A record that says what was cut off before the first one, and how old that was. Times in seconds."""

    number: int
    at: float
    cut: str
    until: float
    before: float
    """Everything cut off was older than this; a worker that did not write it down yet cut off what was too old then."""


class ChainVerifier:
    """Takes the records of one account in order, and remembers no more than the last one."""

    def __init__(
        self, *, cut: bool = False, reaching: int = 0, age: Age | None = None, proof: Proof | None = None
    ) -> None:
        """Begin with the first record, or, with ``cut``, with a later one, as in a stream whose older files are gone.

        ``reaching`` is the number of a record that was handed out before: the chain must not end before it. ``age``
        says what a checkpoint may have cut off, and ``proof`` has the signed heads.
        """
        self._held = Verdict()
        self._cut, self._reaching, self._age, self._proof = cut, reaching, age or Age(), proof
        self._checkpoint: Checkpoint | None = None
        self.pruned_before = 0.0
        """What settled before this time may have been deleted, as the records say."""

    @property
    def is_broken(self) -> bool:
        """Whether anything was wrong up to here."""
        return bool(self._held.problem)

    def take(self, line: bytes) -> RecordLine | None:
        """Take the next line, without its ending; return the record if it follows unchanged."""
        if self.is_broken:
            return None
        try:
            record = parse(line)
        except BrokenLineError as error:
            self.reject(str(error), error.number)
            return None
        if problem := self._find_problem(record):
            self.reject(problem, record.number)
            return None
        self._accept(record)
        return record

    def reject(self, problem: str, number: int = 0) -> None:
        """Note why the chain breaks at a record, by default the next one."""
        if not self.is_broken:
            number = number or self._held.last + 1
            self._held = replace(self._held, broken_at=number, problem=f"record {number} {problem}")

    def finish(self) -> Verdict:
        """Return what came of all records."""
        held = self._held
        if not held.problem and held.last < self._reaching:
            self.reject(f"is missing, and with it all up to {self._reaching}, which was handed out once")
        if not self.is_broken and held.records:
            self._check_beginning()
        if self._proof:
            self._check_proof(self._proof)
        return self._held

    def _check_proof(self, proof: Proof) -> None:
        """Miss what was signed and is not here, and note how far the proof reaches."""
        if proof.next:
            missing = f"is missing: head {proof.next.head} signed record {proof.next.number} on {proof.next.at}"
            self.reject(missing)
        elif proof.problem and not self.is_broken:
            self._held = replace(self._held, problem=proof.problem)
        if head := proof.signed:
            self._held = replace(self._held, signed=head.number, signed_at=head.at, signed_by=head.key)

    def _accept(self, record: RecordLine) -> None:
        held, number = self._held, record.number
        first, previous = (held.first, held.previous) if held.records else (number, record.previous)
        self._held = Verdict(records=held.records + 1, first=first, last=number, hash=record.hash, previous=previous)
        if record.said["verb"] == "pruned":
            self._note_checkpoint(record)

    def _find_problem(self, record: RecordLine) -> str:
        """Return why a record is not the next one; empty when it is."""
        held = self._held
        if held.records and record.number != held.last + 1:
            return f"does not follow record {held.last}: some are missing, repeated or out of order"
        if held.records and record.previous != held.hash:
            return f"names another record than {held.last} as its previous one"
        return self._proof.find_problem(record) if self._proof else ""

    def _note_checkpoint(self, record: RecordLine) -> None:
        try:
            known = _read_checkpoint(record, self._age)
        except (KeyError, TypeError, ValueError):
            self.reject("is a checkpoint that does not say what it cut off, and how old that was", record.number)
            return
        self.pruned_before = max(self.pruned_before, known.before)
        if record.said["through"] == self._held.first - 1:
            self._checkpoint = known

    def _check_beginning(self) -> None:
        """Compare what the first record names as its previous one with the beginning, or with a checkpoint."""
        held, known = self._held, self._checkpoint
        first = held.first
        if first == 1 and held.previous != NOTHING:
            self.reject("is the first one, and names another one before it", first)
        elif first > 1 and known:
            self._check_checkpoint(known)
        elif first > 1 and self._cut:
            self._held = replace(held, unchecked=first - 1)
        elif first > 1:
            self.reject("is the first one here, and no checkpoint says what came before it", first)

    def _check_checkpoint(self, known: Checkpoint) -> None:
        held, signed = self._held, self._proof.cut if self._proof else None
        if held.previous != known.cut:
            self.reject("is the first one here, and names another one before it than there was", held.first)
        elif known.until > known.before or known.before > self._age.find_latest(known.at):
            self.reject(_describe_young(known, self._age.keep), known.number)
        elif signed and _read_time(signed.recorded) > known.before + ROUNDED:
            told = f"head {signed.head} signed record {signed.number}, which was from {signed.recorded}"
            self.reject(
                f"says that only what was older than {instant(known.before)} was cut off, but {told}", known.number
            )


def _read_checkpoint(record: RecordLine, age: Age) -> Checkpoint:
    """Read a checkpoint; raises KeyError, TypeError or ValueError for one that makes no sense."""
    said, at = record.said, _read_time(record.said["at"])
    if type(said["through"]) is not int:
        raise TypeError(said["through"])
    if "before" not in said:
        return Checkpoint(record.number, at, said["cut"], 0.0, age.find_latest(at) - ROUNDED)
    return Checkpoint(record.number, at, said["cut"], _read_time(said["until"]), _read_time(said["before"]))


def _describe_young(known: Checkpoint, keep: float) -> str:
    return (
        f"says that what was older than {instant(known.before)} was cut off, the newest of it from "
        f"{instant(known.until)}: too young for WORKER_KEEP={keep / DAY:g}d; if that was shorter then, set it so"
    )


def _read_time(text: str) -> float:
    """Read a time of a record; raises ValueError, or TypeError when it is no text."""
    return datetime.fromisoformat(text).timestamp()


def verify(lines: Iterable[bytes], *, cut: bool = False, reaching: int = 0, keep: float = 0.0) -> Verdict:
    """Verify the records of one account; see ``ChainVerifier``."""
    verifier = ChainVerifier(cut=cut, reaching=reaching, age=Age(keep))
    for line in lines:
        verifier.take(line)
    return verifier.finish()
