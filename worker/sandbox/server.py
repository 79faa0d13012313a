"""The sandbox on a real socket: responses come from World.handle, delays and broken connections are real."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from aiohttp import web

from worker.sandbox import control
from worker.sandbox.wire import IncomingRequest, OutgoingResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from worker.sandbox.world import World

LARGEST_BODY = 64 * 1024 * 1024
RESET_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER with no time to linger: close() sends RST instead of FIN


@asynccontextmanager
async def serve(world: World, host: str = "127.0.0.1", port: int = 0, *, latency: float = 0.0) -> AsyncIterator[str]:
    """Serve a world and yield its base address; ``latency`` in seconds is added to each response of the API."""
    runner = web.AppRunner(application(world, latency=latency), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def application(world: World, *, latency: float = 0.0) -> web.Application:
    """Build the application: one handler for the API, one for what lies under /_sandbox/."""
    app = web.Application(client_max_size=LARGEST_BODY)
    app.router.add_route("*", control.PREFIX + "{tail:.*}", _controls(world))
    # (?s:…): a decoded path may hold line breaks, and must not get aiohttp's own 404.
    app.router.add_route("*", "/{tail:(?s:.*)}", _api(world, latency))
    return app


def _controls(world: World) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        response = control.handle(world, await _read(request))
        return web.Response(status=response.status, headers=response.headers, body=response.body)

    return handle


def _api(world: World, latency: float) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        response = world.handle(await _read(request))
        if latency + response.delay > 0:
            await asyncio.sleep(latency + response.delay)
        return await _send(request, response)

    return handle


async def _read(request: web.Request) -> IncomingRequest:
    headers = {name.lower(): value for name, value in request.headers.items()}
    return IncomingRequest(request.method, request.path, tuple(request.query.items()), headers, await request.read())


async def _send(request: web.Request, response: OutgoingResponse) -> web.StreamResponse:
    """Send a response, or as much of it as its cut allows."""
    if response.cut in {"before", "after"}:
        _hang_up(request, reset=True)
        return web.Response()
    if response.cut == "body":
        return await _send_half(request, response)
    return web.Response(status=response.status, headers=response.headers, body=response.body)


def _hang_up(request: web.Request, *, reset: bool) -> None:
    """Break the connection at once; with a reset, data on its way to the client is lost too."""
    if request.transport is None:  # the client was quicker
        return
    if reset:
        raw = request.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_ONCE)
    request.transport.abort()


async def _send_half(request: web.Request, response: OutgoingResponse) -> web.StreamResponse:
    """Promise the whole body, send half of it so that it arrives, and hang up."""
    stream = web.StreamResponse(status=response.status, headers=response.headers)
    stream.content_length = len(response.body)
    with suppress(ConnectionResetError):  # a client that was killed meanwhile
        await stream.prepare(request)
        await stream.write(response.body[: len(response.body) // 2])
    _hang_up(request, reset=False)
    return stream
