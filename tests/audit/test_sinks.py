"""Heads reach a file that others can read with the worker's rights only, and syslog servers in their own format."""

import socket
from pathlib import Path
from threading import Thread

import pytest

from worker.audit.sinks import FileSink, SyslogSink, open_sink

LINE = b'{"head":1}'


async def test_heads_are_appended_to_a_file_of_the_worker_alone(tmp_path: Path) -> None:
    sink = open_sink(str(tmp_path / "heads.jsonl"))
    assert isinstance(sink, FileSink)
    await sink.write(LINE)
    await sink.write(LINE)
    assert sink.path.read_bytes() == (LINE + b"\n") * 2
    assert sink.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "kind"), [("syslog", socket.SOCK_DGRAM), ("syslog+tcp", socket.SOCK_STREAM)])
async def test_heads_are_sent_to_a_syslog_server(scheme: str, kind: socket.SocketKind) -> None:
    got: list[bytes] = []
    with socket.socket(socket.AF_INET, kind) as server:
        server.bind(("127.0.0.1", 0))
        thread = Thread(target=lambda: got.append(receive(server)))
        if kind is socket.SOCK_STREAM:
            server.listen()
        thread.start()
        await open_sink(f"{scheme}://127.0.0.1:{server.getsockname()[1]}").write(LINE)
        thread.join(10)
    length, _, message = got[0].rpartition(b"<110>1 - ")
    assert message.endswith(b" worker - head - " + LINE)
    assert length == (b"%d " % (len(message) + 9) if kind is socket.SOCK_STREAM else b"")


def receive(server: socket.socket) -> bytes:
    if server.type is socket.SOCK_DGRAM:
        return server.recv(9999)
    with server.accept()[0] as client:
        return b"".join(iter(lambda: client.recv(999), b""))


@pytest.mark.slow
async def test_a_server_that_is_not_there_is_an_error_of_the_system() -> None:
    assert open_sink("syslog://collector.example") == SyslogSink("collector.example", 514, socket.SOCK_DGRAM)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        sink = open_sink(f"syslog+tcp://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(OSError, match="refused"):
            await sink.write(LINE)
