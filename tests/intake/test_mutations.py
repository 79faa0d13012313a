"""Whatever changes in one field of a record, somebody hears it: the rules, or whoever asks what cannot be read.

The mutations are made from the types, so that a new field is tried without anybody thinking of it.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import fields

from tests.rule_files import rule_files
from worker import sample
from worker.intake.sources import Fetched, read_list_entry, read_records, read_report, read_submission
from worker.language.base import Noun
from worker.language.models import TRIGGERS
from worker.ledger.values import Reading
from worker.observations import read_message
from worker.rulehost.evaluation import Event, judge
from worker.rulehost.loader import load

HEARS = '''
    @rule
    def hears(event: {kind}) -> Notify | None:
        """Hear of everything, and use no field."""
        return Notify("soc")

    @rule
    def uses(event: {kind}) -> Notify | None:
        """Use every field."""
        return Notify("soc") if any(repr(getattr(event, name)) for name in event.__struct_fields__) else None
'''
READERS: dict[str, tuple[Callable[[Raw, float], Reading], Callable[[], Noun]]] = {
    "Message": (partial(read_message, detected=True), sample.message),
    "Report": (read_report, sample.report),
    "Submission": (read_submission, sample.submission),
    "BlockedSender": (partial(read_list_entry, "BlockedSender"), sample.blocked_sender),
    "AllowPolicy": (partial(read_list_entry, "AllowPolicy"), sample.allow_policy),
}
ABSENT = object()
CHANGES: dict[str, Callable[[object], object]] = {
    "another type": lambda value: {"was": value},
    "a list": lambda value: [value, {"more": value}],
    "a number": lambda _: 7,
    "text": lambda _: "quite another thing",
    "true": lambda _: True,
    "null": lambda _: None,
    "null inside": lambda value: [None, value] if isinstance(value, list) else {"inside": None},
    "absent": lambda _: ABSENT,
    "an odd time": lambda _: "Sun, 29 Nov 2026 10:00:00 +0000",
    "huge": lambda _: "x" * 10_000,
}


def mutate(kind: str) -> Iterator[tuple[str, str, Raw]]:
    """Yield the field, the change, and the record with this one change."""
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(READERS[kind][1]()))
    for field, (name, change) in product(fields(TRIGGERS[kind]), CHANGES.items()):
        changed = plain | {field.encode_name: change(plain.get(field.encode_name))}
        whole = {one: value for one, value in changed.items() if value is not ABSENT}
        yield field.name, name, Raw(msgspec.json.encode(whole))
        renamed = {one: value for one, value in plain.items() if one != field.encode_name}
        yield field.name, "renamed", Raw(msgspec.json.encode(renamed | {field.encode_name + "_new": 1}))


def fetch(kind: str, raw: Raw) -> Fetched:
    return read_records((raw,), None, 1_790_000_000.0, READERS[kind][0])


@pytest.mark.parametrize("kind", READERS)
def test_no_change_of_a_field_is_silent(kind: str, tmp_path: Path) -> None:
    bundle = load(rule_files(tmp_path, hears=HEARS.format(kind=kind)))
    silent, tried = [], 0
    for field, change, raw in mutate(kind):
        fetched = fetch(kind, raw)
        (said,) = judge(bundle, [Event(key="1", kind=kind, raw=bytes(raw))])
        heard = {one.rule for one in said.proposals}
        waits = {one.rule: one.unread for one in said.asks}
        used = "uses" in heard or any(field in path for path in waits.get("uses", ()))
        judged = bool(fetched.readings) and "hears" in heard and used
        reasons = [said.unreadable, *(one.why for one in fetched.broken)]
        named = any(field in why or "has no time" in why for why in reasons)
        silent += [] if judged or named else [(field, change)]
        tried += 1
    assert (silent, tried > 100) == ([], True)


def test_there_are_three_hundred_changes_at_least() -> None:
    assert sum(1 for kind in READERS for _ in mutate(kind)) >= 300
