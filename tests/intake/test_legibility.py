"""Legibility: when what a source brings cannot be read any more, and when that is over."""

from tests.cells import each
from tests.support import TestClock
from worker.intake.legibility import Legibility
from worker.ledger.values import Broken


def broken(*numbers: int) -> list[Broken]:
    return [Broken(b"%d" % number, "its subject cannot be read") for number in numbers]


@each(
    ("sound", "lost", "trailing", "told"),
    [
        (1000, 1, 0, False),  # one in a thousand
        (1000, 9, 0, False),
        (1000, 10, 0, False),  # ten, but not more than one in a hundred
        (100, 10, 0, True),
        (0, 10, 10, True),
        (0, 2, 2, False),
        (0, 3, 3, True),  # the last three in a row
        (1000, 3, 3, True),
        (1000, 3, 0, False),
    ],
)
def test_many_or_the_last_three_are_too_much(sound: int, lost: int, trailing: int, told: bool) -> None:  # noqa: FBT001
    source = Legibility(TestClock(), "messages")
    source.note(sound, broken(*range(lost)), trailing)
    assert bool(source.explain()) == told


def test_a_record_counts_once_however_often_it_is_read() -> None:
    source = Legibility(TestClock(), "messages")
    for _ in range(50):
        source.note(0, broken(1, 2), 2)
    assert (source.explain(), source.unreadable) == ("", 2)


def test_single_records_page_by_page_add_up_to_three_in_a_row_until_one_is_sound() -> None:
    source = Legibility(TestClock(), "messages")
    for number in range(3):
        source.note(0, broken(number), 1)
    assert source.explain() == "3 of 3 records of the last hour could not be read, the last: its subject cannot be read"
    source.note(1, [], 0)
    assert source.explain() == ""


def test_an_unknown_verdict_is_told_as_what_it_is() -> None:
    source = Legibility(TestClock(), "messages")
    unknown = [Broken(b"v%d" % number, "unknown final_disposition 'GRAYMAIL'", judged=True) for number in range(9)]
    source.note(50, unknown, 3)
    tells = "9 of 59 records of the last hour have a verdict that this version does not know, the last: unknown final_"
    assert (source.explain().startswith(tells), "could not be read" in source.explain()) == (True, False)
    source.note(0, broken(1), 1)
    assert source.explain().startswith("1 of 60 records of the last hour could not be read, the last: its subject")
    assert " and 9 of 60 records of the last hour have a verdict that" in source.explain()


def test_after_an_hour_it_is_over() -> None:
    clock = TestClock()
    source = Legibility(clock, "messages")
    source.note(0, broken(*range(20)), 20)
    clock.advance(3601)
    assert (source.explain(), source.unreadable) == ("", 0)


def test_equal_records_of_one_page_are_as_many_as_they_are_and_no_more_when_it_is_read_again() -> None:
    source = Legibility(TestClock(), "messages")
    for times in (4, 20, 20, 3):
        source.note(100, broken(*[7] * times), 0)
    assert source.unreadable == 20
    assert source.explain().startswith("20 of 420 records of the last hour could not be read")
    source.forgive(broken(7)[0].digest("messages"))
    assert (source.explain(), source.unreadable) == ("", 0)
