"""Matrices: a tenth of the cells is tried as a rule, the rest on demand, and what failed once always."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import matrix

pytest_plugins = ("pytester",)

TWENTY = """
import pytest

@pytest.mark.matrix("twenty")
@pytest.mark.parametrize("cell", range(20))
def test_of_twenty(cell):
    assert cell != 7

def test_of_no_matrix():
    pass
"""
SEVEN = "test_cells.py::test_of_twenty[7]"


@pytest.fixture(autouse=True)
def cells(pytester: pytest.Pytester) -> None:
    """Give a matrix of twenty cells, of which the seventh fails, and a test beside it."""
    pytester.makepyfile(test_cells=TWENTY)
    pytester.makeini("[pytest]\nmarkers = matrix(name): cells\nasyncio_default_fixture_loop_scope = function")


def run(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess("-p", "tests.matrix", *options)


@pytest.mark.slow
def test_all_cells_are_tried_by_itself_and_counted(pytester: pytest.Pytester) -> None:
    told = run(pytester)
    told.assert_outcomes(passed=20, failed=1)
    told.stdout.re_match_lines([r"matrix +passed +failed", r"twenty +19 +1", "mend these.*", "test_cells.*7]"])


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["1", "2"])
def test_a_tenth_is_chosen_by_the_seed_and_the_seed_is_told(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, seed: str
) -> None:
    monkeypatch.setenv(matrix.SEED, seed)
    told, again = (run(pytester, "--tenth", "-v") for _ in range(2))
    tried = [line.split()[0] for line in told.outlines if "%]" in line]
    assert tried == [line.split()[0] for line in again.outlines if "%]" in line]
    assert (len(tried), tried[-1]) == (3, "test_cells.py::test_of_no_matrix")
    assert f"a tenth of the cells, chosen by MATRIX_SEED={seed}" in told.outlines


def test_a_cell_that_failed_once_is_always_tried(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(matrix, "FAILED", tmp_path / "matrix_failed.txt")
    matrix.FAILED.write_text(f"# what failed\n{SEVEN}  # seven\n")
    monkeypatch.setenv(matrix.SEED, "1")
    run(pytester, "--tenth").assert_outcomes(passed=3, failed=1, deselected=17)


@pytest.mark.slow
def test_one_matrix_is_tried_alone(pytester: pytest.Pytester) -> None:
    run(pytester, "--only", "twenty").assert_outcomes(passed=19, failed=1, deselected=1)
    told = run(pytester, "--only", "twelve")
    assert (told.ret, told.errlines) == (4, ["ERROR: there is no matrix 'twelve'; there are twenty", ""])


def test_seeds_choose_every_cell_sooner_or_later() -> None:
    cells = [f"test[{number}]" for number in range(25)]
    chosen = [matrix.tenth(cells, str(seed)) for seed in range(100)]
    assert {len(one) for one in chosen} == {3}
    assert set().union(*chosen) == set(cells)


@pytest.mark.slow
def test_each_cell_that_failed_once_still_exists() -> None:
    cells = matrix.once_failed(matrix.FAILED.read_text()) or {__file__}
    words = [sys.executable, "-m", "pytest", "--collect-only", "-q", *cells]
    told = subprocess.run(words, cwd=Path(__file__).parents[1], check=False)  # noqa: S603 (ours)
    assert told.returncode == 0
