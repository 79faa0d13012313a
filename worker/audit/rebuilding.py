"""Rebuilding: what an entry must be, by its records alone, held against what it is in the ledger."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from worker.language.rules import Mode
from worker.ledger.entries import FINAL
from worker.ledger.evidence import RawEntry
from worker.ledger.records import instant, make_harmless

FIXED = ("lane", "target")
PROOF = "authenticated"
"""What the mail of an entry proved, by which a block goes without a person."""
AS_ENTERED = ("sender", "subject", "verdict", "because", PROOF)
"""What the first record of an entry says; what is empty is left out there."""
UNSAID = {"joined": ("mode", PROOF), "withdrawn": ("mode", "cause", "item", "because", PROOF)}
"""What records of a verb change without saying it; older versions did not say there what is proved."""


class Rebuilt(NamedTuple):
    """An entry by its records: each value with the number of the record that said it last."""

    said: Mapping[str, tuple[Any, int]]
    verb: str = ""
    """Of the first record that is kept."""

    @property
    def state(self) -> str:
        """The state it was last moved to."""
        return str(self.said.get("to", ("", 0))[0])

    @property
    def ended_at(self) -> str:
        """When it came to its end, as records write it; empty while that is to come."""
        return str(self.said["moved_at"][0]) if self.state in FINAL else ""


def rebuild(lines: Iterable[bytes]) -> Rebuilt:
    """Follow an entry through its records, which are known to be unchanged."""
    said: dict[str, tuple[Any, int]] = {}
    first = ""
    for line in lines:
        record = msgspec.json.decode(line, type=dict[str, Any])
        first = first or record["verb"]
        number = record["number"]
        said |= {name: (value, number) for name, value in _read_changes(record, said)}
        for name in _find_unsaid(record):
            said.pop(name, None)
    return Rebuilt(said, first)


def _read_changes(record: Mapping[str, Any], said: Mapping[str, tuple[Any, int]]) -> Iterator[tuple[str, Any]]:
    """Yield what a record changes of what was said before."""
    verb = record["verb"]
    yield from ((name, record[name]) for name in (*FIXED, "action", "item") if name in record)
    yield from ((name, record[name]) for name in ("cause", "mode") if name in record and verb != "joined")
    if "action" in record:
        yield "kind", record["action"]["type"]
    if "to" in record:
        yield from (("to", record["to"]), ("moved_at", record["at"]))
        # What was final from the first has never settled.
        yield "settled_at", record["at"] if record["to"] in FINAL and verb != "entered" else ""
    if verb == "entered":
        yield from ((name, record.get(name, "")) for name in AS_ENTERED)
        yield from (("created_at", record["at"]), ("approved_by", ""))
    elif PROOF in record:
        yield PROOF, record[PROOF]
    if "recipients" in record:  # older versions did not write them
        yield "recipients", record["recipients"]
    yield from _read_rules(record, said)
    yield from _read_people(record)


def _read_rules(record: Mapping[str, Any], said: Mapping[str, tuple[Any, int]]) -> Iterator[tuple[str, Any]]:
    """Yield the rules: those that join come to those before, which are unknown where the beginning is cut off."""
    verb = record["verb"]
    if "rules" not in record or verb == "extended":
        return
    if verb != "joined":
        yield "rules", record["rules"]
    elif "rules" in said:
        merged = dict(said["rules"][0]) | dict(record["rules"])
        yield "rules", [list(pair) for pair in merged.items()]


def _read_people(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield who approved, and that nobody has any more once it waits again."""
    if record["verb"] == "approved":
        yield "approved_by", record["who"]
    elif record.get("to") == "waiting" or record["verb"] == "lapsed":
        yield "approved_by", ""


def _find_unsaid(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a record changes, or may change, without saying what it is from now on."""
    changed = UNSAID.get(record["verb"], ())
    return tuple(name for name in changed if name != PROOF or name not in record)


def find_difference(entry: RawEntry, lines: Iterable[bytes], kept_from: float) -> str:
    """Say what an entry is that its records do not say; empty when they agree.

    Of an entry made before ``kept_from`` the first records may be gone.
    """
    rebuilt, created = rebuild(lines), entry["created_at"]
    if rebuilt.verb != "entered" and not (isinstance(created, int | float) and created < kept_from):
        return "is in the ledger, and no record says that it was entered"
    for name, value in _describe(entry):
        told, number = rebuilt.said.get(name, (value, 0))
        if value != told and make_harmless(value) != told:
            what = "state" if name == "to" else name
            return f"differs from record {number}: its {what} is {_show(value)}, and was {_show(told)}"
    return ""


def find_loss(lines: Iterable[bytes], deleted_before: float) -> str:
    """Say why an entry must not be missing from the ledger; empty when it settled long ago."""
    rebuilt = rebuild(lines)
    if not rebuilt.state or (rebuilt.ended_at and rebuilt.ended_at < instant(deleted_before)):
        return ""
    return f"is not in the ledger, and record {rebuilt.said['to'][1]} says that it is {rebuilt.state}"


def _describe(entry: RawEntry) -> Iterator[tuple[str, Any]]:
    """Yield what an entry is, as records say it."""
    yield "to", entry["state"]
    for name in (*FIXED, "cause", "item", *AS_ENTERED, "approved_by", "kind"):
        yield name, entry[name]
    yield "action", _without_reason(_parse(entry["action"]))
    yield "recipients", _parse(entry["recipients"])
    yield "rules", _pair(_parse(entry["rules"]), _parse(entry["fingerprints"]))
    yield "mode", _name_mode(entry["mode"])
    yield "created_at", _write_time(entry["created_at"])
    yield "settled_at", _write_time(entry["settled_at"]) if entry["settled_at"] else ""


def _parse(cell: str | float | None) -> Any:  # noqa: ANN401 (any JSON)
    try:
        return msgspec.json.decode(str(cell))
    except (ValueError, RecursionError):
        return cell


def _without_reason(action: Any) -> Any:  # noqa: ANN401 (any JSON)
    return {name: value for name, value in action.items() if name != "because"} if isinstance(action, dict) else action


def _pair(rules: Any, marks: Any) -> Any:  # noqa: ANN401 (any JSON)
    both = isinstance(rules, list) and isinstance(marks, list) and len(rules) == len(marks)
    return [list(pair) for pair in zip(rules, marks, strict=True)] if both else [rules, marks]


def _name_mode(cell: str | float | None) -> str:
    return next((mode.name.lower() for mode in Mode if mode == cell), str(cell))


def _write_time(cell: str | float | None) -> str:
    try:
        return instant(cell) if isinstance(cell, int | float) else str(cell)
    except (ValueError, OverflowError):
        return str(cell)


def _show(value: Any) -> str:  # noqa: ANN401 (any JSON)
    return repr(value) if isinstance(value, str) else msgspec.json.encode(value).decode()
