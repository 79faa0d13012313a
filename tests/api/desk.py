"""Helpers for tests of the client: an event loop whose time jumps, a scripted transport, a server of raw bytes."""

import asyncio
import re
import selectors
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar
from urllib.parse import unquote

import msgspec

from worker.api import ApiClock, Budget, Client, Request, Response
from worker.api.transport import Transport
from worker.errors import Unreachable, Unsure, WorkerError
from worker.sandbox import ACCOUNT, World
from worker.sandbox import IncomingRequest as Asked

T = TypeVar("T")
EPOCH = 1_790_000_000.0
ROOT = f"/accounts/{ACCOUNT}/email-security"


class Jumping(selectors.DefaultSelector):
    """A selector that waits for nothing; the time it should wait has passed at once."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; if nothing is, let the time pass that it should wait."""
        assert timeout is not None, "everybody waits, and nothing will ever happen"
        self.passed += max(0.0, timeout)
        return super().select(0)


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop in which waiting takes no real time."""

    def __init__(self) -> None:
        self.jumping = Jumping()
        super().__init__(self.jumping)

    def time(self) -> float:
        """Start at 100, so that a time cannot be mistaken for a duration."""
        return 100.0 + self.jumping.passed


def quickly(day: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine in time that jumps."""

    async def whole() -> T:
        return await day()

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(whole())


def loop_time() -> float:
    return asyncio.get_running_loop().time()


def clock() -> ApiClock:
    """Make the running loop's clock; its API time is EPOCH at 0."""
    return ApiClock(monotonic=loop_time, wall=lambda: EPOCH + loop_time(), sleep=asyncio.sleep)


def answer(result: object = None, status: int = 200, info: object = None, **headers: str) -> Response:
    """Make an answer in the API's envelope."""
    errors = [] if status < 300 else [{"code": 10000, "message": result}]
    told = {"success": status < 300, "errors": errors, "messages": [], "result": result if status < 300 else None}
    body = msgspec.json.encode(told | ({"result_info": info} if info else {}))
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status=status, headers={"content-type": "application/json"} | named, body=body)


def page(status: int, text: str, kind: str = "text/html") -> Response:
    """Make an answer that is not the API's, such as a proxy's."""
    return Response(status=status, headers={"content-type": kind}, body=text.encode())


class Line:
    """A transport that gives prepared answers one after the other, and keeps the requests and their times."""

    def __init__(self, *answers: Response | WorkerError) -> None:
        self.answers = list(answers)
        self.asked: list[Request] = []
        self.times: list[float] = []

    async def send(self, request: Request) -> Response:
        """Give the next answer, or raise it."""
        self.asked.append(request)
        self.times.append(loop_time() - 100)
        given = self.answers.pop(0)
        if isinstance(given, WorkerError):
            raise given
        return given


class Inside:
    """A transport into a sandbox without a socket between."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def send(self, request: Request) -> Response:
        """Ask the sandbox, with the faults of its connection."""
        path = unquote("/client/v4" + request.path)
        headers = {"authorization": "Bearer any"}
        told = self.world.handle(Asked(request.method, path, request.query, headers, request.body or b""))
        await asyncio.sleep(told.delay)
        if told.cut:
            raise Unreachable("not connected") if told.cut == "before" else Unsure("cut")
        return Response(status=told.status, headers=told.headers, body=told.body)


def client(line: Transport, **settings: Any) -> Client:  # noqa: ANN401 (whatever a budget takes)
    """Make a client on a line, in the running loop's time."""
    time = clock()
    return Client(line, Budget(time, **settings), time, ACCOUNT)


class Server:
    """A server on a socket that sends raw bytes, or breaks the connection when there are none.

    It closes the connection itself after an answer that speaks of ``close``.
    """

    def __init__(self, answers: Sequence[bytes]) -> None:
        self.answers = list(answers)
        self.heard: list[bytes] = []
        self.url = ""
        self.visitors: list[tuple[asyncio.Task[Any] | None, asyncio.StreamWriter]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        self.visitors.append((asyncio.current_task(), writer))
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while self.answers:
                await self.answer(reader, writer)
        writer.close()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        head = await reader.readuntil(b"\r\n\r\n")
        size = re.search(rb"(?i)content-length: (\d+)", head)
        self.heard.append(head + await reader.readexactly(int(size[1]) if size else 0))
        given = self.answers.pop(0)
        writer.write(given)
        if not given:
            writer.transport.abort()
            raise ConnectionError
        await writer.drain()
        if b"close" in given:
            raise ConnectionError

    async def close(self) -> None:
        """Break every connection."""
        for task, writer in self.visitors:
            writer.transport.abort()
            if task:
                await settled(task)


@asynccontextmanager
async def serving(*answers: bytes) -> AsyncIterator[Server]:
    """Serve these bytes on a free port."""
    server = Server(answers)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    async with listening:
        try:
            yield server
        finally:
            await server.close()


def http(status: str, body: bytes = b"", *headers: str, length: int | None = None) -> bytes:
    """Make the bytes of an answer; with ``length`` they lie about how long the body is."""
    size = len(body) if length is None else length
    head = [f"HTTP/1.1 {status}", f"Content-Length: {size}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


async def settled(*waiting: Awaitable[object]) -> None:
    """Wait for all, and return results and errors."""
    await asyncio.gather(*waiting, return_exceptions=True)
