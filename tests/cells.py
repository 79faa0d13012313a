"""Tests of many small cells: one test tries them all, for as little as the cells themselves take.

``pytest.mark.parametrize`` makes a test of each cell. That is right for a few, and for those that need a folder or a
shell of their own. Where a cell takes less than pytest does for a test, ``each`` tries all of them in one.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from reprlib import Repr
from typing import Any

import pytest

Test = Callable[..., Any]
Cell = Mapping[str, object]
SHORT = Repr()
SHORT.maxstring = SHORT.maxother = 80


class Failures:
    """What failed of the cells of a test."""

    def __init__(self) -> None:
        self._errors: list[BaseException] = []

    @contextmanager
    def keep(self, cell: Cell) -> Iterator[None]:
        """Keep the failure of a cell, with its name, and go on."""
        try:
            yield
        except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 (raised once all cells are tried)
            error.add_note("in the cell " + ", ".join(f"{name}={SHORT.repr(value)}" for name, value in cell.items()))
            self._errors.append(error)

    def tell(self, cells: int) -> None:
        """Raise what failed: a single failure as it is, several together."""
        if self._errors[1:]:
            raise BaseExceptionGroup(f"{len(self._errors)} of {cells} cells failed", self._errors)
        for error in self._errors:
            raise error


def each(names: str | Sequence[str], values: Iterable[Any]) -> Callable[[Test], Test]:
    """Let a test try each of some values, or of some tuples when there are several names; may be stacked."""
    keys = (names,) if isinstance(names, str) else tuple(names)
    cells = [dict(zip(keys, [value] if isinstance(names, str) else value, strict=True)) for value in values]
    if not cells:
        raise ValueError(f"there is nothing to try as {', '.join(keys)}")

    def decorate(test: Test) -> Test:
        run = functools.wraps(test)(try_all(test, cells))
        parameters = inspect.signature(test).parameters.values()
        # What pytest takes for names of fixtures.
        vars(run)["__signature__"] = inspect.Signature([one for one in parameters if one.name not in keys])
        return run

    return decorate


def try_all(test: Test, cells: Sequence[Cell]) -> Test:
    """Return a function that tries the cells one after the other, and then fails if any of them did."""

    def run(**fixtures: object) -> None:
        failures = Failures()
        for cell in cells:
            with failures.keep(cell):
                test(**cell, **fixtures)
        failures.tell(len(cells))

    async def run_async(**fixtures: object) -> None:
        failures = Failures()
        for cell in cells:
            with failures.keep(cell):
                await test(**cell, **fixtures)
        failures.tell(len(cells))

    return run_async if inspect.iscoroutinefunction(test) else run
