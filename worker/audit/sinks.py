"""Sinks: where signed heads are kept, out of reach of whoever can write the ledger."""

import asyncio
import os
import socket
from contextlib import closing
from errno import EAGAIN
from io import RawIOBase
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from worker.audit.stream import is_out
from worker.telemetry.writer import TAKES_NOTHING, Outlet, Written
from worker.walls.private_files import open_private

PATIENCE = 5.0
"""Seconds that a syslog server may take."""
AUDIT_INFO = 13 * 8 + 6
"""The priority of a line: facility log audit, severity informational."""
SYSLOG = 514
"""The port of a server that names none."""
ON_STDOUT, ELSEWHERE = "stdout (heads)", "WORKER_AUDIT_HEADS"
"""Names of sinks, under which the ledger keeps how far they are."""


class Sink(Protocol):
    """Takes one head whole, or raises OSError."""

    async def write(self, line: bytes) -> None:
        """Take a head, without its line ending."""


class StreamSink:
    """Writes heads to the stream of the records, as lines of their own kind."""

    def __init__(self, out: Outlet) -> None:
        """Write to where the records go."""
        self._out = out
        self._under_way: tuple[bytes, Written] | None = None

    async def write(self, line: bytes) -> None:
        """Write a head; one that is being written already is only waited for."""
        if not self._under_way or self._under_way[0] != line:
            written = self._out.offer(line + b"\n")
            self._under_way = (line, written) if written else None
        if not self._under_way or not await is_out(self._under_way[1]):
            raise BlockingIOError(EAGAIN, self._out.problem or TAKES_NOTHING)
        self._under_way = None


class FileSink(NamedTuple):
    """Appends heads to a file, each on the disk before the next."""

    path: Path

    async def write(self, line: bytes) -> None:
        """Append a head."""
        await asyncio.to_thread(self._append, line + b"\n")

    def _append(self, line: bytes) -> None:
        descriptor = open_private(self.path, os.O_APPEND)
        with os.fdopen(descriptor, "rb+", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            torn = end > 0 and os.pread(descriptor, 1, end - 1) != b"\n"  # a process was killed while it wrote
            _write_whole(file, b"\n" + line if torn else line)
            os.fsync(descriptor)


def _write_whole(file: RawIOBase, lines: bytes) -> None:
    """Write every byte, however few are taken at once."""
    left = memoryview(lines)
    while left:
        left = left[file.write(left) or 0 :]


def open_sink(place: str) -> Sink:
    """Open a file, ``syslog://host:port`` or ``syslog+tcp://host:port``."""
    if "://" not in place:
        return FileSink(Path(place))
    address = urlsplit(place)
    kind = socket.SOCK_STREAM if address.scheme == "syslog+tcp" else socket.SOCK_DGRAM
    return SyslogSink(address.hostname or "", address.port or SYSLOG, kind)


class SyslogSink(NamedTuple):
    """Sends heads to a syslog server (RFC 5424): over UDP, or over TCP with each message's length before it (6587)."""

    host: str
    port: int
    kind: socket.SocketKind

    async def write(self, line: bytes) -> None:
        """Send a head."""
        await asyncio.to_thread(self._send, line)

    def _send(self, line: bytes) -> None:
        message = f"<{AUDIT_INFO}>1 - {socket.gethostname()} worker - head - ".encode() + line
        family, *_, address = socket.getaddrinfo(self.host, self.port, type=self.kind)[0]
        with closing(socket.socket(family, self.kind)) as server:
            server.settimeout(PATIENCE)
            server.connect(address)
            server.sendall(message if self.kind is socket.SOCK_DGRAM else b"%d %b" % (len(message), message))
