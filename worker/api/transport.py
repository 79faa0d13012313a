"""HTTP transport: one request out, one whole answer back."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
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
    ClientRequest,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
    InvalidURL,
    ServerDisconnectedError,
)
from msgspec import Struct
from yarl import URL

from worker.api.credential import Credential
from worker.api.silence import Silence
from worker.errors import SettingsError, TooLong, Unreachable, Unsure, WorkerError
from worker.escaping import escape
from worker.loopback import is_loopback

MOST_BYTES = 16 << 20
"""Bytes of a body at most: a dozen times a page of a thousand ordinary messages. Decoding takes several times that."""


class Request(Struct, frozen=True, kw_only=True):
    """A request; ``path`` is below the base URL and already quoted.

    Of an answer longer than ``cut_at`` bytes, only the beginning is read; without it, such an answer may be none.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    cut_at: int | None = None


class Response(Struct, frozen=True, kw_only=True):
    """An answer; header names are in lower case, ``url`` is the requested one (empty without a network).

    It is whole, unless ``is_cut`` says that only the beginning was asked for.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str = ""
    is_cut: bool = False


class Transport(Protocol):
    """Whatever carries a request to the API."""

    async def send(self, request: Request) -> Response:
        """Send once; raise Unreachable when nothing was sent for sure, Unsure when no whole answer came."""
        ...


class HttpTransport:
    """Requests over aiohttp: each is sent once, within ``timeout`` seconds, without cookies or redirects."""

    def __init__(
        self,
        base_url: str,
        credential: Credential,
        timeout: float = 20.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._base = _check_base_url(base_url)
        self._credential = credential
        self._timeout = timeout
        self._silence = Silence(monotonic)
        self._doubted = False
        self.lost = ""
        """Why the API cannot be reached: set when two requests in a row failed, the second sent after the first failed.

        Empty when the last request got any answer.
        """

    async def __aenter__(self) -> Self:
        """Open the connection pool; proxies come from the usual environment variables."""
        self._session = ClientSession(
            headers={"Accept": "application/json", "User-Agent": "worker", **self._credential.headers()},
            # Connecting has half of the time, so that its failure (nothing was sent) differs from a lost answer.
            timeout=ClientTimeout(total=self._timeout, connect=self._timeout / 2),
            cookie_jar=DummyCookieJar(),
            proxy=_find_proxy(self._base),
            middlewares=(_send_once,),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close every connection."""
        await self._session.close()

    async def send(self, request: Request) -> Response:
        """Send once; raise Unreachable when nothing was sent for sure, Unsure when no whole answer came."""
        query = "?" + urlencode(request.query) if request.query else ""
        doubted, answer = self._doubted, None
        self._silence.begin()
        try:
            answer = await self._exchange(request, URL(self._base + request.path + query, encoded=True))
        finally:
            self._silence.end(answered=isinstance(answer, Response))
        # Raised here, because an aiohttp error as its context would hold the headers, and with them the credential.
        if isinstance(answer, WorkerError):
            self.lost = (
                str(answer) if doubted and self._doubted else self.lost
            )  # unless another request was answered meanwhile
            self._doubted = True
            raise answer
        self._doubted, self.lost = False, ""
        return answer

    @property
    def silent(self) -> float:
        """Seconds for which requests have been open since the last answer."""
        return self._silence.seconds

    async def _exchange(self, request: Request, url: URL) -> Response | WorkerError:
        """Return the answer, or the error."""
        headers, has_begun = {"Content-Type": "application/json"} if request.body is not None else {}, False
        try:
            async with self._session.request(
                request.method, url, data=request.body, headers=headers, allow_redirects=False
            ) as response:
                has_begun = True
                body, is_cut = await _read_body(response, request.cut_at)
        except _Failed as failed:
            return failed.why
        except TooLong as error:
            return error
        except TimeoutError:
            return _make_unsure(f" within {self._timeout:g} s", has_begun=has_begun)
        except (ClientError, OSError) as error:
            return _make_unsure(f": {_describe_error(error)}", has_begun=has_begun)
        received = {name.lower(): value for name, value in response.headers.items()}
        return Response(status=response.status, headers=received, body=body, url=str(url), is_cut=is_cut)


