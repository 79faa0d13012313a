"""What all tests have in common."""

import gc
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from random import Random

import pytest
from coverage import Coverage
from hypothesis import settings

pytest_plugins = ("tests.matrix",)

gc.set_threshold(20_000)  # by the plain 700 a third of the time of collecting tests goes into looking for garbage

settings.register_profile("patient", deadline=None)  # no test asserts a time
settings.load_profile("patient")

STARTS = {"subprocess.Popen", "os.posix_spawn", "os.fork", "os.forkpty", "socket.bind"}
"""What Python reports before a process or a server is started."""
COVERS = ("api/", "cli/", "daemon/", "mime/test_process.py", "rulehost/", "test_testing.py", "test_web.py")
COVERING = tuple(f"tests/{name}" for name in COVERS)
"""The slow tests that cover what the fast ones do not. The others would take twice as long if they were measured."""
MEASURES = "COVERAGE_PROCESS_CONFIG"
"""By this variable coverage asks each process that a test starts to be measured too."""
fast: list[str] = []
"""The fast test that runs now, if one does."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Choose the slow tests that are measured, and mix them all where several processes share them.

    Neighbours are alike: mixed, those that wait for a clock or a process run beside those that compute.
    """
    slow = [item for item in items if item.get_closest_marker("slow")]
    for item in slow:
        if not item.nodeid.startswith(COVERING):
            item.add_marker("unmeasured")
    if hasattr(config, "workerinput"):
        quick = [item for item in items if not item.get_closest_marker("slow")]
        items[:] = [*quick, *Random(0).sample(slow, len(slow))]


def pytest_collection_finish() -> None:
    """Spare the collector of garbage what lives as long as the run: all that was imported, and the tests themselves."""
    gc.freeze()


WHOLLY_SLOW = re.compile(r"^pytestmark = .*\bslow\b", re.MULTILINE)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Collect no file of which no test is wanted: every process of a run collects them all."""
    wanted = config.option.markexpr
    if collection_path.suffix != ".py" or wanted not in {"slow", "not slow"}:
        return None
    text = collection_path.read_text()
    unwanted = "slow" not in text if wanted == "slow" else WHOLLY_SLOW.search(text)
    return True if unwanted else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Remember a fast test while it runs; measure nothing of a test that is not measured."""
    fast[:] = [] if item.get_closest_marker("slow") else [item.nodeid]
    try:
        with unmeasured() if item.get_closest_marker("unmeasured") else nullcontext():
            return (yield)
    finally:
        fast.clear()


@contextmanager
def unmeasured() -> Iterator[None]:
    """Pause coverage, here and in processes that are started.

    The mark of pytest-cov does not: where tests are shared, each process has two measurements, and one would go on.
    """
    asked, paused = os.environ.pop(MEASURES, None), list[Coverage]()
    while one := Coverage.current():
        one.stop()
        paused.append(one)
    try:
        yield
    finally:
        for one in reversed(paused):
            one.start()
        if asked:
            os.environ[MEASURES] = asked


def refuse(event: str, _: object) -> None:
    """Fail a fast test that starts something: half of the time of all tests went there once."""
    if fast and event in STARTS:
        raise RuntimeError(f"{fast[0]} is not marked slow, and {event} starts a process or a server")


sys.addaudithook(refuse)
