"""Times: every form that Cloudflare's services write, as one aware moment."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cells import each
from worker.language.models import Message
from worker.language.reading import read
from worker.language.times import parse_time

TEN = datetime(2026, 11, 29, 10, 0, tzinfo=UTC)
FORMS = (
    "2026-11-29T10:00:00Z", "2026-11-29T10:00:00", "2026-11-29 10:00:00", "2026-11-29T12:00:00+02:00",
    "2026-11-29T10:00:00.000000000Z", "2026-11-29t10:00:00z", "2026-11-29T10:00Z", "20261129T100000Z",
    "2026-11-29 10:00:00 +0000 UTC", "2026-11-29 10:00:00.5 +0000 UTC m=+0.1", "2026-11-29 12:00:00 +0200 CEST",
    "Sun, 29 Nov 2026 10:00:00 GMT", "Sun, 29 Nov 2026 12:00:00 +0200", "1795946400", "1795946400.0", "1795946400000",
    1795946400, 1795946400.0, 1795946400000, 1795946400000000, 1795946400000000000,
)  # fmt: skip


@each("form", FORMS)
def test_every_form_is_the_same_moment_in_utc(form: object) -> None:
    assert abs(parse_time(form) - TEN) < timedelta(seconds=1)
    assert parse_time(form).tzinfo is UTC


NO_TIMES: tuple[object, ...] = (
    *("", "soon", "2026-13-45T10:00:00Z", True, None, [], {}, -5, 1e40, "9" * 70, float("inf")),
)


@each("form", NO_TIMES)
def test_what_is_no_time_is_refused(form: object) -> None:
    with pytest.raises((ValueError, OverflowError)):
        parse_time(form)


@given(st.text() | st.integers() | st.floats())
def test_nothing_but_a_value_error_comes_of_any_text_or_number(value: object) -> None:
    try:
        assert parse_time(value).tzinfo is UTC
    except (ValueError, OverflowError):
        return


def test_the_times_of_a_record_are_in_utc_whatever_its_zone() -> None:
    read_so = [read(Message, f'{{"id": "a", "sent_at": "{form}"}}'.encode()).sent_at for form in FORMS[:4]]
    assert read_so == [TEN] * 4
    assert {when.tzinfo for when in read_so if when} == {UTC}
