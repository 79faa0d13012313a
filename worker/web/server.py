"""The web server: /livez, /startz, /readyz and /metrics, answered by the callables it is given."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from functools import partial
from typing import Any, cast

import msgspec
from aiohttp import web

from worker.errors import SettingsError
from worker.web.connections import answer_once, make_protocol
from worker.web.hosts import check_host

PATHS = ("/livez", "/startz", "/readyz", "/metrics")
PROBED = ("/livez", "/startz")
"""Paths that say nothing but that they answer."""
FRESH = 1.0
"""Seconds for which metrics are not made again."""
TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the worker does its work now, and each reason why not, as a sentence."""

    ready: bool
    reasons: tuple[str, ...] = ()
    """The kinds of these reasons, as metrics and alerts name them."""
    why: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    """What a person has to fix while the worker continues."""
    sources: Mapping[str, Mapping[str, float]] = {}
    """By source: seconds since the end of what is read, and seconds still missing."""


async def check_address(host: str, port: int) -> None:
    """Raise SettingsError when nothing can listen there; call it before anything is opened or created."""
    with _name_setting(host, port):
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, host, port)
        server.close()


@asynccontextmanager
async def serve(
    host: str,
    port: int,
    *,
    readiness: Callable[[], Readiness],
    metrics: Callable[[], Awaitable[bytes]],
    hosts: Collection[str] = (),
) -> AsyncIterator[str]:
    """Serve until the block is left, and yield the address; port 0 takes a free one.

    ``hosts`` are public names by which it may be called. Raises SettingsError when nothing can listen there.
    """
    runner = web.AppRunner(build_application(readiness, metrics, hosts), shutdown_timeout=1.0)
    await runner.setup()
    server = cast("web.Server", runner.server)  # it is there once the runner is set up
    try:
        with _name_setting(host, port):
            listening = await asyncio.get_running_loop().create_server(partial(make_protocol, server), host, port)
        with closing(listening):
            yield _format_address(*listening.sockets[0].getsockname()[:2])
    finally:
        await runner.cleanup()


class _Metrics:
    """The metrics, made anew when they are a second old; all who ask meanwhile get the same."""

    def __init__(self, make: Callable[[], Awaitable[bytes]]) -> None:
        self._make, self._body, self._fresh_until = make, b"", 0.0
        self._making = asyncio.Lock()

    async def read(self) -> bytes:
        async with self._making:
            if time.monotonic() >= self._fresh_until:
                self._body = await self._make()
                self._fresh_until = time.monotonic() + FRESH
        return self._body


def _format_address(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


@contextmanager
def _name_setting(host: str, port: int) -> Iterator[None]:
    """Turn an OSError into a SettingsError that names the setting."""
    try:
        yield
    except OSError as error:
        why = str(error.strerror).rpartition(": ")[2]  # it begins with the address once more
        raise SettingsError(
            f"WORKER_LISTEN is {host}:{port}, where nothing can listen ({why}): "
            "stop what is there, perhaps another worker, or choose another port"
        ) from None


def build_application(
    readiness: Callable[[], Readiness], metrics: Callable[[], Awaitable[bytes]], hosts: Collection[str] = ()
) -> web.Application:
    """Build the four pages."""
    kept = _Metrics(metrics)

    async def livez(_: web.Request) -> web.Response:
        return _respond(200, {"alive": True})

    async def startz(_: web.Request) -> web.Response:  # rules taken, ledger open, port bound: else nobody answers
        return _respond(200, {"started": True})

    async def readyz(_: web.Request) -> web.Response:
        found = readiness()
        return _respond(200 if found.ready else 503, found)

    async def metrics_page(_: web.Request) -> web.Response:
        return web.Response(body=await kept.read(), headers={"content-type": TEXT})

    async def nowhere(_: web.Request) -> web.Response:
        return _respond(404, {"error": f"try one of {', '.join(PATHS)}"})

    app = web.Application(middlewares=[answer_once, check_host(hosts, PROBED)])
    app.on_response_prepare.append(_leave_versions_out)
    for path, page in zip(PATHS, (livez, startz, readyz, metrics_page), strict=True):
        app.router.add_get(path, page)
    app.router.add_route("*", "/{elsewhere:.*}", nowhere)
    return app


async def _leave_versions_out(_: web.Request, answer: web.StreamResponse) -> None:
    answer.headers.popall("Server", None)


def _respond(status: int, body: Any) -> web.Response:  # noqa: ANN401 (anything msgspec writes)
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")
