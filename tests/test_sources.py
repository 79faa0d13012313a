"""Each record of a page is read on its own."""

import time
from collections.abc import Iterator

import msgspec
import pytest

from worker import sample
from worker.sources import fetched, message_reading, report_reading, scan_time
from worker.store.values import Thing

ID = "4Njp3P0STMz2c02Q-2026-01-05T12:00:00-12345678"


def record(**fields: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode({"id": ID, "final_disposition": "SPAM", **fields}))


def test_a_message_is_known_by_the_time_inside_its_id() -> None:
    reading = message_reading(record(), 5.0)
    assert reading.thing == Thing("Message", sample.NOON.timestamp(), ID)
    assert reading.state == "SPAM|delivered"


def test_delivery_and_operations_are_no_part_of_a_sight() -> None:
    moved = record(delivery_status=["moved"], post_delivery_operations=["MOVE"])
    assert message_reading(moved, 5.0).state == message_reading(record(), 5.0).state


def test_a_look_keeps_when_its_read_began() -> None:
    look = message_reading(record(is_quarantined=True, post_delivery_operations=["MOVE"]), 5.0).look
    assert look is not None
    assert (look.at, look.quarantined, look.operations) == (5.0, True, ("MOVE",))


def test_null_reads_as_clean_and_delivered() -> None:
    nothing = record(final_disposition=None, is_quarantined=None, post_delivery_operations=None)
    assert message_reading(nothing, 5.0).state == "NONE|delivered"


def test_an_updated_report_is_a_new_state_of_the_same_thing() -> None:
    def report(updated: str) -> msgspec.Raw:
        return msgspec.Raw(msgspec.json.encode({"id": 7, "created_at": "2026-01-05T12:00:00Z", "updated_at": updated}))

    one, other = (report_reading(report(at), 0.0) for at in ("2026-01-05T12:00:00Z", "2026-01-05T13:00:00Z"))
    assert one.thing == other.thing
    assert one.state != other.state


def test_an_id_without_a_time_falls_back_to_the_scan_time() -> None:
    assert scan_time("odd", sample.NOON) == sample.NOON.timestamp()
    with pytest.raises(ValueError, match="carries no time"):
        scan_time("odd")


def test_a_broken_record_costs_only_itself() -> None:
    records = (record(), msgspec.Raw(b'{"id": 5}'), msgspec.Raw(b'{"id": "no time"}'), record(final_disposition="NEW"))
    page = fetched(records, None, 1.0, message_reading)
    assert [reading.state for reading in page.readings] == ["SPAM|delivered", "NEW|delivered"]
    assert [broken.why[:20] for broken in page.broken] == [
        "Expected `str`, got ",
        "the id 'no time' car",
        "unknown final_dispos",
    ]


@pytest.fixture
def _far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "EST5")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_far_from_utc")
def test_a_time_that_names_no_zone_is_utc() -> None:
    assert scan_time("odd", sample.NOON.replace(tzinfo=None)) == sample.NOON.timestamp()
    named, bare = (
        report_reading(msgspec.Raw(msgspec.json.encode({"id": 7, "created_at": at})), 0.0)
        for at in ("2026-01-05T12:00:00Z", "2026-01-05T12:00:00")
    )
    assert (bare.thing, bare.state) == (named.thing, named.state)
