"""Each record of a page is read on its own."""

import time
from collections.abc import Callable, Iterator
from functools import partial

import msgspec
import pytest

from worker import sample
from worker.intake.sources import read_list_entry, read_records, read_report, read_submission
from worker.language.reading import Unreadable
from worker.ledger.values import Reading, Thing
from worker.observations import read_message, read_scan_time

ID = "4Njp3P0STMz2c02Q-2026-01-05T12:00:00-12345678"


def record(**fields: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode({"id": ID, "final_disposition": "SPAM", "is_quarantined": False, **fields}))


def test_a_message_is_known_by_the_time_inside_its_id() -> None:
    reading = read_message(record(), 5.0)
    assert reading.thing == Thing("Message", sample.NOON.timestamp(), ID)
    assert reading.state == "SPAM|delivered"


def test_delivery_and_operations_are_no_part_of_a_sight() -> None:
    moved = record(delivery_status=["moved"], post_delivery_operations=["MOVE"])
    assert read_message(moved, 5.0).state == read_message(record(), 5.0).state


def test_a_look_keeps_when_its_read_began() -> None:
    look = read_message(record(is_quarantined=True, post_delivery_operations=["MOVE"]), 5.0).look
    assert look is not None
    assert (look.at, look.quarantined, look.operations) == (5.0, True, ("MOVE",))


@pytest.mark.parametrize(
    ("read", "field"), [(read_message, "id"), (read_submission, "submission_id"), (partial(read_list_entry, "A"), "id")]
)
def test_a_record_with_an_empty_id_cannot_be_read(read: Callable[[msgspec.Raw, float], Reading], field: str) -> None:
    at = dict.fromkeys(("scanned_at", "requested_at", "created_at"), "2026-01-05T12:00:00Z")
    with pytest.raises(Unreadable, match="has no id"):
        read(record(**at, **{field: ""}), 5.0)


def test_a_verdict_may_be_null_and_a_quarantine_may_not() -> None:
    assert read_message(record(final_disposition=None, post_delivery_operations=None), 5.0).state == "NONE|delivered"
    with pytest.raises(Unreadable, match="its is_quarantined cannot be read: it is null"):
        read_message(record(is_quarantined=None), 5.0)
    with pytest.raises(Unreadable, match="its is_quarantined is missing"):
        read_message(msgspec.Raw(b'{"id": "%s", "final_disposition": "SPAM"}' % ID.encode()), 5.0)


def test_an_updated_report_is_a_new_state_of_the_same_thing() -> None:
    def report(updated: str) -> msgspec.Raw:
        return msgspec.Raw(msgspec.json.encode({"id": 7, "created_at": "2026-01-05T12:00:00Z", "updated_at": updated}))

    one, other = (read_report(report(at), 0.0) for at in ("2026-01-05T12:00:00Z", "2026-01-05T13:00:00Z"))
    assert one.thing == other.thing
    assert one.state != other.state


def test_an_id_without_a_time_falls_back_to_the_scan_time() -> None:
    assert read_scan_time("odd", sample.NOON) == sample.NOON.timestamp()
    with pytest.raises(ValueError, match="has no time"):
        read_scan_time("odd")


def test_a_broken_record_costs_only_itself() -> None:
    new = record(id=f"{ID}-2", final_disposition="NEW", scanned_at="2026-01-05T12:00:00Z")
    records = (record(), msgspec.Raw(b'{"id": []}'), msgspec.Raw(b'{"id": "no time", "is_quarantined": false}'), new)
    page = read_records(records, None, 1.0, read_message)
    assert [reading.state for reading in page.readings] == ["SPAM|delivered", "NEW|delivered"]
    assert [broken.why[:20] for broken in page.broken] == [
        "its id cannot be rea",
        "the id 'no time' has",
        "unknown final_dispos",
    ]


def test_of_two_records_of_one_message_that_differ_the_first_is_kept_as_unreadable() -> None:
    records = (record(is_quarantined=False), record(is_quarantined=True), record(subject="", is_quarantined=True))
    page = read_records(records, None, 1.0, read_message)
    assert [reading.state for reading in page.readings] == ["SPAM|quarantined"] * 2
    assert [(one.raw, one.id, one.judged) for one in page.broken] == [(bytes(records[0]), ID, False)]


