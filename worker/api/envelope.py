"""Interpret answers of the API. Pure."""

from collections.abc import Callable, Iterable, Mapping
from email.message import Message
from typing import Any, Generic, NoReturn, TypeVar
from urllib.parse import parse_qsl, unquote, urljoin, urlsplit

import msgspec
from msgspec import Raw, Struct

from worker.api.retry_after import read_retry_after
from worker.api.transport import Response
from worker.errors import NotEntitled, NotFound, Paced, Rejected, ServerFault, Unauthorised, Unsure, WorkerError
from worker.escaping import escape

T = TypeVar("T")
Reader = Callable[[Raw], T]
"""Decodes the result in an envelope, such as ``msgspec.json.Decoder(list[Raw]).decode``; raises msgspec's errors."""

REDIRECT, UNKNOWN_CREDENTIAL, FORBIDDEN, MISSING = 300, 401, 403, 404
DECISIONS = frozenset({2, 4})
"""The classes of statuses (2xx, 4xx) that say whether a request was carried out."""
TIMEOUT, TOO_EARLY, TOO_MANY = 408, 425, 429
NO_CONTENT = 204
WORDLESS = frozenset({("GET", "/settings/domains/{id}/verification")})
"""Operations that may answer 204 without a body; any other 204 is not the API's."""
UNREADABLE = (ValueError, OverflowError, RecursionError)
"""Errors of decoding hostile JSON; all of msgspec's errors are ValueErrors."""
UNENTITLED = ("subscription", "not available", "entitle", "upgrade")
"""Words by which the 403 of a missing subscription differs from that of a missing permission; the codes are equal."""


class Endpoint(Struct, frozen=True):
    """An operation of the API: a method and the template of a path."""

    method: str
    path: str
    writes: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class ResultInfo(Struct, frozen=True):
    """Where the next page is: a cursor (search), or counts (everything else)."""

    next: str | None = None
    count: int | None = None
    per_page: int | None = None
    total_count: int | None = None


class Envelope(Struct, frozen=True):
    """The wrapper of every answer; fields whose form is not documented are not decoded."""

    success: bool
    result: Raw = Raw(b"null")
    errors: Any = None
    result_info: ResultInfo | None = None


class Answer(Struct, Generic[T], frozen=True):
    """A successful answer. Its request left at ``begun`` by the API's time, ``sent`` by the monotonic clock."""

    status: int
    result: T
    info: ResultInfo | None
    headers: Mapping[str, str]
    begun: float
    sent: float
    url: str = ""


class RecordPage(Struct, frozen=True):
    """A page of raw records; ``next`` leads to the next page, ``total`` is the API's count, if it gives one."""

    records: tuple[Raw, ...]
    next: str | None
    begun: float
    total: int | None = None

    @property
    def complete(self) -> bool:
        """Whether this is the last page."""
        return self.next is None


records: Reader[list[Raw]] = msgspec.json.Decoder(list[Raw]).decode
nothing: Reader[None] = lambda _: None  # noqa: E731 (a reader like its neighbours)
envelope = msgspec.json.Decoder(Envelope)


def next_cursor(operation: str, answer: Answer[list[Raw]], cursor: str | None) -> str | None:
    """Return the cursor of the next page; raise ServerFault when that is the page at ``cursor`` again."""
    named = (answer.info and answer.info.next) or None
    if named and named == cursor:
        raise ServerFault(f"{operation}: the API named the page just read as the next one")
    return named


def paginate(answer: Answer[list[Raw]], page: int, per_page: int) -> RecordPage:
    """Make a page of a list with page numbers; without a total, a page that is not full is the last one.

    The API may make pages smaller than requested. A total below the number of entries on this page is ignored.
    """
    found, info = len(answer.result), answer.info or ResultInfo()
    size = min(info.per_page or per_page, per_page)
    total = info.total_count if found <= (info.total_count or 0) else None
    reached = (page - 1) * size + found
    # Beyond the total: the pages are smaller than the API says, so count with the size of this one.
    more = found >= size if total is None else reached < total or (reached > total and page * found < total)
    following = str(page + 1) if found and more else None
    return RecordPage(tuple(answer.result), following, answer.begun, total)


def read_each(read: Reader[T], found: Iterable[Raw]) -> tuple[tuple[T, ...], tuple[Raw, ...]]:
    """Decode each record; return those that cannot be decoded beside the others."""
    entries, unread = list[T](), list[Raw]()
    for record in found:
        try:
            entries.append(read(record))
        except UNREADABLE:
            unread.append(record)
    return tuple(entries), tuple(unread)


