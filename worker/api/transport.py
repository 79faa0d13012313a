"""The API client's room: one request out, one whole answer back, over HTTP."""

import asyncio
import os
from collections.abc import Mapping
from socket import gaierror
from ssl import SSLError
from typing import Protocol, Self
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientHandlerType,
    ClientHttpProxyError,
    ClientPayloadError,
    ClientRequest,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
    InvalidURL,
)
from msgspec import Struct
from yarl import URL

from worker.api.credential import Credential
from worker.errors import SettingsError, Unreachable, Unsure, WorkerError
from worker.escaping import escaped

MOST_BYTES = 128 << 20
"""Bytes of a body: fifty times a page of a thousand ordinary messages."""


class Request(Struct, frozen=True, kw_only=True):
    """What is sent; ``path`` lies below the base URL and is quoted already."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None


class Response(Struct, frozen=True, kw_only=True):
    """A whole answer; header names are in lower case, ``url`` is what was asked (empty when there is no network)."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str = ""


class Transport(Protocol):
    """Whatever carries a request to the API."""

    async def send(self, request: Request) -> Response:
        """Send once; raise Unreachable when provably nothing was sent, Unsure when no whole answer came."""
        ...


class HttpTransport:
    """Requests over aiohttp: each is sent once, within ``timeout`` seconds, without cookies or redirects."""

    def __init__(self, base_url: str, credential: Credential, timeout: float = 20.0) -> None:
        self._base = _check_base_url(base_url)
        self._credential = credential
        self._timeout = timeout
        self._doubted = False
        self.lost = ""
        """What keeps the API from being reached: two requests in a row failed so, the second sent after the first had.

        One that fails alone says nothing. Empty when the last one was answered, however.
        """

    async def __aenter__(self) -> Self:
        """Open the pool of connections; proxies come from the usual variables."""
        self._session = ClientSession(
            headers={"Accept": "application/json", "User-Agent": "worker", **self._credential.headers()},
            # Half for connecting: what fails there was provably not sent, and must not look like a lost answer.
            timeout=ClientTimeout(total=self._timeout, connect=self._timeout / 2),
            cookie_jar=DummyCookieJar(),
            proxy=_proxy(self._base),
            middlewares=(_once,),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close every connection."""
        await self._session.close()

    async def send(self, request: Request) -> Response:
        """Send once; raise Unreachable when provably nothing was sent, Unsure when no whole answer came."""
        query = "?" + urlencode(request.query) if request.query else ""
        doubted = self._doubted
        answer = await self._exchange(request, URL(self._base + request.path + query, encoded=True))
        # Raised out here so that no aiohttp error, which knows our headers, hangs on to ours as its context.
        if isinstance(answer, WorkerError):
            self.lost = str(answer) if doubted and self._doubted else self.lost  # unless one was answered meanwhile
            self._doubted = True
            raise answer
        self._doubted, self.lost = False, ""
        return answer

    async def _exchange(self, request: Request, url: URL) -> Response | WorkerError:
        """Return the answer, or what became of it."""
        headers = {"Content-Type": "application/json"} if request.body is not None else {}
        try:
            async with self._session.request(
                request.method, url, data=request.body, headers=headers, allow_redirects=False
            ) as response:
                body = await _whole(response)
        except _Failed as failed:
            return failed.why
        except (ClientError, OSError, TimeoutError) as error:
            return _unsure(error)
        told = {name.lower(): value for name, value in response.headers.items()}
        return Response(status=response.status, headers=told, body=body, url=str(url))


async def _whole(response: ClientResponse) -> bytes:
    """Read a body that the memory can hold; raise ClientPayloadError for a longer one."""
    chunks, size = list[bytes](), 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > MOST_BYTES:
            raise ClientPayloadError(f"its answer is longer than {MOST_BYTES >> 20} MB")
    return b"".join(chunks)


class _Failed(Exception):
    """Not an error that aiohttp knows, hence none that it answers by sending again."""

    def __init__(self, why: WorkerError) -> None:
        self.why = why


async def _once(request: ClientRequest, send: ClientHandlerType) -> ClientResponse:
    """Keep aiohttp from sending a GET or DELETE again by itself when a kept connection turns out to be closed."""
    try:
        return await send(request)
    except (ClientConnectorError, ConnectionTimeoutError, ClientHttpProxyError) as error:
        raise _Failed(Unreachable(_describe_no_connection(request, error))) from None
    except InvalidURL:  # whose words are the address, and with it a password
        raise _Failed(Unreachable("nothing was sent: the address of the API or of the proxy is none")) from None
    except (ClientError, OSError) as error:
        raise _Failed(_unsure(error)) from None


def _unsure(error: BaseException) -> Unsure:
    return Unsure(f"the API was asked but no whole answer came: {_reason(error)}")


def _describe_no_connection(request: ClientRequest, error: BaseException) -> str:
    """Say where no connection came about, why, and where to look; of a proxy's address only what is no secret."""
    where, look_at = _place(request.url), "the network and CLOUDFLARE_BASE_URL"
    if request.proxy:
        where, look_at = (
            f"{where} through the proxy {_place(request.proxy)}",
            "the proxy and the variables that name it",
        )
    return f"could not connect to the API at {where} ({_reason(error)}): look at {look_at}"


def _place(url: URL) -> str:
    return f"{url.host_subcomponent}:{url.port}"


def _reason(error: BaseException) -> str:
    """Say what went wrong in a few harmless words."""
    if isinstance(error, asyncio.TimeoutError):
        return "the deadline passed"
    if isinstance(error, ClientResponseError):  # its own words hold the proxy's address, and with it a password
        return escaped(f"{error.status} {error.message}")
    text = _by_system(error.os_error) if isinstance(error, ClientConnectorError) else str(error)
    return escaped(text or type(error).__name__)


def _by_system(error: OSError) -> str:
    """Return the system's words without addresses; those of TLS and name lookups have numbers of their own."""
    if error.errno is None or isinstance(error, SSLError | gaierror):
        return str(error.strerror or error)
    return os.strerror(error.errno)


def _check_base_url(base_url: str) -> str:
    """Return the base without a slash at its end; raise SettingsError when it is none."""
    try:
        url = URL(base_url)
    except ValueError:
        url = URL()
    if url.scheme not in {"http", "https"} or not url.host or url.user or url.query_string or url.fragment:
        raise SettingsError(
            "CLOUDFLARE_BASE_URL must look like https://api.cloudflare.com/client/v4, "
            "with a host and without a query or credentials"
        )
    return str(url).rstrip("/")


def _proxy(base: str) -> str | None:
    """Return the proxy for the base; aiohttp's own ``trust_env`` would read ~/.netrc for every request too.

    Raise SettingsError, without the address itself, for one that cannot be used.
    """
    parts = urlsplit(base)
    named = None if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme)
    if not named:
        return None
    try:
        url = URL(named if "://" in named else f"http://{named}")
    except ValueError:
        url = URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise SettingsError(
            f"{parts.scheme}_proxy names no proxy that can be used: it must look like http://proxy.example:3128"
        )
    return str(url)
