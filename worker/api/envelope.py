"""Interpret answers of the API. Pure."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from email.message import Message
from typing import Generic, NamedTuple, NoReturn, TypeVar, cast
from urllib.parse import parse_qsl, unquote, urljoin, urlsplit

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from worker.api.brackets import LIST, find_list, tell_apart
from worker.api.long_mail import close_mail
from worker.api.refusals import NULL, UNREADABLE, Refusal, read_page, read_refusal
from worker.api.retry_after import read_retry_after
from worker.api.transport import Response
from worker.errors import NotEntitled, NotFound, Paced, Rejected, ServerFault, Unauthorised, Unsure, WorkerError
from worker.escaping import escape
from worker.language.mending import disarm, mend
from worker.language.reading import explain_mismatch

T = TypeVar("T")
Reader = Callable[[Raw], T]
"""Decodes the result in an envelope, such as ``msgspec.json.Decoder(list[Raw]).decode``; raises msgspec's errors."""

OK, REDIRECT, UNKNOWN_CREDENTIAL, FORBIDDEN, MISSING = 200, 300, 401, 403, 404
DECISIONS = frozenset({2, 4})
"""The classes of statuses (2xx, 4xx) that say whether a request was carried out."""
TIMEOUT, TOO_EARLY, TOO_MANY = 408, 425, 429
WITHOUT_OPERATION = frozenset({404, 405, 410})
"""Statuses that a path without an operation may have; so may one that names an unknown message."""
UNROUTED = frozenset({7000, 7001, 7003})
"""Cloudflare's codes for: no route, no such method there, could not route."""
NO_CONTENT = 204
WORDLESS = frozenset({("GET", "/settings/domains/{id}/verification")})
"""Operations that may answer 204 without a body; any other 204 is not the API's."""
EMPTY = Raw(b"[]")
"""A list without entries."""


class CutShort(ServerFault):
    """The answer came whole and ends in the middle: half of the list may be answered."""


class Oversized(CutShort):
    """The answer is longer than anybody reads: a smaller page may be answered."""


class Endpoint(Struct, frozen=True):
    """An operation of the API: a method and the template of a path."""

    method: str
    path: str
    writes: bool = False

    @property
    def permission(self) -> str:
        """What a credential needs."""
        return f"Cloud Email Security: {'Write' if self.writes else 'Read'}"

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class ResultInfo(Struct, frozen=True):
    """Where the next page is: a cursor (search), or counts (everything else), which may come as text."""

    next: str | int | None = None
    count: int | None = None
    per_page: int | None = None
    total_count: int | None = None

    @property
    def cursor(self) -> str | None:
        """Where the next page begins, as text."""
        return None if self.next is None else str(self.next) or None

    @property
    def counts_nothing(self) -> bool:
        """Whether the API says that this page is empty and the last; a total alone does not, a search's is always 0."""
        return self.count == 0 and not self.total_count and self.cursor is None


class Envelope(Struct, frozen=True):
    """The wrapper of every answer; fields whose form is not certain are decoded later."""

    success: bool
    result: Raw = NULL
    errors: Raw = NULL
    messages: Raw = NULL
    result_info: Raw = NULL


class Listing(Struct, frozen=True):
    """The same, of a list."""

    success: bool
    result: list[Raw]
    result_info: Raw = NULL


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
    is_guess: bool = False
    """Whether ``next`` is a guess: this page is full, and the API counts nothing."""

    @property
    def complete(self) -> bool:
        """Whether this is the last page."""
        return self.next is None


split_list: Reader[list[Raw]] = msgspec.json.Decoder(list[Raw]).decode
nothing: Reader[None] = lambda _: None  # noqa: E731 (a reader like its neighbours)
envelope = msgspec.json.Decoder(Envelope)
listing = msgspec.json.Decoder(Listing)
read_info = msgspec.json.Decoder(ResultInfo | None, strict=False).decode
"""Takes counts as text, too; a cursor is left as it came."""


def show(read: Reader[T], on_raw: Reader[object]) -> Reader[T]:
    """Return a reader that also hands a result on as it came, once that could be read."""

    def read_and_show(result: Raw) -> T:
        found = read(result)
        on_raw(result)
        return found

    return read_and_show


def records(result: Raw) -> list[Raw]:
    """Return the records of a list, told apart by their brackets where the list is not JSON as a whole."""
    try:
        return split_list(result)
    except msgspec.ValidationError:  # JSON, but no list
        raise
    except UNREADABLE:
        return tell_apart(result)