def read_location(answer: Answer[T], root: str) -> tuple[str, tuple[tuple[str, str], ...]] | None:
    """Return path and query of a 202's Location; None unless it is below ``root`` on the server that was asked."""
    named = answer.headers.get("location", "")
    try:
        location, asked = urlsplit(urljoin(answer.url, named)), urlsplit(answer.url)
    except ValueError:
        return None
    before, here, rest = location.path.partition(root + "/")
    elsewhere = answer.url and (*location[:2], before) != (*asked[:2], asked.path.partition(root)[0])
    if not named or not here or elsewhere or ".." in unquote(rest).split("/"):
        return None
    return here + rest, tuple(parse_qsl(location.query, keep_blank_values=True))


def interpret(endpoint: Endpoint, response: Response, read: Reader[T], now: float) -> tuple[T, ResultInfo | None]:
    """Return the result, or raise the error that the answer means; a senseless answer is a fault, never empty.

    ``now`` is the time in seconds since the epoch, for answers that ask to wait until a time and have no Date.
    """
    after = read_retry_after(response.headers, now) or 0.0
    if response.status == TOO_MANY:
        raise Paced(f"{endpoint}: the API's request quota is spent; waiting for as long as the API says")
    answer = _unwrap(endpoint, response, after)
    decided = response.status // 100 in DECISIONS and response.status not in {TIMEOUT, TOO_EARLY}
    if not decided or answer.success is not (response.status < REDIRECT):
        raise make_fault(endpoint, f"answered {response.status}: {_describe_errors(answer)}", after)
    if not answer.success:
        _raise_refusal(endpoint, response.status, _describe_errors(answer))
    try:
        return read(answer.result), answer.result_info
    except UNREADABLE as error:
        raise make_fault(endpoint, f"answered {response.status} with an unexpected result: {error}", after) from None


def make_fault(endpoint: Endpoint, problem: str, after: float = 0.0) -> WorkerError:
    """Make the error of an answer that says nothing about the outcome: retry a read, read back after a write."""
    sentence = f"{endpoint}: the API {escape(problem)}"
    return Unsure(sentence) if endpoint.writes else ServerFault(sentence, after=after)


def is_json(response: Response) -> bool:
    """Return whether the body is JSON, as the API's own answers are, unlike error pages of proxies."""
    header = Message()
    header["content-type"] = response.headers.get("content-type", "")
    return header.get_content_subtype().rpartition("+")[2] == "json"


def _unwrap(endpoint: Endpoint, response: Response, after: float) -> Envelope:
    """Decode the envelope; raise when the answer has none."""
    if response.status == NO_CONTENT and not response.body and (endpoint.method, endpoint.path) in WORDLESS:
        return Envelope(success=True)
    if not is_json(response):
        kind = response.headers.get("content-type", "no content type")
        raise make_fault(endpoint, f"answered {response.status} with {kind} instead of JSON", after)
    try:
        return envelope.decode(response.body)
    except UNREADABLE as error:
        raise make_fault(endpoint, f"answered {response.status} with invalid JSON: {error}", after) from None


def _describe_errors(answer: Envelope) -> str:
    """Join the API's error messages, escaped and limited in length."""
    errors = answer.errors if isinstance(answer.errors, list) else []
    words = [str(error.get("message", "")) for error in errors if isinstance(error, dict)]
    return escape("; ".join(filter(None, words))) or "no reason given"


def _raise_refusal(endpoint: Endpoint, status: int, said: str) -> NoReturn:
    """Raise the error for a 4xx that says what to do next."""
    sentence = f"{endpoint}: the API answered {status}: {said}"
    if status == UNKNOWN_CREDENTIAL:
        raise Unauthorised(f"{sentence}. Check the credential; it may have expired")
    if status == FORBIDDEN and any(word in said.lower() for word in UNENTITLED):
        raise NotEntitled(f"{sentence}. The account's subscription does not include this")
    if status == FORBIDDEN:
        needed = "Write" if endpoint.writes else "Read"
        raise Unauthorised(
            f'{sentence}. The credential needs the permission "Cloud Email Security: {needed}" for this account'
        )
    if status == MISSING:
        raise NotFound(sentence)
    raise Rejected(sentence, status=status, reason=said)
