"""One rule process, as the daemon sees it: start it, ask it, watch it, end it."""

import asyncio
import os
import re
import signal
import socket
import subprocess
from collections.abc import Collection, Sequence
from contextlib import suppress
from math import inf
from mmap import mmap
from pathlib import Path
from typing import NamedTuple, Self

from worker.rulehost.evaluation import NOBODY
from worker.rulehost.protocol import (
    ANSWER_LIMIT,
    HEAD,
    LAST_WORDS_LIMIT,
    MEMORY,
    MORE,
    NOTE,
    OUT_OF_MEMORY,
    pack_frame,
)
from worker.walls import WALLS, Wall
from worker.walls.isolation import start_isolated

LAST_WORDS = 0.5
"""Seconds that a child has to write its traceback before it is killed, and to end once it has closed its socket."""
LOOK_AGAIN = 0.01
"""Seconds until the daemon looks again whether a child has ended."""
BOOT = (
    "import sys; sys.path[:0] = sys.argv[5:]; from worker.rulehost.child import main; "
    "main(*map(int, sys.argv[1:4]), sys.argv[4])"
)
PACKAGES = ("worker", "msgspec")
"""What the process imports."""
TRACE_LINE = re.compile(r'  File "(.+)", line (\d{1,7}) in ')


class Patience(NamedTuple):
    """Seconds that one call may last, and seconds until all of an answer must be there."""

    call: float
    total: float


class Stopped(Exception):
    """A child has ended: why, on which event, in which rule (NOBODY: in none), and its stack, innermost line first."""

    def __init__(self, why: str, event: int, rule: int, lines: Sequence[tuple[str, int]]) -> None:
        super().__init__(why)
        self.why, self.event, self.rule, self.lines = why, event, rule, lines

    def locate(self, folder: str) -> tuple[str, int] | None:
        """Return the innermost line in this folder."""
        return next((one for one in self.lines if one[0].rpartition("/")[0] == folder), None)