def next_cursor(operation: str, answer: Answer[list[Raw]], cursor: str | None) -> str | None:
    """Return the cursor of the next page; raise ServerFault when that is the page at ``cursor`` again."""
    named = answer.info.cursor if answer.info else None
    if named and named == cursor:
        raise ServerFault(f"{operation}: the API named the page just read as the next one")
    return named


def paginate(answer: Answer[list[Raw]], page: int, per_page: int) -> RecordPage:
    """Make a page of a list with page numbers."""
    following, total = str(page + 1) if has_more(answer, page, per_page) else None, read_total(answer)
    return RecordPage(tuple(answer.result), following, answer.begun, total, following is not None and total is None)


def has_more(answer: Answer[list[T]], page: int, per_page: int) -> bool:
    """Tell whether another page follows; without a total, a page that is not full is the last one.

    The API may make pages smaller than requested. More entries than requested, without a word about pages, are all
    there are: reports had no pages until October 2026.
    """
    found, info, total = len(answer.result), answer.info or ResultInfo(), read_total(answer)
    size = min(info.per_page or per_page, per_page)
    reached = (page - 1) * size + found
    # Beyond the total: the pages are smaller than the API says, so count with the size of this one.
    more = found >= size if total is None else reached < total or (reached > total and page * found < total)
    whole = answer.info is None and found > per_page
    return bool(found) and more and not whole


def read_total(answer: Answer[list[T]]) -> int | None:
    """Return how many entries the API counts; a total below the number of entries on this page is ignored."""
    total = answer.info.total_count if answer.info else None
    return total if len(answer.result) <= (total or 0) else None


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


class Exchange(NamedTuple):
    """An operation and the answer to it, which came at ``now`` in seconds since the epoch."""

    endpoint: Endpoint
    response: Response
    now: float

    def unwrap(self) -> Envelope:
        """Decode the envelope; raise when the answer has none."""
        status, body = self.response.status, disarm(self.response.body)
        if status == NO_CONTENT and not body and (self.endpoint.method, self.endpoint.path) in WORDLESS:
            return Envelope(success=True)
        if not is_json(self.response):
            kind = self.response.headers.get("content-type", "no content type")
            raise self.make_page_fault(f"answered {status} with {kind} instead of JSON")
        try:
            return envelope.decode(body)
        except UNREADABLE as error:
            found = open_damaged(body)
            if found is None:
                raise self.find_cut(body) or self.make_page_fault(
                    f"answered {status} with invalid JSON: {error}"
                ) from None
            return found

    def is_decided(self, answer: Envelope) -> bool:
        """Return whether the answer says if the request was carried out, and does not contradict itself."""
        status = self.response.status
        decided = status // 100 in DECISIONS and status not in {TIMEOUT, TOO_EARLY}
        return decided and answer.success is (status < REDIRECT)

    def describe(self, refusal: Refusal) -> str:
        """Say what the API answered, and what to do next."""
        return f"{self.endpoint}: the API answered {self.response.status}: {refusal.words}{self._advise(refusal)}"

    def raise_refusal(self, refusal: Refusal) -> NoReturn:
        """Raise the error for a 4xx that says what to do next."""
        sentence, status = self.describe(refusal), self.response.status
        if status == FORBIDDEN and refusal.is_unentitled:
            raise NotEntitled(sentence, reason=refusal.words)
        if status in {UNKNOWN_CREDENTIAL, FORBIDDEN} or refusal.is_of_credential(status):
            raise Unauthorised(sentence, reason=refusal.words)
        if status == MISSING:
            raise NotFound(sentence, reason=refusal.words, codes=refusal.codes)
        raise Rejected(sentence, status=status, reason=refusal.words, codes=refusal.codes)

    def make_page_fault(self, problem: str) -> WorkerError:
        """Make the error of an answer that is not the API's; a page of Cloudflare's edge says more than ``problem``."""
        page = read_page(self.response)
        if page.edge:
            problem = f"answered {self.response.status} with {page.words}"
        return self.make_fault(problem, page)

    def find_cut(self, body: bytes) -> WorkerError | None:
        """Return the error of a list that ends in the middle; None for anything else."""
        if self.endpoint.writes or not LIST.search(body) or find_list(body):
            return None
        return CutShort(f"{self.endpoint}: the API answered {self.response.status} with a list that does not end")

    def make_fault(self, problem: str, refusal: Refusal | None = None) -> WorkerError:
        """Make the error of an answer that says nothing about the outcome."""
        after = read_retry_after(self.response.headers, self.now) or 0.0
        return make_fault(self.endpoint, problem, advice=self._advise(refusal) if refusal else "", after=after)

    def _advise(self, refusal: Refusal) -> str:
        advice = refusal.advise(self.response.status, self.endpoint.permission)
        return f". {advice}" if advice else ""


