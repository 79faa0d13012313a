"""Matrices: tests of many cells, of which a usual run tries a tenth, and ``make matrix`` tries all.

A test that is marked ``matrix("name")`` has a cell for each of its parameters. With ``--tenth`` a seed chooses the
cells; the seed is printed, and ``MATRIX_SEED`` repeats the choice. A cell that ever failed is written into
matrix_failed.txt, and tried in every run from then on.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from random import Random, SystemRandom

import pytest

SEED = "MATRIX_SEED"
FAILED = Path(__file__).with_name("matrix_failed.txt")
Outcomes = dict[str, dict[str, set[str]]]
"""The cells that passed and those that failed, by matrix."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the two options."""
    group = parser.getgroup("matrix", "tests of many cells")
    group.addoption("--tenth", action="store_true", help=f"try a tenth of each matrix; {SEED} chooses which")
    group.addoption("--only", metavar="NAME", help="try the matrix of this name, and no other test")


def pytest_configure() -> None:
    """Draw a seed, unless one is given; the processes of xdist inherit it, and so choose the same cells."""
    os.environ.setdefault(SEED, str(SystemRandom().randrange(10**6)))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the cells that are to be tried; what is no cell is not touched, unless one matrix alone is asked for."""
    cells = cells_of(items)
    leave: set[pytest.Item] = set()
    if only := config.getoption("--only"):
        if only not in cells:
            raise pytest.UsageError(f"there is no matrix {only!r}; there are {', '.join(sorted(cells)) or 'none'}")
        leave |= {item for item in items if item not in cells[only].values()}
    if config.getoption("--tenth"):
        failed = once_failed(FAILED.read_text(encoding="utf-8"))
        for matrix in cells.values():
            tried = tenth(matrix, os.environ[SEED]) | failed
            leave |= {item for ident, item in matrix.items() if ident not in tried}
    config.hook.pytest_deselected(items=[item for item in items if item in leave])
    items[:] = [item for item in items if item not in leave]


def cells_of(items: Iterable[pytest.Item]) -> dict[str, dict[str, pytest.Item]]:
    """Return the cells by matrix and id; each takes the name of its matrix into its reports."""
    cells: dict[str, dict[str, pytest.Item]] = defaultdict(dict)
    for item in items:
        if mark := item.get_closest_marker("matrix"):
            cells[mark.args[0]][item.nodeid] = item
            item.user_properties.append(("matrix", mark.args[0]))
    return cells


def once_failed(text: str) -> set[str]:
    """Read the ids of cells that failed once: one a line, after two spaces and ``#`` what was wrong."""
    return {line.partition("  #")[0].strip() for line in text.splitlines() if line and not line.startswith("#")}


def tenth(cells: Iterable[str], seed: str) -> set[str]:
    """Choose a tenth of some cells, and at least one."""
    ordered = sorted(cells)
    return set(Random(seed).sample(ordered, -(-len(ordered) // 10)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print how many cells of each matrix passed and failed, and how to try the same again."""
    outcomes = outcomes_of(terminalreporter.stats)
    if not outcomes:
        return
    terminalreporter.section("matrices")
    if config.getoption("--tenth"):
        terminalreporter.line(f"a tenth of the cells, chosen by {SEED}={os.environ[SEED]}")
    for line in table(outcomes):
        terminalreporter.line(line)


def outcomes_of(stats: Mapping[str, Sequence[object]]) -> Outcomes:
    """Sort the cells by what came of them; a cell whose fixture broke has failed."""
    outcomes: Outcomes = defaultdict(lambda: {"passed": set(), "failed": set()})
    for category, outcome in (("passed", "passed"), ("failed", "failed"), ("error", "failed")):
        for report in stats.get(category, ()):
            if isinstance(report, pytest.TestReport) and (name := dict(report.user_properties).get("matrix")):
                outcomes[str(name)][outcome].add(report.nodeid)
    return outcomes


def table(outcomes: Outcomes) -> list[str]:
    """Write a line for each matrix, and the ids of the cells that failed as the file of them takes them."""
    lines = [f"{'matrix':30}  passed  failed"]
    for name, cells in sorted(outcomes.items()):
        passed, failed = len(cells["passed"] - cells["failed"]), len(cells["failed"])
        lines.append(f"{name:30}  {passed:6}  {failed:6}")
    failed_ids = sorted(ident for cells in outcomes.values() for ident in cells["failed"])
    return [*lines, *([f"mend these, and write them into {FAILED.name}:"] if failed_ids else []), *failed_ids]