class Child:
    """One child process, from its start to its end."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        notes: mmap,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self.pid = process.pid
        self._process, self._notes = process, notes
        self._reader, self._writer = streams
        self._too_long = 0.0

    @classmethod
    async def start(cls, python: str, walls: Collection[Wall] = WALLS) -> Self:
        """Start a child with an empty environment, its socket and the shared memory, and nothing else.

        It puts up the walls, and its first frame says which of them stand.
        """
        # In a thread, because on a busy machine it takes long. It is one of the pool, which lasts: a child dies with
        # the thread that has started it.
        starting = asyncio.ensure_future(asyncio.to_thread(_start, python, walls))
        try:
            process, notes, link = await asyncio.shield(starting)
        except asyncio.CancelledError:
            process, notes, link = await starting
            await cls(process, notes, await asyncio.open_unix_connection(sock=link)).end()
            raise
        return cls(process, notes, await asyncio.open_unix_connection(sock=link))

    async def ask(self, frame: object, patience: Patience, frames: int = 1) -> list[bytes]:
        """Send a frame and return the answer, in so many frames at most.

        Raises Stopped when the child died, wrote what is no answer, or took too long.
        """
        NOTE.pack_into(self._notes, 0, 0, 0, NOBODY)
        self._writer.write(pack_frame(frame))
        return await self.hear(patience, frames)

    async def hear(self, patience: Patience, frames: int = 1) -> list[bytes]:
        """Return an answer, in so many frames at most; raise Stopped."""
        answer = asyncio.ensure_future(self._read_answer(frames))
        try:
            await self._watch(answer, patience)
            return await answer
        except (EOFError, OSError) as end:
            raise await self._explain_stop(end) from end
        finally:
            answer.cancel()

    def blame(self, why: str) -> Stopped:
        """Return that the child is to be stopped, because of the rule that its note names."""
        return Stopped(why, *self._read_note()[1:], ())

    async def _read_answer(self, most: int) -> list[bytes]:
        """Read the frames of one answer; raise EOFError with what else the child wrote, such as a traceback."""
        frames: list[bytes] = []
        while True:
            head = await self._reader.readexactly(HEAD.size)
            size: int = HEAD.unpack(head)[0]
            if size & ~MORE > ANSWER_LIMIT or len(frames) == most:
                raise asyncio.IncompleteReadError(head + await self._read_last_words(), None)
            frames.append(await self._reader.readexactly(size & ~MORE))
            if not size & MORE:
                return frames

    async def _read_last_words(self) -> bytes:
        """Read what the child writes until it ends, as far as anybody wants to know it."""
        words = b""
        while len(words) < LAST_WORDS_LIMIT and (more := await self._reader.read(LAST_WORDS_LIMIT - len(words))):
            words += more
        return words

    async def _watch(self, answer: asyncio.Future[list[bytes]], patience: Patience) -> None:
        """Wait for the answer, and kill the child when its note has not changed for long, or when the time is up.

        A child that used no CPU meanwhile has ten times as long, because the machine itself may be stalled.
        """
        clock, deadline = asyncio.get_running_loop().time, patience.call
        begun = clock()
        calls, since, spent = 0, begun, self._read_cpu()
        while not (await asyncio.wait({answer}, timeout=deadline / 5))[0]:
            now, seen = clock(), self._read_note()[0]
            if now - begun >= patience.total:
                return await self._stop(answer, patience.total)
            if seen != calls:
                calls, since, spent = seen, now, self._read_cpu()
            elif now - since >= 10 * deadline or (now - since >= deadline and self._read_cpu() - spent >= deadline / 2):
                return await self._stop(answer, deadline)
        return None

    async def _stop(self, answer: asyncio.Future[list[bytes]], seconds: float) -> None:
        """Let the child write where it is, and kill it."""
        self._too_long = seconds
        os.kill(self.pid, signal.SIGUSR1)
        await asyncio.wait({answer}, timeout=LAST_WORDS)
        self._kill()
        await asyncio.wait({answer}, timeout=LAST_WORDS)
        self._writer.transport.abort()  # somebody else may still have the other end

    async def _explain_stop(self, end: Exception) -> Stopped:
        """Wait for the child's end and describe it, with the rule that was running."""
        # A child that lost its socket may still be running a rule, so the note is read once the process has ended.
        await self._wait_for_end(LAST_WORDS)
        code = await self._reap()
        words = end.partial.decode(errors="replace") if isinstance(end, asyncio.IncompleteReadError) else ""
        lines = [(file, int(line)) for file, line in TRACE_LINE.findall(words)]
        return Stopped(self._describe_end(code), *self._read_note()[1:], lines)

    async def _wait_for_end(self, seconds: float = inf) -> None:
        """Wait until the child has ended, or for so long, and leave its exit status where it is."""
        clock = asyncio.get_running_loop().time
        until = clock() + seconds
        while clock() < until and not self._has_ended():  # noqa: ASYNC110 (no event tells of it)
            await asyncio.sleep(LOOK_AGAIN)

    async def _reap(self) -> int:
        """Kill the child and return its exit status, once it has ended: one with much memory does not at once."""
        self._kill()
        await self._wait_for_end()
        return self._process.wait()

    def _has_ended(self) -> bool:
        """Tell whether the child has ended, and leave its number taken."""
        if self._process.returncode is not None:
            return True
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _kill(self) -> None:
        """Kill the child and what it started in its group, while its number cannot be another's."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def _describe_end(self, code: int) -> str:
        """Describe how the child ended."""
        if self._too_long:
            return f"it did not end within {self._too_long:g} s"
        if code == OUT_OF_MEMORY:
            return f"it needed more than {MEMORY >> 20} MB of memory"
        return f"it ended its process ({_name_signal(-code) if code < 0 else f'exit status {code}'})"

    def _read_note(self) -> tuple[int, int, int]:
        """Read the note: calls so far, event, rule."""
        calls, event, rule = NOTE.unpack_from(self._notes)
        return calls, event, rule

    def _read_cpu(self) -> float:
        """Return the seconds of CPU time that the child has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_bytes().rpartition(b")")[2].split()  # its name may be any bytes
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def end(self) -> None:
        """Kill the child and free its socket and memory."""
        self._writer.transport.abort()
        try:
            await self._reap()
        finally:
            self._notes.close()


def _start(python: str, walls: Collection[Wall]) -> "tuple[subprocess.Popen[bytes], mmap, socket.socket]":
    """Start a process; return it with its note and our end of its socket. Blocks."""
    ours, theirs = socket.socketpair()
    shared = os.memfd_create("notes")
    os.truncate(shared, NOTE.size)
    with theirs, os.fdopen(shared, "rb+"):
        try:
            link = theirs.fileno()
            arguments = (link, shared, os.getpid(), ",".join(walls))
            process = start_isolated(python, BOOT, arguments, PACKAGES, (link, shared))
        except OSError:
            ours.close()
            raise
        return process, mmap(shared, NOTE.size), ours


def _name_signal(number: int) -> str:
    """Return the name of a signal; those between the first and the last real-time signal have none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
