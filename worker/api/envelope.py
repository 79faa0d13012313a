"""The API client's room: what an answer means, read without any effect."""

from collections.abc import Callable, Iterable, Mapping
from email.message import Message
from typing import Any, Generic, NoReturn, TypeVar
from urllib.parse import parse_qsl, unquote, urljoin, urlsplit

import msgspec
from msgspec import Raw, Struct

from worker.api.transport import Response
from worker.errors import NotEntitled, NotFound, Paced, Rejected, ServerFault, Unauthorised, Unsure, WorkerError
from worker.escaping import escaped

T = TypeVar("T")
Reader = Callable[[Raw], T]
"""Reads an envelope's result, such as ``msgspec.json.Decoder(list[Raw]).decode``; raises msgspec's errors."""

REDIRECT, UNKNOWN_CREDENTIAL, FORBIDDEN, MISSING = 300, 401, 403, 404
DECISIONS = frozenset({2, 4})
"""The hundreds of statuses that say what became of a request; a redirect and a fault do not."""
TIMEOUT, TOO_EARLY, TOO_MANY = 408, 425, 429
NO_CONTENT = 204
WORDLESS = frozenset({("GET", "/settings/domains/{id}/verification")})
"""Operations that may answer 204 without a body; from any other that is no answer of the API."""
UNREADABLE = (ValueError, OverflowError, RecursionError)
"""What reading hostile JSON raises; all of msgspec's errors are ValueErrors."""
MOST_ASKED = 3600.0
UNENTITLED = ("subscription", "not available", "entitle", "upgrade")
"""Words that tell the 403 of a missing subscription from that of a missing permission; the codes do not."""


class Endpoint(Struct, frozen=True):
    """What is asked of the API: a method and a template of a path."""

    method: str
    path: str
    writes: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class ResultInfo(Struct, frozen=True):
    """How to go on reading: a cursor (search), or counts (everything else)."""

    next: str | None = None
    count: int | None = None
    per_page: int | None = None
    total_count: int | None = None


class Envelope(Struct, frozen=True):
    """The wrapping of every answer; what cannot be relied on is left as it came."""

    success: bool
    result: Raw = Raw(b"null")
    errors: Any = None
    result_info: ResultInfo | None = None


class Answer(Struct, Generic[T], frozen=True):
    """A successful answer: its request left at ``begun`` by the API's time, ``sent`` by the monotonic clock."""

    status: int
    result: T
    info: ResultInfo | None
    headers: Mapping[str, str]
    begun: float
    sent: float
    url: str = ""


class RecordPage(Struct, frozen=True):
    """A page of records as they came; ``next`` says how to go on, ``total`` how many there are (when the API does)."""

    records: tuple[Raw, ...]
    next: str | None
    begun: float
    total: int | None = None

    @property
    def complete(self) -> bool:
        """Whether the listing ends with this page."""
        return self.next is None


records: Reader[list[Raw]] = msgspec.json.Decoder(list[Raw]).decode
nothing: Reader[None] = lambda _: None  # noqa: E731 (a reader like its neighbours)
envelope = msgspec.json.Decoder(Envelope)


def next_cursor(operation: str, answer: Answer[list[Raw]], cursor: str | None) -> str | None:
    """Return the cursor of the page after the one at ``cursor``; raise ServerFault when it names itself, endlessly."""
    named = (answer.info and answer.info.next) or None
    if named and named == cursor:
        raise ServerFault(f"{operation}: the API named the page just read as the next one")
    return named


def paginate(answer: Answer[list[Raw]], page: int, per_page: int) -> RecordPage:
    """Make a page of a listing by page numbers; where nobody counts, a page that is not full is the last.

    The API may make its pages smaller than they were asked for. A total of less than what is here counts nothing.
    """
    found, info = len(answer.result), answer.info or ResultInfo()
    size = min(info.per_page or per_page, per_page)
    total = info.total_count if found <= (info.total_count or 0) else None
    reached = (page - 1) * size + found
    # Further than there is in all: the pages are smaller than the API says, and only what is here can be counted.
    more = found >= size if total is None else reached < total or (reached > total and page * found < total)
    following = str(page + 1) if found and more else None
    return RecordPage(tuple(answer.result), following, answer.begun, total)


