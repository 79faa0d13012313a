"""What all tests have in common."""

import gc
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

pytest_plugins = ("tests.matrix",)

settings.register_profile("patient", deadline=None)  # no test asserts a time
settings.load_profile("patient")

GARBAGE = 20_000
"""Objects that a test makes between two collections: the plain 700 are made by a single one."""
STARTS = {"subprocess.Popen", "os.posix_spawn", "os.fork", "os.forkpty", "socket.bind"}
"""What Python reports before a process or a server is started."""
fast: list[str] = []
"""The fast test that runs now, if one does."""


def pytest_collection_finish() -> None:
    """Spare the collector of garbage what lives as long as the run: all that was imported, and the tests themselves."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Remember a fast test while it runs."""
    fast[:] = [] if item.get_closest_marker("slow") else [item.nodeid]
    try:
        return (yield)
    finally:
        fast.clear()


def refuse(event: str, _: object) -> None:
    """Fail a fast test that starts something: half of the time of all tests went there once."""
    if fast and event in STARTS:
        raise RuntimeError(f"{fast[0]} is not marked slow, and {event} starts a process or a server")


sys.addaudithook(refuse)
