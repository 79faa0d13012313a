"""Silence: how long requests were open since the last answer."""

from tests.support import TestClock
from worker.api.silence import Silence


def test_time_counts_while_requests_are_open_and_not_between_them() -> None:
    clock = TestClock()
    silence = Silence(clock.monotonic)
    for _ in range(2):
        silence.begin()
        clock.advance(8)
        silence.end(answered=False)
        clock.advance(100)
    assert silence.seconds == 16


def test_an_answer_ends_it_also_for_what_is_still_open() -> None:
    clock = TestClock()
    silence = Silence(clock.monotonic)
    silence.begin()
    silence.begin()
    clock.advance(15)
    silence.end(answered=True)
    assert silence.seconds == 0
    clock.advance(7)
    assert silence.seconds == 7


def test_requests_side_by_side_count_once() -> None:
    clock = TestClock()
    silence = Silence(clock.monotonic)
    silence.begin()
    clock.advance(5)
    silence.begin()
    clock.advance(5)
    silence.end(answered=False)
    silence.end(answered=False)
    assert silence.seconds == 10
