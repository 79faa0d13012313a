"""Reading: whatever is wrong with one field costs that field, and only key fields cost the record."""

from collections.abc import Callable
from itertools import product
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, fields

from tests.cells import each
from worker import sample
from worker.language.base import Noun, get_keys, get_older
from worker.language.models import FACTS, TRIGGERS, Attachment, Detection, Message, Report, Submission, Trace
from worker.language.policies import BlockedSender
from worker.language.reading import Unreadable, explain_mismatch, read, read_patiently

ODD: tuple[object, ...] = (
    *(7, -1.5, True, "odd", "", None, [], [None], ["a", None], [7], {}, {"a": 1}, "2026-11-29", 1e300),
)
MADE_HERE = {"Now", "Raw", "History", "Policies", "Registry"}
KINDS: dict[str, type[Noun]] = {name: kind for name, kind in (TRIGGERS | FACTS).items() if name not in MADE_HERE}
MAKERS: dict[str, Callable[[], Noun]] = {
    "Message": sample.message,
    "Report": sample.report,
    "Submission": sample.submission,
    "BlockedSender": sample.blocked_sender,
    "AllowPolicy": sample.allow_policy,
    "Detection": lambda: sample.detection(links=["https://a.example"], attachments=[Attachment(filename="a", size=1)]),
    "ActionLog": lambda: sample.action_log(sample.log_entry()),
    "Trace": lambda: sample.trace(inbound=["connect"]),
}


def plain(name: str) -> dict[str, Any]:
    """Return a record as the API would send it."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(MAKERS[name]()))
    return found


def name_fields(kind: type[Noun]) -> dict[str, str]:
    """Return the fields of a type by their names on the wire."""
    return {field.encode_name: field.name for field in fields(kind)}


@each("name", KINDS)
def test_any_value_of_any_field_costs_at_most_that_field(name: str) -> None:
    kind, whole = KINDS[name], asdict(read(KINDS[name], msgspec.json.encode(MAKERS[name]())))
    for (wire, field), odd in product(name_fields(kind).items(), ODD):
        try:
            record = read(kind, msgspec.json.encode(plain(name) | {wire: odd}))
        except Unreadable:
            assert field in {*get_keys(kind), "id", "submission_id"}
            continue
        assert {path.partition(".")[0] for path in record.unread} <= {field}
        assert {one for one, value in asdict(record).items() if value != whole[one]} <= {field}


def test_what_can_only_mean_one_thing_is_read_so() -> None:
    record = read(
        Message, b'{"id": 12, "subject": 5, "to_name": ["a", null], "to": "a@x.example", "is_quarantined": "yes"}'
    )
    assert (record.id, record.subject, record.to_name, record.to) == ("12", "5", ("a",), ("a@x.example",))
    assert (record.is_quarantined, record.unread) == (True, ())
    assert read(Detection, b'{"sender_info": {"as_number": "64500"}}').sender_info.as_number == 64500


def test_what_means_nothing_is_empty_and_named() -> None:
    record = read(Message, b'{"id": "a", "subject": ["x"], "validation": {"spf": {}, "dkim": "pass"}, "properties": 7}')
    assert (record.subject, record.spf, record.dkim) == ("", "", "pass")
    assert record.unread == ("subject", "properties", "validation.spf")


def test_absent_and_null_are_plain_empty() -> None:
    record = read(Message, b'{"id": "a", "subject": null, "validation": null, "to": null, "sent_at": null}')
    assert (record.unread, record) == ((), read(Message, b'{"id": "a"}'))


@each(
    "raw",
    [b"", b"nope", b"[]", b"7", b'{"id": []}', b'{"id": "a", "final_disposition": 7.5e3, "is_quarantined": "maybe"}'],
)
def test_a_record_without_its_key_fields_is_unreadable(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        read(Message, raw)


@pytest.mark.slow
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda one: st.lists(one) | st.dictionaries(st.text(), one)
    )
)
def test_nothing_else_is_ever_raised(value: object) -> None:
    for kind in KINDS.values():
        try:
            read(
                kind,
                msgspec.json.encode({"id": "a", "to": value, "entries": [value], "links": value, "created_at": value}),
            )
        except Unreadable:
            continue


OLDER = [(kind, new, old) for kind in (Message, Report, Submission) for new, old in get_older(kind).items()]


@pytest.mark.parametrize(("kind", "new", "old"), OLDER, ids=str)
def test_an_older_name_is_read_where_there_is_no_newer_one(kind: type[Noun], new: str, old: str) -> None:
    ids = {"id": 1, "submission_id": "a"}
    noon, later = "2026-01-05T12:00:00Z", "2026-01-05T13:00:00Z"
    assert getattr(read(kind, msgspec.json.encode(ids | {old: noon})), new) == sample.NOON
    assert getattr(read(kind, msgspec.json.encode(ids | {old: later, new: noon})), new) == sample.NOON


def test_older_names_are_read_inside_lists_of_records_too() -> None:
    files = read(Detection, b'{"attachments": [{"filename": "a"}, {"name": "b.html"}]}').attachments
    assert [file.filename for file in files] == ["a", "b.html"]
    trace = read(Trace, b'{"inbound": {"lines": [{"ts": "2026-01-05T12:00:00Z"}]}}')
    assert trace.inbound.lines[0].logged_at == sample.NOON
    assert read(BlockedSender, b'{"id": 7, "pattern": "x"}').id == "7"


@each("name", KINDS)
def test_the_patient_way_reads_what_the_strict_one_reads(name: str) -> None:
    raw = msgspec.json.encode(MAKERS[name]())
    assert read_patiently(KINDS[name], raw) == read(KINDS[name], raw) == MAKERS[name]()


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "null"), (True, "true or false"), ([], "a list"), ({}, "an object"), ([None], "a list")],
)
def test_what_a_key_field_holds_instead_is_said_in_words(value: object, said: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read(Message, msgspec.json.encode(plain("Message") | {"id": value}))
    assert str(refused.value) == f"its id cannot be read: it is {said}"


@pytest.mark.parametrize(
    ("kind", "raw", "said"),
    [
        (list[int], b"{}", "Expected a list, got an object"),
        (int | str | None, b"[]", "Expected a number or text or null, got a list"),
        (dict[str, bool], b'{"a": 1.5}', "Expected true or false, got a number - at `$[...]`"),
    ],
)
def test_types_are_told_to_people_in_the_words_of_json(kind: object, raw: bytes, said: str) -> None:
    with pytest.raises(msgspec.ValidationError) as wrong:
        msgspec.json.decode(raw, type=kind)
    assert explain_mismatch(wrong.value) == said
