"""The processes that take mail apart, as the daemon sees them: it sends mail, and believes only what fits."""

import asyncio
import os
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self, cast

import msgspec
from msgspec.msgpack import Decoder, encode
from msgspec.structs import replace

from worker.errors import Temporary
from worker.mime.letter import Letter
from worker.mime.protocol import FRAME_LIMIT, HEAD, STAGES, TOKEN, WALL
from worker.walls import Standing
from worker.walls.isolation import start_isolated

AGAIN = 5.0
"""Seconds until it is tried again to start a process."""
AT_ONCE = 2
"""Mails that are taken apart at the same time."""
BOOT = "import sys; sys.path[:0] = sys.argv[3:]; from worker.mime.child import main; main(*map(int, sys.argv[1:3]))"
PACKAGES = ("worker", "msgspec", "ada_url", "linkify_it", "lxml", "publicsuffixlist", "webencodings")
"""What the processes import; the daemon only looks where they are."""
UNREAD = "the mail could not be taken apart: its process ended, as a mail can provoke"
UNLINKED = "the links of the mail were not found: its process ended, as a mail can provoke"
_STANDING, _LETTER = Decoder(dict[str, str]), Decoder(Letter)
OnStart = Callable[[Standing], None]
"""Is told which walls stand around the first mail."""


class LetterOpener:
    """Takes mail apart in processes that know nothing else, two at a time; a context manager."""

    def __init__(self, python: str = sys.executable, on_start: OnStart = lambda _: None) -> None:
        self._python, self._on_start = python, on_start
        self._places, self._starting = asyncio.Semaphore(AT_ONCE), asyncio.Lock()
        self._starter: _Starter | None = None
        self._told = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    async def open(self, mail: str, *, is_cut: bool = False) -> Letter:
        """Take a mail apart, as far as that goes within 12 s of CPU time; ``problems`` says what is missing.

        Raises Temporary when this machine starts no process now.
        """
        asked = encode((mail, is_cut))
        async with self._places:
            found = await self._exchange(asked)
            if not found.standing:  # no process was started any more, so that the mail is not to blame
                found = await self._exchange(asked)
        return found.choose()

    async def _exchange(self, asked: bytes) -> "_Exchange":
        """Give a new process its end of a socket, and the mail; what starts it is started when it is first needed."""
        found = _Exchange()
        try:
            starter = await self._begin()
            ours = starter.start()
        except OSError as problem:
            raise Temporary(f"cannot start a process that takes mail apart: {problem}", after=AGAIN) from None
        with ours as link:
            await asyncio.to_thread(found.run, link, asked)
        if not found.standing and self._starter is starter:  # another mail may have found out already
            self._end()
        if found.standing and not self._told:
            self._told = True
            self._on_start(found.standing)
        return found

    async def _begin(self) -> "_Starter":
        """Return what starts processes; that is started in a thread of the pool, because it may take long."""
        async with self._starting:
            if self._starter is None:
                self._starter = await asyncio.to_thread(_Starter, self._python)
            return self._starter

    def _end(self) -> None:
        if self._starter:
            self._starter.end()
            self._starter = None


class _Starter:
    """The process that starts one for each mail."""

    def __init__(self, python: str) -> None:
        self._link, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = start_isolated(
                    python, BOOT, (theirs.fileno(), os.getpid()), PACKAGES, (theirs.fileno(),)
                )
            except OSError:
                self._link.close()
                raise

    def start(self) -> socket.socket:
        """Start a process, and return a socket to it; one that cannot be started has closed its end."""
        ours, theirs = socket.socketpair()
        with theirs, suppress(OSError):
            socket.send_fds(self._link, [TOKEN], [theirs.fileno()])
        return ours

    def end(self) -> None:
        """End it, and with it those that it has started."""
        self._link.close()
        self._process.kill()
        self._process.wait()


class _Exchange:
    """What came of one mail: which walls stand around its process, and the mail as far as it was read."""

    def __init__(self) -> None:
        self.standing: Standing = {}
        self._letters: list[Letter] = []

    def run(self, link: socket.socket, asked: bytes) -> None:
        """Send what is asked, and hear the answer, until the process ends or its time is over."""
        with suppress(OSError, EOFError, msgspec.MsgspecError):
            answer = _Answer(link)
            self.standing = cast("Standing", _STANDING.decode(answer.read()))
            link.settimeout(WALL)
            link.sendall(HEAD.pack(len(asked)) + asked)
            while len(self._letters) < STAGES:
                self._letters.append(_LETTER.decode(answer.read()))

    def choose(self) -> Letter:
        """Return the mail as far as it was read, and say what is missing."""
        letter = self._letters[-1] if self._letters else Letter()
        lost = {0: (UNREAD,), STAGES: ()}.get(len(self._letters), (UNLINKED,))
        return replace(letter, problems=(*letter.problems, *lost))


class _Answer:
    """Reads frames from a socket, all within the same time; raises TimeoutError, or EOFError at its end."""

    def __init__(self, link: socket.socket) -> None:
        self._link, self._until = link, time.monotonic() + WALL

    def read(self) -> bytes:
        """Read a frame."""
        (size,) = HEAD.unpack(self._read(HEAD.size))
        if size > FRAME_LIMIT:
            raise EOFError
        return self._read(size)

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            self._link.settimeout(max(0.001, self._until - time.monotonic()))
            more = self._link.recv(min(size - len(data), 1 << 20))
            if not more:
                raise EOFError
            data += more
        return bytes(data)
