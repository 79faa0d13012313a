"""Connections to the web server: a bounded number, each with one request that must come soon."""

import asyncio

from aiohttp import web
from aiohttp.typedefs import Handler

MOST = 64
"""Connections at the same time; one more is closed at once."""
HEAD_WITHIN = 5.0
"""Seconds until the head of a request must have come."""
ALL_WITHIN = 30.0
"""Seconds until its answer must have been taken."""
CLIENT_ERRORS = range(400, 500)


class Connection(web.RequestHandler):
    """The protocol of one connection, which is closed when it takes too long.

    Half a request, or an answer that nobody takes, would otherwise hold a file descriptor for ever.
    """

    def __init__(self, server: web.Server) -> None:
        """Serve it with this server."""
        self._events = asyncio.get_running_loop()
        super().__init__(server, loop=self._events, access_log=None, lingering_time=0.0)  # type: ignore[arg-type]
        self._deadline = self._events.call_later(HEAD_WITHIN, self._give_up)

    def note_head(self) -> None:
        """Give the answer time, now that the head of the request has come."""
        self._deadline.cancel()
        self._deadline = self._events.call_later(ALL_WITHIN, self._give_up)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Watch it no longer."""
        self._deadline.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        if self.transport:
            self.transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no request without a traceback in the log, and without naming versions."""
        if status in CLIENT_ERRORS:
            return web.Response(status=status, text="this is not a request\n", headers={"Server": "worker"})
        return super().handle_error(request, status, exc, message)


def make_protocol(server: web.Server) -> asyncio.BaseProtocol:
    """Return the protocol of a new connection to a server."""
    return Connection(server) if len(server.connections) < MOST else _Refusal()


class _Refusal(asyncio.Protocol):
    """Closes its connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


@web.middleware
async def answer_once(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer one request of each connection, in the time that an answer has."""
    if isinstance(request.protocol, Connection):
        request.protocol.note_head()
    answer = await handler(request)
    answer.force_close()
    return answer
