"""Sinks: where signed heads are kept, out of reach of whoever can write the ledger."""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from worker.audit.stream import write_whole

PATIENCE = 5.0
"""Seconds that a syslog server may take."""
AUDIT_INFO = 13 * 8 + 6
"""The priority of a line: facility log audit, severity informational."""
NEW_FILE = 0o600
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

    def __init__(self, write: Callable[[bytes], None]) -> None:
        """Take what writes lines whole."""
        self._write = write

    async def write(self, line: bytes) -> None:
        """Write a head."""
        self._write(line + b"\n")


class FileSink(NamedTuple):
    """Appends heads to a file, each on the disk before the next."""

    path: Path

    async def write(self, line: bytes) -> None:
        """Append a head."""
        await asyncio.to_thread(self._append, line + b"\n")

    def _append(self, line: bytes) -> None:
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, NEW_FILE)
        with os.fdopen(descriptor, "rb+", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            torn = end > 0 and os.pread(descriptor, 1, end - 1) != b"\n"  # a process was killed while it wrote
            write_whole(file, b"\n" + line if torn else line)
            os.fsync(descriptor)


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
