"""What tests of the daemon are given."""

from pathlib import Path

import pytest

from tests.daemon.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Give a bench."""
    return Bench(tmp_path)
