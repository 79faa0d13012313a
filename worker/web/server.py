"""The web server: /livez, /startz, /readyz and /metrics, answered by the callables it is given."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import msgspec
from aiohttp import web

from worker.errors import SettingsError

PATHS = ("/livez", "/startz", "/readyz", "/metrics")
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
    host: str, port: int, *, readiness: Callable[[], Readiness], metrics: Callable[[], Awaitable[bytes]]
) -> AsyncIterator[str]:
    """Serve until the block is left, and yield the address; port 0 takes a free one.

    Raises SettingsError when nothing can listen there.
    """
    runner = web.AppRunner(build_application(readiness, metrics), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        with _name_setting(host, port):
            await web.TCPSite(runner, host, port).start()
        bound = runner.addresses[0]
        yield f"http://{f'[{bound[0]}]' if ':' in bound[0] else bound[0]}:{bound[1]}"
    finally:
        await runner.cleanup()


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


def build_application(readiness: Callable[[], Readiness], metrics: Callable[[], Awaitable[bytes]]) -> web.Application:
    """Build the four pages."""

    async def livez(_: web.Request) -> web.Response:
        return _respond(200, {"alive": True})

    async def startz(_: web.Request) -> web.Response:  # rules taken, ledger open, port bound: else nobody answers
        return _respond(200, {"started": True})

    async def readyz(_: web.Request) -> web.Response:
        found = readiness()
        return _respond(200 if found.ready else 503, found)

    async def metrics_page(_: web.Request) -> web.Response:
        return web.Response(body=await metrics(), headers={"content-type": TEXT})

    async def nowhere(_: web.Request) -> web.Response:
        return _respond(404, {"error": f"try one of {', '.join(PATHS)}"})

    app = web.Application()
    for path, page in zip(PATHS, (livez, startz, readyz, metrics_page), strict=True):
        app.router.add_get(path, page)
    app.router.add_route("*", "/{elsewhere:.*}", nowhere)
    return app


def _respond(status: int, body: Any) -> web.Response:  # noqa: ANN401 (anything msgspec writes)
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")