def read_each(read: Reader[T], found: Iterable[Raw]) -> tuple[tuple[T, ...], tuple[Raw, ...]]:
    """Read each record, and return those that cannot be read as they came; a broken one costs only itself."""
    entries, unread = list[T](), list[Raw]()
    for record in found:
        try:
            entries.append(read(record))
        except UNREADABLE:
            unread.append(record)
    return tuple(entries), tuple(unread)


def read_location(answer: Answer[T], root: str) -> tuple[str, tuple[tuple[str, str], ...]] | None:
    """Return path and query of a 202's Location; None unless it lies below ``root`` where the question was asked."""
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


def interpret(endpoint: Endpoint, response: Response, read: Reader[T]) -> tuple[T, ResultInfo | None]:
    """Return the result, or raise what the answer means; whatever makes no sense is a fault, never an empty result."""
    if response.status == TOO_MANY:
        raise Paced(f"{endpoint}: the API's request quota is spent; waiting as long as it said")
    told = _unwrap(endpoint, response)
    decided = response.status // 100 in DECISIONS and response.status not in {TIMEOUT, TOO_EARLY}
    if not decided or told.success is not (response.status < REDIRECT):
        raise fault(endpoint, f"answered {response.status}: {_describe_errors(told)}", response)
    if not told.success:
        _raise_refusal(endpoint, response.status, _describe_errors(told))
    try:
        return read(told.result), told.result_info
    except UNREADABLE as error:
        raise fault(endpoint, f"answered {response.status} with an unknown kind of result: {error}", response) from None


def fault(endpoint: Endpoint, problem: str, response: Response | None = None) -> WorkerError:
    """Make the error of an answer that decides nothing: a read may be tried again, a write must be looked after."""
    sentence = f"{endpoint}: the API {escaped(problem)}"
    if endpoint.writes:
        return Unsure(sentence)
    return ServerFault(sentence, after=retry_after(response.headers) if response else 0.0)


def retry_after(headers: Mapping[str, str]) -> float:
    """Read the seconds of a Retry-After header, 0 when there are none, an hour at most."""
    told = headers.get("retry-after", "")
    return min(float(told), MOST_ASKED) if told.isascii() and told.isdigit() else 0.0


def is_json(response: Response) -> bool:
    """Tell the API's own answers from pages that something on the way made."""
    header = Message()
    header["content-type"] = response.headers.get("content-type", "")
    return header.get_content_subtype().rpartition("+")[2] == "json"


def _unwrap(endpoint: Endpoint, response: Response) -> Envelope:
    """Unwrap; raise when this is not the API's envelope."""
    if response.status == NO_CONTENT and not response.body and (endpoint.method, endpoint.path) in WORDLESS:
        return Envelope(success=True)
    if not is_json(response):
        kind = response.headers.get("content-type", "no content type")
        raise fault(endpoint, f"answered {response.status} with {kind} instead of JSON", response)
    try:
        return envelope.decode(response.body)
    except UNREADABLE as error:
        raise fault(endpoint, f"answered {response.status} with JSON that makes no sense: {error}", response) from None


def _describe_errors(told: Envelope) -> str:
    """Gather the API's own words, without control characters and not too many."""
    errors = told.errors if isinstance(told.errors, list) else []
    words = [str(error.get("message", "")) for error in errors if isinstance(error, dict)]
    return escaped("; ".join(filter(None, words))) or "no reason given"


def _raise_refusal(endpoint: Endpoint, status: int, said: str) -> NoReturn:
    """Raise the error that says what to do next about a 4xx."""
    sentence = f"{endpoint}: the API answered {status}: {said}"
    if status == UNKNOWN_CREDENTIAL:
        raise Unauthorised(f"{sentence}. Is the credential right, and not expired?")
    if status == FORBIDDEN and any(word in said.lower() for word in UNENTITLED):
        raise NotEntitled(f"{sentence}. The account's subscription does not include this")
    if status == FORBIDDEN:
        needed = "Write" if endpoint.writes else "Read"
        raise Unauthorised(
            f'{sentence}. The credential needs the permission "Cloud Email Security: {needed}" for this account'
        )
    if status == MISSING:
        raise NotFound(sentence)
    raise Rejected(sentence, status=status)
