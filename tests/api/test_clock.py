"""The API's time, from whole seconds and slow answers."""

import asyncio
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cells import each
from worker.api import ApiClock
from worker.api.clock import format_time

EPOCH, DAY = 1_790_000_000.0, 86400.0


class Hands:
    """A monotonic and a wall clock that tests set."""

    def __init__(self, wall: float = EPOCH) -> None:
        self.time, self.wall = 50.0, wall

    def let_pass(self, seconds: float) -> None:
        """Let time pass on both."""
        self.time += seconds
        self.wall += seconds

    def answer(self, clock: ApiClock, wrong: float = 0.0) -> None:
        """Let the API answer at once, with a Date that is wrong by so many seconds."""
        stamp = EPOCH + (self.time - 50) + wrong
        clock.sync(formatdate(stamp, usegmt=True), sent=self.time, received=self.time)

    def clock(self) -> ApiClock:
        """Make a clock on them."""
        return ApiClock(monotonic=lambda: self.time, wall=lambda: self.wall, sleep=asyncio.sleep)


def test_until_the_first_answer_it_is_the_wall_clock_whose_jumps_do_not_count() -> None:
    hands = Hands()
    clock = hands.clock()
    hands.wall += 3600
    hands.time += 2
    assert clock.now() == EPOCH + 2


@pytest.mark.parametrize("wrong", [3600.0, -3600.0])
def test_a_wall_clock_that_is_wrong_is_not_believed_once_two_answers_half_a_minute_apart_say_so(wrong: float) -> None:
    hands = Hands(wall=EPOCH + wrong)
    clock = hands.clock()
    hands.answer(clock)
    assert (clock.now(), clock.is_known) == (EPOCH, False)
    hands.let_pass(30)
    hands.answer(clock)
    assert (clock.now(), clock.is_known, clock.off) == (EPOCH + 30, True, wrong)
    assert clock.past() == EPOCH + 30 + min(0.0, wrong)


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Sep 2026 14:13:20 GMT"])
def test_a_date_that_is_none_changes_nothing(date: str) -> None:
    clock = Hands().clock()
    clock.sync(date, sent=49.0, received=50.0)
    assert clock.now() == EPOCH


def test_a_date_without_a_zone_is_utc() -> None:
    clock = Hands(wall=0).clock()
    clock.sync("Mon, 21 Sep 2026 14:13:20 -0000", sent=49.0, received=50.0)
    assert clock.now() == EPOCH


@pytest.mark.slow
@given(
    st.floats(0, 0.99),
    st.lists(st.tuples(st.floats(0.01, 40), st.floats(0.001, 20), st.floats(0, 1)), min_size=1, max_size=30),
)
def test_it_stays_within_a_second_of_the_truth_and_hardly_ever_steps_back(
    part: float, answers: list[tuple[float, float, float]]
) -> None:
    hands, fastest, last = Hands(wall=0), float("inf"), 0.0
    clock = hands.clock()
    for pause, length, at in answers:
        sent = hands.time + pause
        hands.time = sent + length
        stamped = EPOCH + part + sent - 50 + length * at
        fastest = min(fastest, length)
        clock.sync(formatdate(int(stamped), usegmt=True), sent=sent, received=hands.time)
        truth = EPOCH + part + hands.time - 50
        assert abs(clock.now() - truth) <= 1.001 + fastest
        assert clock.now() >= last
        last = clock.now()


def test_it_moves_no_further_than_an_answer_proves() -> None:
    hands = Hands(wall=EPOCH + 0.75)
    clock = hands.clock()
    clock.sync(formatdate(EPOCH, usegmt=True), sent=49.5, received=50.0)
    assert clock.now() == EPOCH + 0.75
    hands.time = 50.75
    clock.sync(formatdate(EPOCH, usegmt=True), sent=50.5, received=50.75)
    assert clock.now() == EPOCH + 1.25


def test_a_machine_that_slept_catches_up_with_the_first_answer() -> None:
    hands = Hands()
    clock = hands.clock()
    hands.answer(clock)
    hands.wall += 7200  # the monotonic clock stands still meanwhile
    hands.answer(clock, 7200)
    assert abs(clock.now() - EPOCH - 7200) <= 1


WRONG = (600.0, -600.0, 3600.0, -3600.0, 40 * DAY, -40 * DAY, -11 * 365 * DAY)


@each("wrong", WRONG)
def test_a_date_that_is_wrong_for_twenty_seconds_moves_nothing(wrong: float) -> None:
    hands = Hands()
    clock = hands.clock()
    hands.answer(clock)
    for second in range(1, 60):
        hands.let_pass(1)
        hands.answer(clock, wrong if 10 <= second < 30 else 0.0)
        assert abs(clock.now() - EPOCH - second) <= 1
        assert abs(clock.past() - EPOCH - second) <= 1
        assert (abs(clock.doubted) > 60) == (10 <= second < 30)


@each("wrong", [wrong for wrong in WRONG if abs(wrong) > 600])
def test_a_first_date_that_is_wrong_for_twenty_seconds_is_not_believed(wrong: float) -> None:
    hands = Hands()
    clock = hands.clock()
    for second in range(60):
        hands.answer(clock, wrong if second < 20 else 0.0)
        assert clock.past() <= EPOCH + second + 1
        assert clock.is_known == (second >= 20)
        hands.let_pass(1)
    assert abs(clock.now() - EPOCH - 60) <= 1


@each("wrong", [wrong for wrong in WRONG if abs(wrong) > 600])
def test_a_first_date_before_what_has_been_read_is_never_believed_against_the_wall_clock(wrong: float) -> None:
    hands = Hands()
    clock = hands.clock()
    clock.remember(EPOCH)
    for _ in range(60):
        hands.answer(clock, wrong)
        assert abs(clock.doubted - wrong) <= 1 or clock.is_known
        hands.let_pass(1)
    assert clock.is_known == (wrong > 0)
    assert clock.latest() - EPOCH - 60 - max(wrong, 0.0) <= 1
    hands.answer(clock)
    assert clock.is_known


@each("wrong", WRONG)
def test_ten_answers_over_five_minutes_move_the_time_but_end_nothing_early(wrong: float) -> None:
    hands = Hands()
    clock = hands.clock()
    hands.answer(clock)
    for second in range(0, 301, 10):
        assert abs(clock.now() - EPOCH - second) <= 1
        hands.answer(clock, wrong)
        hands.let_pass(10)
    assert abs(clock.now() - EPOCH - 310 - wrong) <= 1
    assert clock.past() <= EPOCH + 311


@pytest.mark.parametrize("wrong", [30 * 86400, -30 * 86400, 120])
def test_one_answer_with_a_wrong_date_does_not_move_the_time(wrong: int) -> None:
    hands = Hands()
    clock = hands.clock()
    for number in range(10):
        hands.time = 60.0 + number
        stamp = EPOCH + 10 + number + (wrong if number in {3, 5, 7} else 0)
        clock.sync(formatdate(stamp, usegmt=True), sent=hands.time - 0.1, received=hands.time)
        assert abs(clock.now() - (EPOCH + 10 + number)) <= 1.1


async def test_sleeping_is_handed_in() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    await ApiClock(sleep=sleep).sleep(7)
    assert slept == [7]


def test_times_are_written_to_the_millisecond() -> None:
    assert format_time(EPOCH + 0.25) == "2026-09-21T14:13:20.250Z"
