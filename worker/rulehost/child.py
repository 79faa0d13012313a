"""The rule process: gives up everything but its socket, loads the rules, and judges pages of events."""

import faulthandler
import gc
import os
import resource
import signal
import time
from collections.abc import Callable, Collection, Sequence
from importlib import import_module
from io import BufferedIOBase
from mmap import mmap
from typing import TypeVar

import msgspec
from msgspec.msgpack import Decoder

import worker
from worker.rulehost.evaluation import NOBODY, LoadedRule, judge
from worker.rulehost.loader import Sources, build
from worker.rulehost.protocol import (
    HEAD,
    MEMORY,
    NOTE,
    OUT_OF_MEMORY,
    Declared,
    EventPage,
    Loaded,
    Parsed,
    Ready,
    Verdicts,
    pack_frame,
    pack_verdicts,
)
from worker.rulehost.validation import PURE_MODULES
from worker.walls import WALLS, Limits, Standing, Wall, die_with, list_libraries, seal

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


def main(link: int, notes: int, daemon: int, walls: str) -> None:
    """Run the rule process.

    ``link`` and ``notes`` are descriptors, ``daemon`` is its parent's process id, ``walls`` are names with commas.
    """
    memory = mmap(notes, NOTE.size)
    standing = confine(link, daemon, [wall for wall in WALLS if wall in walls.split(",")])
    send(link, Ready(dict(standing)))
    try:
        serve(link, memory)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)


def confine(link: int, daemon: int, walls: Collection[Wall]) -> Standing:
    """Close everything but the socket, die with the daemon, and put up walls; return which of them stand."""
    # The memory stays mapped without its descriptor; this also closes the duplicate that Python keeps of it.
    os.closerange(3, link)
    os.closerange(link + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    die_with(daemon)
    faulthandler.enable(file=link, all_threads=False)
    # chain=True calls the default handler after the traceback is written, which ends the process.
    faulthandler.register(signal.SIGUSR1, file=link, all_threads=False, chain=True)
    for name in sorted(PURE_MODULES):  # some need libraries of the system, which cannot be opened later
        import_module(name)
    # A module that is not loaded yet is opened by itself, so a few descriptors do.
    return seal(list_libraries(worker, msgspec), Limits(MEMORY, link + 16), walls)


def serve(link: int, memory: mmap) -> None:
    """Load the rules, then judge pages until the daemon closes the socket."""
    calls, stopwatch = 0, Stopwatch(time.perf_counter)

    def note(first: int, second: int = NOBODY) -> None:
        nonlocal calls
        calls += 1
        NOTE.pack_into(memory, 0, calls, first, second)
        stopwatch.begin(second)

    def tell(fingerprints: dict[str, str]) -> None:
        send(link, Parsed(fingerprints))

    def declare(file: str, rules: Sequence[LoadedRule]) -> None:
        write(link, pack_frame(Declared(file, tuple(rule.info for rule in rules)), more=True))

    with open(link, "rb", closefd=False) as asked:
        sources = receive(asked, Decoder(Sources))
        if sources is None:
            return
        bundle, problems = build(sources, note, tell, declare)
        infos, outcomes = (tuple(rule.info for rule in bundle.rules), tuple(rule.outcomes for rule in bundle.rules))
        send(link, Loaded(infos, outcomes, bundle.fingerprint, problems))
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
