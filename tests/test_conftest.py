"""What all tests have in common, tried on this one: it is fast, and so may start nothing."""

import os
import subprocess
import sys
from socket import socket

import pytest
from coverage import Coverage


def test_a_fast_test_starts_no_process() -> None:
    with pytest.raises(RuntimeError, match=r"test_conftest\.py::.* is not marked slow"):
        subprocess.run([sys.executable, "-c", ""], check=True)


def test_a_fast_test_starts_no_server() -> None:
    with socket() as server, pytest.raises(RuntimeError, match=r"is not marked slow, and socket\.bind starts"):
        server.bind(("127.0.0.1", 0))


@pytest.mark.slow
def test_a_slow_test_may() -> None:
    subprocess.run([sys.executable, "-c", ""], check=True)


@pytest.mark.unmeasured
def test_what_is_marked_is_not_measured_in_any_process() -> None:
    assert (Coverage.current(), "COVERAGE_PROCESS_CONFIG" in os.environ) == (None, False)
