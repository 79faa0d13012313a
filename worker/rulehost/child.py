"""The rule process: gives up everything but its socket, loads the rules, and judges pages of events."""

import ctypes
import faulthandler
import gc
import os
import resource
import signal
import time
from collections.abc import Callable
from io import BufferedIOBase
from mmap import mmap
from typing import TypeVar

from msgspec.msgpack import Decoder

from worker.rulehost.evaluation import NOBODY, judge
from worker.rulehost.loader import Sources, build
from worker.rulehost.protocol import (
    HEAD,
    MEMORY,
    NOTE,
    OUT_OF_MEMORY,
    EventPage,
    Loaded,
    Verdicts,
    pack_frame,
    pack_verdicts,
)

PR_SET_PDEATHSIG = 1

Frame = TypeVar("Frame")


class Stopwatch:
    """Times the calls of rules: each lasts until the next thing begins."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rule, self._began = NOBODY, 0.0
        self._calls: dict[int, tuple[int, float]] = {}

    def begin(self, rule: int) -> None:
        """Note that a rule is called, or that none is."""
        now = self._clock()
        if self._rule != NOBODY:
            calls, seconds = self._calls.get(self._rule, (0, 0.0))
            self._calls[self._rule] = calls + 1, seconds + now - self._began
        self._rule, self._began = rule, now

    def take(self) -> dict[int, tuple[int, float]]:
        """Return calls and seconds of each rule since the last time."""
        taken, self._calls = self._calls, {}
        return taken


def main(link: int, notes: int, daemon: int) -> None:
    """Run the rule process: ``link`` and ``notes`` are descriptors, ``daemon`` is its parent's process id."""
    memory = mmap(notes, NOTE.size)
    confine(link, daemon)
    try:
        serve(link, memory)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)


def confine(link: int, daemon: int) -> None:
    """Close everything but the socket, limit memory and files, and die with the daemon."""
    # The memory stays mapped without its descriptor; this also closes the duplicate that Python keeps of it.
    os.closerange(3, link)
    os.closerange(link + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != daemon:
        os._exit(0)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Rule files import standard modules, whose files are opened one at a time.
    resource.setrlimit(resource.RLIMIT_NOFILE, (link + 16, link + 16))
    faulthandler.enable(file=link, all_threads=False)
    # chain=True calls the default handler after the traceback is written, which ends the process.
    faulthandler.register(signal.SIGUSR1, file=link, all_threads=False, chain=True)


def serve(link: int, memory: mmap) -> None:
    """Load the rules, then judge pages until the daemon closes the socket."""
    calls, stopwatch = 0, Stopwatch(time.perf_counter)

    def note(first: int, second: int = NOBODY) -> None:
        nonlocal calls
        calls += 1
        NOTE.pack_into(memory, 0, calls, first, second)
        stopwatch.begin(second)

    with open(link, "rb", closefd=False) as asked:
        sources = receive(asked, Decoder(Sources))
        if sources is None:
            return
        bundle, problems = build(sources, note)
        send(link, Loaded(tuple(rule.info for rule in bundle.rules), bundle.fingerprint, problems))
        gc.freeze()
        pages = Decoder(EventPage)
        while page := receive(asked, pages):
            said = judge(bundle, page.events, skip=page.skip, note=note)
            write(link, pack_verdicts(Verdicts(said, stopwatch.take())))


def receive(asked: BufferedIOBase, decoder: Decoder[Frame]) -> Frame | None:
    """Read one frame; None when the daemon has closed the socket."""
    head = asked.read(HEAD.size)
    return decoder.decode(asked.read(HEAD.unpack(head)[0])) if len(head) == HEAD.size else None


def send(link: int, frame: object) -> None:
    """Write one frame."""
    write(link, pack_frame(frame))


def write(link: int, frames: bytes) -> None:
    """Write frames to their end."""
    left = memoryview(frames)
    while left:
        left = left[os.write(link, left) :]
