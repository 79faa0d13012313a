"""One rule process, as the daemon sees it: start it, ask it, watch it, end it."""

import asyncio
import os
import re
import signal
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from mmap import mmap
from pathlib import Path
from typing import Self

import msgspec

import worker
from worker.rulehost.evaluation import NOBODY
from worker.rulehost.protocol import FRAME_LIMIT, HEAD, MEMORY, NOTE, OUT_OF_MEMORY, pack_frame

LAST_WORDS = 0.5
"""Seconds that a child has to write its traceback before it is killed."""
BOOT = "import sys; sys.path[:0] = sys.argv[4:]; from worker.rulehost.child import main; main(*map(int, sys.argv[1:4]))"
TRACE_LINE = re.compile(r'  File "(.+)", line (\d+) in ')


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
    async def start(cls, python: str) -> Self:
        """Start a child with an empty environment, its socket and the shared memory, and nothing else."""
        ours, theirs = socket.socketpair()
        shared = os.memfd_create("notes")
        os.truncate(shared, NOTE.size)
        with theirs, os.fdopen(shared, "rb+"):
            try:
                process = _spawn(python, theirs.fileno(), shared)
            except OSError:
                ours.close()
                raise
            notes = mmap(shared, NOTE.size)
        return cls(process, notes, await asyncio.open_unix_connection(sock=ours))

    async def ask(self, frame: object, deadline: float) -> bytes:
        """Send a frame and return the answer; raise Stopped when the child died or one call took too long."""
        NOTE.pack_into(self._notes, 0, 0, 0, NOBODY)
        self._writer.write(pack_frame(frame))
        answer = asyncio.ensure_future(self._answer())
        try:
            await self._watch(answer, deadline)
            return await answer
        except (EOFError, OSError) as end:
            raise self._explain_stop(end) from end
        finally:
            answer.cancel()

    async def _answer(self) -> bytes:
        """Read one frame; raise EOFError with the child's traceback, if it wrote one."""
        head = await self._reader.readexactly(HEAD.size)
        size: int = HEAD.unpack(head)[0]
        if size > FRAME_LIMIT:
            raise asyncio.IncompleteReadError(head + await self._reader.read(), None)
        return await self._reader.readexactly(size)

    async def _watch(self, answer: asyncio.Future[bytes], deadline: float) -> None:
        """Wait for the answer, and kill the child when its note has not changed for the deadline.

        A child that used no CPU meanwhile has ten times as long, because the machine itself may be stalled.
        """
        clock = asyncio.get_running_loop().time
        calls, since, spent = 0, clock(), self._read_cpu()
        while not (await asyncio.wait({answer}, timeout=deadline / 5))[0]:
            now, seen = clock(), self._read_note()[0]
            if seen != calls:
                calls, since, spent = seen, now, self._read_cpu()
            elif now - since >= 10 * deadline or (now - since >= deadline and self._read_cpu() - spent >= deadline / 2):
                self._too_long = deadline
                self._process.send_signal(signal.SIGUSR1)
                await asyncio.wait({answer}, timeout=LAST_WORDS)
                self._process.kill()
                return

    def _explain_stop(self, end: Exception) -> Stopped:
        """Wait for the child's end and describe it, with the rule that was running."""
        # A child that lost its socket may still be running a rule, so the note is read once the process has ended.
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(LAST_WORDS)
        self._process.kill()
        code = self._process.wait()
        words = end.partial.decode(errors="replace") if isinstance(end, asyncio.IncompleteReadError) else ""
        lines = [(file, int(line)) for file, line in TRACE_LINE.findall(words)]
        return Stopped(self._describe_end(code), *self._read_note()[1:], lines)

    def _describe_end(self, code: int) -> str:
        """Describe how the child ended."""
        if self._too_long:
            return f"it did not end within {self._too_long:g} s"
        if code == OUT_OF_MEMORY:
            return f"it needed more than {MEMORY >> 20} MB of memory"
        return f"it ended its process ({signal.Signals(-code).name if code < 0 else f'exit status {code}'})"

    def _read_note(self) -> tuple[int, int, int]:
        """Read the note: calls so far, event, rule."""
        calls, event, rule = NOTE.unpack_from(self._notes)
        return calls, event, rule

    def _read_cpu(self) -> float:
        """Return the seconds of CPU time that the child has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        """Kill the child and free its socket and memory."""
        self._writer.transport.abort()
        self._process.kill()
        self._process.wait()
        self._notes.close()


def _spawn(python: str, link: int, shared: int) -> subprocess.Popen[bytes]:
    """Start an isolated interpreter; its arguments say where the two packages are that it needs."""
    paths = dict.fromkeys(str(Path(module.__file__ or "").parents[1]) for module in (worker, msgspec))
    return subprocess.Popen(  # noqa: S603 (every argument is ours)
        [python, "-I", "-S", "-c", BOOT, str(link), str(shared), str(os.getpid()), *paths],
        env={},
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(link, shared),
        start_new_session=True,
    )
