"""The memory of looks: what was read lately need not be read again."""

from worker.ledger.entries import Look
from worker.observations import REMEMBERED, Looks


def test_a_look_is_given_while_it_is_young_enough() -> None:
    looks = Looks()
    looks.remember("a", Look(at=100.0))
    assert looks.recall("a", since=100.0) == Look(at=100.0)
    assert looks.recall("a", since=100.1) is None
    assert looks.recall("b", since=0.0) is None


def test_an_older_read_that_ends_later_does_not_replace_a_newer_one() -> None:
    looks = Looks()
    looks.remember("a", Look(at=100.0, operations=("MOVE",)))
    looks.remember("a", Look(at=90.0))
    assert looks.recall("a", since=0.0) == Look(at=100.0, operations=("MOVE",))


def test_memory_is_bounded_and_the_oldest_are_forgotten() -> None:
    looks = Looks()
    for number in range(REMEMBERED + 1):
        looks.remember(str(number), Look(at=1.0))
    assert looks.recall("0", since=0.0) is None
    assert looks.recall("1", since=0.0) is not None
