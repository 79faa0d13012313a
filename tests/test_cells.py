"""One test tries many cells and loses none: tried on this one."""

import asyncio

import pytest

from tests.cells import each


def test_every_cell_is_tried_although_one_before_it_failed() -> None:
    tried: list[int] = []

    @each("number", range(5))
    def test(number: int) -> None:
        tried.append(number)
        assert number % 2 == 0

    with pytest.raises(ExceptionGroup, match="2 of 5 cells failed") as failed:
        test()
    assert tried == [0, 1, 2, 3, 4]
    notes = [note for error in failed.value.exceptions for note in error.__notes__]
    assert notes == ["in the cell number=1", "in the cell number=3"]


def test_a_single_failure_is_told_as_it_is_also_that_nothing_was_raised() -> None:
    @each(("text", "base"), [("1", 10), ("z", 10)])
    def test(text: str, base: int) -> None:
        with pytest.raises(ValueError, match="invalid"):
            int(text, base)

    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE") as failed:
        test()
    assert failed.value.__notes__ == ["in the cell text='1', base=10"]


def test_stacked_cells_are_tried_in_pairs_beside_fixtures_also_asynchronously() -> None:
    tried: list[tuple[str, int, bool]] = []

    @each("letter", "ab")
    @each("number", [1, 2])
    async def test(letter: str, number: int, *, fixture: bool) -> None:
        tried.append((letter, number, fixture))

    asyncio.run(test(fixture=True))
    assert tried == [("a", 1, True), ("a", 2, True), ("b", 1, True), ("b", 2, True)]


def test_a_test_without_cells_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="there is nothing to try as number"):
        each("number", ())