def open_list(response: Response) -> tuple[list[Raw], ResultInfo | None] | None:
    """Return what a sound answer lists, in one pass over its bytes, because pages are long; None for any other."""
    if response.status != OK or not is_json(response):
        return None
    with suppress(*UNREADABLE):
        found = listing.decode(disarm(response.body))
        return (found.result, read_info(found.result_info)) if found.success else None
    return None


def open_damaged(body: bytes) -> Envelope | None:
    """Decode an envelope that is not JSON: its texts are mended, and a list that still is none is left as it came."""
    with suppress(*UNREADABLE):
        return envelope.decode(mend(body))
    found = find_list(body)
    if found is None:
        return None
    begin, end = found
    with suppress(*UNREADABLE):
        return replace(envelope.decode(mend(body[:begin] + b"[]" + body[end:])), result=Raw(body[begin:end]))
    return None


def interpret(endpoint: Endpoint, response: Response, read: Reader[T], now: float) -> tuple[T, ResultInfo | None]:
    """Return the result, or raise the error that the answer means; a senseless answer is a fault, never empty.

    ``now`` is the time in seconds since the epoch, for answers that ask to wait until a time and have no Date.
    """
    response = replace(response, body=close_mail(response.body)) if response.is_cut else response
    if read is records and (found := open_list(response)):
        return cast("tuple[T, ResultInfo | None]", found)
    exchange = Exchange(endpoint, response, now)
    if response.status == TOO_MANY:
        raise Paced(exchange.describe(_read_refusal(response)))
    answer = exchange.unwrap()
    if not exchange.is_decided(answer):
        refusal = read_refusal(answer.errors, answer.messages)
        raise exchange.make_fault(f"answered {response.status}: {refusal.words}", refusal)
    if not answer.success:
        exchange.raise_refusal(read_refusal(answer.errors, answer.messages))
    try:
        info = read_info(answer.result_info)
        return read(_choose_result(endpoint, answer, info)), info
    except UNREADABLE as error:
        raise exchange.make_fault(
            f"answered {response.status} with an unexpected result: {explain_mismatch(error)}"
        ) from None


def make_fault(endpoint: Endpoint, problem: str, *, advice: str = "", after: float = 0.0) -> WorkerError:
    """Make the error of an answer that says nothing about the outcome: retry a read, read back after a write."""
    sentence = f"{endpoint}: the API {escape(problem)}{advice}"
    return Unsure(sentence) if endpoint.writes else ServerFault(sentence, after=after)


def is_json(response: Response) -> bool:
    """Return whether the body is JSON, as the API's own answers are, unlike error pages of proxies."""
    header = Message()
    header["content-type"] = response.headers.get("content-type", "")
    return header.get_content_subtype().rpartition("+")[2] == "json"


def _read_refusal(response: Response) -> Refusal:
    """Read what an answer says, be it in an envelope or on a page."""
    try:
        answer = envelope.decode(response.body)
    except UNREADABLE:
        return read_page(response)
    return read_refusal(answer.errors, answer.messages)


def _choose_result(endpoint: Endpoint, answer: Envelope, info: ResultInfo | None) -> Raw:
    """Return the result; null is an empty list where the API itself says that there is nothing.

    Without that, a page that lost its result would look empty, and its mail would count as read. An answer to a write
    is no list of what exists, so null says nothing there.
    """
    empty = not endpoint.writes and answer.result == NULL and info is not None and info.counts_nothing
    return EMPTY if empty else answer.result


def lacks_route(refusal: NotFound | Rejected) -> bool:
    """Tell whether the API has no such operation (any more), rather than no such message."""
    status = MISSING if isinstance(refusal, NotFound) else refusal.status
    return status in WITHOUT_OPERATION and not UNROUTED.isdisjoint(refusal.codes)