async def _read_body(response: ClientResponse, cut_at: int | None) -> tuple[bytes, bool]:
    """Read a body up to the limit; a longer one is cut there if that was asked for, else raise TooLong."""
    chunks, size = list[bytes](), 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if cut_at is not None and size > cut_at:
            return b"".join(chunks)[:cut_at], True
        if size > MOST_BYTES:
            raise TooLong(f"the answer of the API is longer than {MOST_BYTES >> 20} MB")
    return b"".join(chunks), False


class _Failed(Exception):
    """Wraps an error in one that aiohttp does not know, so that it does not send the request again."""

    def __init__(self, why: WorkerError) -> None:
        self.why = why


async def _send_once(request: ClientRequest, send: ClientHandlerType) -> ClientResponse:
    """Keep aiohttp from repeating a GET or DELETE itself when a pooled connection turns out to be closed."""
    try:
        return await send(request)
    except (ClientConnectorError, ConnectionTimeoutError, ClientHttpProxyError) as error:
        raise _Failed(Unreachable(_describe_no_connection(request, error))) from None
    except InvalidURL:  # its text is the address, which may have a password
        raise _Failed(Unreachable("nothing was sent: the address of the API or of the proxy is invalid")) from None
    except TimeoutError:  # which repeats nothing
        raise
    except (ClientError, OSError) as error:
        raise _Failed(_make_unsure(f": {_describe_error(error)}", has_begun=False)) from None


def _make_unsure(how: str, *, has_begun: bool) -> Unsure:
    """Say that no answer came, or only a part of one, and how that was."""
    return Unsure(f"the API was asked, but {'its answer did not come whole' if has_begun else 'no answer came'}{how}")


def _describe_no_connection(request: ClientRequest, error: BaseException) -> str:
    """Say where connecting failed, why, and what to check; of a proxy only host and port, which are no secret."""
    where, suspects = _format_place(request.url), "the network and CLOUDFLARE_BASE_URL"
    if request.proxy:
        where, suspects = (
            f"{where} through the proxy {_format_place(request.proxy)}",
            "the proxy and the variables that name it",
        )
    return f"could not connect to the API at {where} ({_describe_error(error)}): check {suspects}"


def _format_place(url: URL) -> str:
    return f"{url.host_subcomponent}:{url.port}"


def _describe_error(error: BaseException) -> str:
    """Return an error's text, escaped and without secrets."""
    if isinstance(error, asyncio.TimeoutError):
        return "the deadline passed"
    if isinstance(error, ServerDisconnectedError):
        return "the connection was closed before it"
    if isinstance(error, ClientResponseError):  # its text has the proxy's address, which may have a password
        return escape(f"{error.status} {error.message}")
    text = _describe_system_error(error.os_error) if isinstance(error, ClientConnectorError) else str(error)
    return escape(text or type(error).__name__)


def _describe_system_error(error: OSError) -> str:
    """Return the system's text without addresses; errors of TLS and of name lookups have numbers of their own."""
    if error.errno is None or isinstance(error, SSLError | gaierror):
        return str(error.strerror or error)
    return os.strerror(error.errno)


def _check_base_url(base_url: str) -> str:
    """Return the base URL without a slash at its end; raise SettingsError when it is invalid."""
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


def _find_proxy(base: str) -> str | None:
    """Return the proxy for the base URL; aiohttp's ``trust_env`` would also read ~/.netrc for every request.

    Raises SettingsError, without the address itself, for an invalid one.
    """
    parts = urlsplit(base)
    direct = is_loopback(parts.hostname or "") or proxy_bypass(parts.netloc)
    named = None if direct else getproxies().get(parts.scheme)
    if not named:
        return None
    try:
        url = URL(named if "://" in named else f"http://{named}")
    except ValueError:
        url = URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise SettingsError(f"{parts.scheme}_proxy is not a valid proxy; it must look like http://proxy.example:3128")
    return str(url)
