"""The sandbox's end of the wire: requests, responses, the envelope, and how a query or a body is read."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal, NoReturn

import msgspec
from msgspec import Struct

LONGEST_NUMBER = 10
JSON_TYPE = {"content-type": "application/json"}
Cut = Literal["", "before", "after", "body"]
Json = dict[str, object]


class IncomingRequest(Struct, frozen=True):
    """One request as it came; its path is decoded, its header names are lower case."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = {}
    body: bytes = b""

    def get(self, name: str) -> str | None:
        """Return the first value of a query parameter."""
        return next((value for key, value in self.query if key == name), None)


class OutgoingResponse(Struct, frozen=True):
    """One response, and what the wire does to it.

    ``delay`` is in seconds. ``cut`` breaks the connection: "before" the request was carried out, "after" it was, or in
    the middle of the "body".
    """

    status: int
    headers: dict[str, str]
    body: bytes
    delay: float = 0.0
    cut: Cut = ""


class Refused(Exception):
    """A refused request, which is answered with the error envelope."""

    def __init__(self, status: int, code: int, message: str, *more: tuple[int, str]) -> None:
        """Codes are at least 1000; ``more`` are further codes with their messages."""
        super().__init__(message)
        self.status, self.code, self.message, self.more = status, code, message, more


def refuse_route(request: IncomingRequest, status: int = 404) -> Refused:
    """Refuse a path that has no operation."""
    why = f"Could not route to {request.path}, perhaps your object identifier is invalid?"
    return Refused(status, 7003, why, (7000, "No route for that URI"))


def ok(result: object, result_info: object = None, status: int = 200) -> OutgoingResponse:
    """Answer with the success envelope."""
    return ok_raw(msgspec.json.encode(result), result_info, status)


def ok_raw(result: bytes, result_info: object = None, status: int = 200) -> OutgoingResponse:
    """Answer with a result that is encoded already."""
    parts = [b'{"success":true,"errors":[],"messages":[],"result":', result]
    if result_info is not None:
        parts += [b',"result_info":', msgspec.json.encode(result_info)]
    return OutgoingResponse(status, dict(JSON_TYPE), b"".join([*parts, b"}"]))


def refuse(status: int, code: int, message: str, *more: tuple[int, str]) -> OutgoingResponse:
    """Answer with the error envelope."""
    told = [{"code": one, "message": said} for one, said in ((code, message), *more)]
    body = {"success": False, "errors": told, "messages": [], "result": None}
    return OutgoingResponse(status, dict(JSON_TYPE), msgspec.json.encode(body))


@lru_cache(maxsize=8192)
def format_seconds(at: int) -> str:
    """Write a moment (whole epoch seconds) as RFC 3339 without a time zone."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))


def format_moment(at: float) -> str:
    """Write a moment (epoch seconds) as RFC 3339 in UTC with milliseconds."""
    whole, thousandths = divmod(int(at * 1000), 1000)
    return f"{format_seconds(whole)}.{thousandths:03d}Z"


def format_http_date(at: float) -> str:
    """Write a moment as an HTTP date (RFC 7231), whole seconds."""
    return _format_http_date(int(at))


@lru_cache(maxsize=1024)
def _format_http_date(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")


class Reader:
    """Reads the values of a query or a body, and refuses invalid ones, all with the same status."""

    def __init__(self, status: int) -> None:
        self.status = status

    def refuse(self, message: str) -> NoReturn:
        """Refuse the request."""
        raise Refused(self.status, 10001, message)

    def time(self, request: IncomingRequest, name: str, default: float) -> float:
        """Read a moment from the query, in epoch seconds."""
        text = request.get(name)
        if text is None:
            return default
        try:
            read = datetime.fromisoformat(text)
        except ValueError:
            self.refuse(f"{name} must be an RFC 3339 date-time")
        if read.tzinfo is None:
            self.refuse(f"{name} must name its time zone")
        return read.timestamp()

    def number(self, request: IncomingRequest, name: str, default: int, most: int) -> int:
        """Read a number from 1 to ``most`` from the query."""
        text = request.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER and 1 <= int(text) <= most):
            self.refuse(f"{name} must be a number from 1 to {most}")
        return int(text)

    def flag(self, request: IncomingRequest, name: str, *, default: bool | None) -> bool | None:
        """Read true or false from the query."""
        text = request.get(name)
        if text is None:
            return default
        if text not in {"true", "false"}:
            self.refuse(f"{name} must be true or false")
        return text == "true"

    def one_of(self, request: IncomingRequest, name: str, allowed: frozenset[str]) -> str | None:
        """Read one word of a fixed set from the query."""
        text = request.get(name)
        if text is not None and text not in allowed:
            self.refuse(f"{name} must be one of {', '.join(sorted(allowed))}")
        return text

    def json(self, request: IncomingRequest) -> object:
        """Read the body, which must be JSON, and not nested too deeply to be read."""
        try:
            decoded: object = msgspec.json.decode(request.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.refuse("the body is not valid JSON")
        return decoded

    def mapping(self, request: IncomingRequest) -> Json:
        """Read the body, which must be a JSON object."""
        body = self.json(request)
        if not isinstance(body, dict):
            self.refuse("the body must be a JSON object")
        return body

    def ids(self, value: object, most: int = 1000) -> list[str]:
        """Read a list of at least one and at most ``most`` ids."""
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            self.refuse("ids must be a list of strings")
        if not 1 <= len(value) <= most:
            self.refuse(f"ids must name 1 to {most} messages")
        return value


def ok_page(rows: list[Json], number: int, size: int) -> OutgoingResponse:
    """Answer with one page of a list, with page numbers and true totals."""
    shown = rows[(number - 1) * size : number * size]
    info = {"count": len(shown), "page": number, "per_page": size, "total_count": len(rows)}
    return ok(shown, info)


class Call(Struct, frozen=True):
    """A request that is admitted: its moment, the label of its credential, and the ids in its path."""

    request: IncomingRequest
    now: float
    by: str
    ids: tuple[str, ...] = ()
