"""How long an answer asks to wait: in seconds, or until a time."""

from email.utils import formatdate

from hypothesis import given
from hypothesis import strategies as st

from tests.cells import each
from worker.api.retry_after import LONGEST_RETRY_AFTER, read_retry_after

NOW = 1_790_000_000
TIMES = st.integers(0, 4_000_000_000)
DATES = st.text(alphabet="0123456789 :,+-GMTonSepTue", max_size=40)


def bound(seconds: float) -> float:
    return min(max(0.0, seconds), LONGEST_RETRY_AFTER)


@given(st.integers(0, 10**40))
def test_seconds_are_believed_up_to_a_quarter_of_an_hour(seconds: int) -> None:
    assert read_retry_after({"retry-after": f" {seconds} "}, NOW) == bound(seconds)


@given(st.integers(-9000, 9000), TIMES)
def test_a_time_counts_from_the_date_of_the_answer(ahead: int, answered: int) -> None:
    headers = {"retry-after": formatdate(answered + ahead, usegmt=True), "date": formatdate(answered, usegmt=True)}
    assert read_retry_after(headers, NOW) == bound(ahead)


@each("date", [{}, {"date": ""}, {"date": "yesterday"}])
@each("ahead", [-60, 0, 60, 10**6])
def test_without_a_date_a_time_counts_from_the_clock(date: dict[str, str], ahead: int) -> None:
    assert read_retry_after(date | {"retry-after": formatdate(NOW + ahead, usegmt=True)}, NOW) == bound(ahead)


@each("text", ["", "soon", "-5", "1e9", "inf", "nan", "٣", "0x10", "Mon, 99 Sep 2026 14:13:20 GMT"])
def test_what_names_no_time_is_none(text: str) -> None:
    assert read_retry_after({"retry-after": text}, NOW) is None


@given(st.text() | DATES, st.text() | DATES)
def test_whatever_the_headers_are_the_wait_is_bounded(text: str, date: str) -> None:
    after = read_retry_after({"retry-after": text, "date": date}, NOW)
    assert after is None or 0 <= after <= LONGEST_RETRY_AFTER
