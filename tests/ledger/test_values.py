"""Values: an event's key says what it is about, whatever its id holds."""

from hypothesis import given
from hypothesis import strategies as st

from tests.cells import each
from tests.ledger.desk import reading
from worker.ledger.values import EventKey, Sight, thing_of

IDS = st.text(min_size=1)


@given(IDS, st.sampled_from(["Message", "Report", "BlockedSender"]), st.integers(min_value=1, max_value=99))
def test_a_key_is_read_as_it_was_written(id_: str, kind: str, number: int) -> None:
    key = EventKey("2026-01-05T12:00:00Z", kind, id_, number)
    assert EventKey.parse(str(key)) == key
    assert thing_of(str(key)) == key.thing


def test_the_key_of_a_sight_names_its_thing_and_its_number() -> None:
    key = EventKey.parse(Sight(reading("m1/2"), 3).key)
    assert key is not None
    assert (key.kind, key.id, key.number) == ("Message", "m1/2", 3)


@each("cause", ["", "end/01M3250V006ESFM28N9X000000", "undo", "a/b/c", "a/b/c/d"])
def test_a_cause_that_is_no_event_has_no_key(cause: str) -> None:
    assert EventKey.parse(cause) is None