@pytest.fixture
def _far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "EST5")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_far_from_utc")
def test_a_time_that_names_no_zone_is_utc() -> None:
    assert read_scan_time("odd", sample.NOON.replace(tzinfo=None)) == sample.NOON.timestamp()
    named, bare = (
        read_report(msgspec.Raw(msgspec.json.encode({"id": 7, "created_at": at})), 0.0)
        for at in ("2026-01-05T12:00:00Z", "2026-01-05T12:00:00")
    )
    assert (bare.thing, bare.state) == (named.thing, named.state)


def test_a_submission_is_news_when_its_status_its_outcome_or_its_triage_changes() -> None:
    def submission(**fields: object) -> msgspec.Raw:
        told = {"submission_id": "s", "requested_at": "2026-01-05T12:00:00Z", "customer_status": "unreviewed"}
        return msgspec.Raw(msgspec.json.encode(told | fields))

    told = [
        read_submission(submission(**fields), 0.0)
        for fields in (
            {},
            {"status": None, "customer_status": "reviewed"},
            {"status": "pending"},
            {"status": "pending", "outcome_disposition": "SPAM"},
            {"customer_status": None},
        )
    ]
    assert [one.state for one in told] == [
        *("||unreviewed", "||reviewed", "pending||unreviewed", "pending|SPAM|unreviewed", "||")
    ]
    assert {one.thing for one in told} == {Thing("Submission", sample.NOON.timestamp(), "s")}


def test_each_change_of_an_entry_is_as_old_as_itself() -> None:
    def entry(**fields: str) -> msgspec.Raw:
        return msgspec.Raw(
            msgspec.json.encode({"id": "e", "pattern": "p", "created_at": "2020-01-05T12:00:00Z"} | fields)
        )

    made, changed, old_name = (
        read_list_entry("AllowPolicy", entry(**fields), 0.0)
        for fields in (
            {},
            {"modified_at": "2026-01-05T12:00:00Z"},
            {"last_modified": "2026-01-05T12:00:00Z"},
        )
    )
    assert changed.thing == old_name.thing == Thing("AllowPolicy", sample.NOON.timestamp(), "e")
    assert made.thing.time < changed.thing.time
    assert (changed.state, changed.verdict) == ("2026-01-05T12:00:00.000000Z", "")
    for nothing in (b'{"id":"e"}', b'{"created_at":"2020-01-05T12:00:00Z"}', bytes(entry(pattern=""))):
        with pytest.raises(ValueError, match="the entry has no"):
            read_list_entry("AllowPolicy", msgspec.Raw(nothing), 0.0)


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z"])
def test_a_time_that_makes_no_sense_is_none(at: str) -> None:
    def record(**fields: object) -> msgspec.Raw:
        return msgspec.Raw(msgspec.json.encode(fields))

    for read, given in (
        (read_message, record(id=f"p-{at[:-1]}-12345678", scanned_at=at, is_quarantined=False)),
        (read_report, record(id=7, created_at=at, updated_at=at)),
        (read_submission, record(submission_id="s", requested_at=at)),
        (partial(read_list_entry, "AllowPolicy"), record(id="e", created_at=at)),
    ):
        with pytest.raises(ValueError, match="no time"):
            read(given, 0.0)
    sane = record(id=f"p-{at[:-1]}-12345678", scanned_at="2026-01-05T12:00:00Z", is_quarantined=False)
    assert read_message(sane, 0.0).thing.time == sample.NOON.timestamp()


MAIL = msgspec.json.encode(sample.message(subject="SS", sender="a@b.example", to=("TT",), from_name="NN"))


@pytest.mark.parametrize(
    ("good", "bad", "is_told"),
    [
        (b"SS", b"other", True),
        (b"a@b.example", b"x@b.example", True),
        (b"TT", b"other", True),
        (b"NN", b"other", False),  # the mail may still be the same
        (b"SS", b"SS", False),
    ],
)
def test_two_mails_with_one_id_on_a_page_are_told(good: bytes, bad: bytes, is_told: bool) -> None:  # noqa: FBT001
    page = (msgspec.Raw(MAIL), msgspec.Raw(MAIL.replace(good, bad)))
    fetched = read_records(page, None, 1.0, read_message)
    assert [one.id for one in fetched.broken] == [sample.message().id] * is_told
    assert fetched.readings[-1].raw == bytes(page[1])
