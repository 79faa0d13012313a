"""Connections to the web server: strangers can neither exhaust it nor call it by a name of theirs."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession

from tests.cells import each
from worker.web import PATHS, Readiness, connections, serve
from worker.web.hosts import is_ours

Socket = tuple[asyncio.StreamReader, asyncio.StreamWriter]
slow = pytest.mark.slow


@asynccontextmanager
async def serving(hosts: Sequence[str] = ()) -> AsyncIterator[tuple[str, int]]:
    """Serve, with metrics that count how often they were made; give the address."""
    made = itertools.count(1)

    async def metrics() -> bytes:
        return f"worker_made {next(made)}\n".encode()

    ready = Readiness(ready=True)
    async with serve("127.0.0.1", 0, readiness=lambda: ready, metrics=metrics, hosts=hosts) as url:
        yield "127.0.0.1", urlsplit(url).port or 0


async def say(at: tuple[str, int], request: bytes) -> bytes:
    """Send bytes; return all that comes until the connection is closed."""
    reader, writer = await asyncio.open_connection(*at)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


@slow
async def test_half_a_request_is_closed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_WITHIN", 0.3)
    async with serving() as at, asyncio.timeout(5):
        answers = await asyncio.gather(*[say(at, b"GET /livez HTTP/1.1\r\nHost: loc"[:size]) for size in range(24)])
    assert set(answers) == {b""}


@slow
async def test_a_request_that_drips_is_closed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_WITHIN", 0.3)
    async with serving() as at, asyncio.timeout(5):
        reader, writer = await asyncio.open_connection(*at)
        dripping = asyncio.create_task(drip(writer))
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        dripping.cancel()
        writer.close()


async def drip(writer: asyncio.StreamWriter) -> None:
    """Send the head of a request, letter by letter and without an end."""
    writer.write(b"GET /livez HTTP/1.1\r\nX: ")
    while True:
        writer.write(b"y")
        await asyncio.sleep(0.01)


@slow
async def test_too_many_connections_are_closed_and_the_others_are_served() -> None:
    async with serving() as at, asyncio.timeout(5):
        idle = [await asyncio.open_connection(*at) for _ in range(connections.MOST - 1)]
        assert b"200 OK" in await say(at, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        idle.append(await asyncio.open_connection(*at))
        over = [await asyncio.open_connection(*at) for _ in range(10)]
        assert [await reader.read() for reader, _ in over] == [b""] * 10
        assert not any(reader.at_eof() for reader, _ in idle)
        for _, writer in (*idle, *over):
            writer.close()


@slow
async def test_an_answer_that_nobody_takes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "ALL_WITHIN", 0.3)

    async def metrics() -> bytes:
        return b"x" * 20_000_000

    async with (
        serve("127.0.0.1", 0, readiness=lambda: Readiness(ready=True), metrics=metrics) as url,
        asyncio.timeout(5),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await asyncio.sleep(1.5)
        taken = len(await reader.read())
        writer.close()
    assert taken < 20_000_000


@slow
async def test_one_connection_answers_one_request() -> None:
    async with serving() as at, asyncio.timeout(5):
        answer = await say(at, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3)
    assert answer.count(b"HTTP/1.1 200") == 1


@slow
async def test_no_answer_names_versions() -> None:
    requests = [b"GET %s HTTP/1.1\r\nHost: %s\r\n\r\n" % pair for pair in itertools.product(
        (*(path.encode() for path in PATHS), b"/nowhere"), (b"localhost", b"evil.example"))]  # fmt: skip
    requests += [
        b"\x16\x03\x01 no request\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nA:" + b"a" * 9999,
    ]
    async with serving() as at, asyncio.timeout(10):
        for request in requests:
            answer = (await say(at, request)).lower()
            assert b"http/1" in answer
            assert b"aiohttp" not in answer
            assert b"python" not in answer


@slow
async def test_metrics_are_made_once_a_second_at_most() -> None:
    async with serving() as (_, port), ClientSession(f"http://127.0.0.1:{port}") as web:

        async def ask() -> str:
            async with web.get("/metrics") as answer:
                return await answer.text()

        assert set(await asyncio.gather(*[ask() for _ in range(30)])) == {"worker_made 1\n"}


@slow
@each("path", PATHS)
async def test_a_foreign_host_sees_nothing_but_that_it_lives(path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: rebound.evil.example:8080\r\n\r\n".encode()
    async with serving() as at:
        answer = await say(at, request)
    async with serving(["rebound.evil.example"]) as at:
        named = await say(at, request)
    assert (b" 421 " in answer, b"WORKER_HOSTS" in answer) == ((path in {"/readyz", "/metrics"}),) * 2
    assert b" 200 " in named


@each(
    ("host", "ours"),
    [
        ("", True),
        ("localhost", True),
        ("LOCALHOST:8080", True),
        ("10.1.2.3:8080", True),
        ("[::1]:8080", True),
        ("[2001:db8::7]", True),
        ("worker", True),
        ("worker:8080", True),
        ("worker.mail.svc", True),
        ("worker.mail.svc.cluster.local:8080", True),
        ("metrics.corp.example:443", True),
        ("corp.example", False),
        ("svc.example", False),
        ("worker.svc.example", False),
        ("10.1.2.3.example", False),
        ("localhost.example", False),
        ("metrics.corp.example.evil.example", False),
    ],
)
def test_names_that_nobody_can_register_are_ours(host: str, *, ours: bool) -> None:
    assert is_ours(host, {"metrics.corp.example"}) is ours
