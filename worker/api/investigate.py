"""``/investigate``: search mail, read one message, move, release and reclassify."""

from collections.abc import AsyncGenerator, Sequence
from functools import cached_property, partial
from itertools import count
from typing import ClassVar

from msgspec import Raw

from worker.api.bodies import WhereMessage
from worker.api.bulk import Bulk, BulkSearch
from worker.api.calls import Calls
from worker.api.clock import format_time
from worker.api.envelope import (
    Answer,
    Reader,
    RecordPage,
    T,
    has_more,
    lacks_route,
    next_cursor,
    nothing,
    read_total,
    show,
)
from worker.api.long_mail import LONGEST
from worker.api.models import LoadedMail, Preview, read_mail
from worker.api.pacing import Urgency
from worker.api.paging import walk_pages
from worker.api.search import SearchPage, ask_for_page
from worker.api.submissions import SubmissionKind, SubmissionsResource
from worker.errors import NotFound, Rejected, ServerFault, Unsent
from worker.language.base import Noun
from worker.language.models import ActionLog, AskedDisposition, Destination, Detection, LogEntry, Trace
from worker.language.reading import read, read_all
from worker.language.times import Time, epoch

INVALID = frozenset({400, 422})
"""Statuses with which a body may be rejected; the API does not document which."""
MOST_MOVED, MOST_RELEASED = 1000, 100
LOG_PAGE = 1000
"""Lines of an action log on a page: as many as the API allows, because each attempt of a move has its own."""


VerdictRequest = dict[str, str | bytes]
"""The body of a request for a new verdict."""


class MoveItem(Noun, frozen=True):
    """The result for one recipient's copy; the API does not say which requested message it belongs to."""

    success: bool
    recipient: str | None = None
    message_id: str | None = None
    status: str | None = None
    destination: str | None = None


class Released(Noun, frozen=True):
    """The result of releasing a message, by recipient."""

    _older: ClassVar[dict[str, str]] = {"id": "postfix_id"}

    id: str
    delivered: tuple[str, ...] | None = None
    failed: tuple[str, ...] | None = None
    undelivered: tuple[str, ...] | None = None


class WireProperties(Noun, frozen=True):
    """Details of an operation; what it does not have is null or missing."""

    _keys = ("folder", "requested_by")

    folder: str | None = None
    requested_by: str | None = None
    requested_disposition: str | None = None
    service: str | None = None
    submission_id: str | None = None
    submission_type: str | None = None


class WireLogEntry(Noun, frozen=True):
    """An entry of an action log as sent."""

    _keys = ("completed_at", "status", "properties")
    _older: ClassVar[dict[str, str]] = {"completed_at": "completed_timestamp"}

    operation: str
    completed_at: Time = None
    status: str | None = None
    started_at: Time = None
    success: bool | None = None
    properties: WireProperties | None = None

    def entry(self) -> LogEntry:
        """Return the entry as rules read it."""
        properties = self.properties or WireProperties()
        return LogEntry(
            operation=self.operation,
            completed_at=self.completed_at,
            status=self.status or "",
            folder=properties.folder or "",
            requested_by=properties.requested_by or "",
            started_at=self.started_at,
            success=self.success,
            requested_disposition=properties.requested_disposition or "",
            service=properties.service or "",
            submission_id=properties.submission_id or "",
            submission_type=properties.submission_type or "",
        )


class Named(Noun, frozen=True):
    """What every message has: an id."""

    id: str


named = partial(read, Named)
detection, trace, preview = partial(read, Detection), partial(read, Trace), partial(read, Preview)
lines = partial(read_all, WireLogEntry)
moved, released = partial(read_all, MoveItem), partial(read_all, Released)


class Investigate:
    """``/investigate``: mail, and operations on it."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._submissions = SubmissionsResource(calls)
        self._outdated = set[str]()
        """Paths of which the API takes the older body."""
        self._submits = False

    @cached_property
    def bulk(self) -> Bulk:
        """Jobs that move or release everything that a search finds."""
        return Bulk(self._calls, self._counting)

    def _counting(self, search: BulkSearch) -> AsyncGenerator[RecordPage, None]:
        clean_too = search.detections_only is False
        where, start, end = search.as_search(), search.start, search.end
        return self.walk(where, start=start, end=end, urgency=Urgency.ACT, detections_only=not clean_too)

    async def search(
        self,
        where: WhereMessage | None = None,
        *,
        start: float,
        end: float,
        urgency: Urgency,
        cursor: str | None = None,
        detections_only: bool = True,
        per_page: int = 1000,
    ) -> SearchPage:
        """Return one page of the mail scanned between two API times; raise SlowSearch when that takes over a minute."""
        interval = {
            "start": format_time(start),
            "end": format_time(end),
            "detections_only": format_flag(detections_only),
        }
        query = [*interval.items(), *(where.to_query() if where else ()), *([("cursor", cursor)] if cursor else [])]
        found = await ask_for_page(self._calls, query, per_page, urgency)
        return SearchPage(tuple(found.result), next_cursor("GET /investigate", found, cursor), found.begun)

    def walk(
        self,
        where: WhereMessage | None = None,
        *,
        start: float,
        end: float,
        urgency: Urgency,
        cursor: str | None = None,
        detections_only: bool = True,
    ) -> AsyncGenerator[SearchPage, None]:
        """Yield page after page of a search, from a saved cursor on; a rejected cursor restarts the search."""

        async def ask(at: str | None) -> SearchPage:
            return await self.search(
                where, start=start, end=end, urgency=urgency, cursor=at, detections_only=detections_only
            )

        return walk_pages(ask, cursor)

    async def get(self, id: str, urgency: Urgency = Urgency.PROVE, *, submission: bool = False) -> Raw:  # noqa: A002 (the API's word)
        """Return one message as it is now, or as it was submitted (another store); raise NotFound."""
        return await self._read(id, "", _check_message, urgency, _select_store(submission))

    async def action_log(
        self,
        id: str,  # noqa: A002
        urgency: Urgency = Urgency.FACTS,
        *,
        submission: bool = False,
        on_raw: Reader[object] = nothing,
    ) -> ActionLog:
        """Return all operations on a message, oldest first; entries without a time come last.

        An entry that cannot be decoded is a ServerFault, because without it an operation could be repeated. So is a log
        that the API does not show to its end.
        """
        found, last, read = list[LogEntry](), list[LogEntry](), show(_read_lines, on_raw)
        for page in count(1):
            query = (*_select_store(submission), ("page", str(page)), ("per_page", str(LOG_PAGE)))
            answer = await self._ask(id, "/action_log", read, urgency, query)
            if last and answer.result[: len(last)] == last:  # whoever knows no pages shows the same each time
                return _sort_log(_check_whole(max(found, answer.result, key=len), answer))
            found, last = [*found, *answer.result], answer.result
            if not has_more(answer, page, LOG_PAGE):
                break
        return _sort_log(found)

    async def detections(
        self,
        id: str,  # noqa: A002
        urgency: Urgency = Urgency.FACTS,
        *,
        on_raw: Reader[object] = nothing,
    ) -> Detection:
        """Return why a message was detected; raise NotFound for one that was not."""
        return await self._read(id, "/detections", show(detection, on_raw), urgency)

    async def raw(self, id: str, urgency: Urgency = Urgency.FACTS) -> LoadedMail:  # noqa: A002
        """Return the raw text of a detected mail (EML), of one over 40 MB the beginning; raise NotFound."""
        path, where = "/investigate/{id}/raw", {"id": id}
        return (await self._calls.call("GET", path, read_mail, where=where, urgency=urgency, cut_at=LONGEST)).result

    async def trace(self, id: str, urgency: Urgency = Urgency.FACTS, *, on_raw: Reader[object] = nothing) -> Trace:  # noqa: A002
        """Return the log of the mail servers about a message; more may come while a part is pending."""
        return await self._read(id, "/trace", show(trace, on_raw), urgency)

    async def preview(self, id: str, urgency: Urgency = Urgency.FACTS) -> Preview:  # noqa: A002
        """Return a picture of a detected mail; this adds an entry to its action log."""
        return await self._read(id, "/preview", preview, urgency)

    async def preview_clean(self, id: str) -> Preview:  # noqa: A002
        """Make a picture of a mail that was not detected and is still in the inbox; raise NotFound."""
        older = {"postfix_id": id.partition("-")[0]}
        return await self._write_either("/investigate/preview", preview, {"id": id}, older)

    async def _read(
        self,
        id: str,  # noqa: A002
        part: str,
        read: Reader[T],
        urgency: Urgency,
        query: tuple[tuple[str, str], ...] = (),
    ) -> T:
        return (await self._ask(id, part, read, urgency, query)).result

    async def _ask(
        self,
        id: str,  # noqa: A002
        part: str,
        read: Reader[T],
        urgency: Urgency,
        query: tuple[tuple[str, str], ...],
    ) -> Answer[T]:
        path = "/investigate/{id}" + part
        return await self._calls.call("GET", path, read, where={"id": id}, query=query, urgency=urgency)

    async def _write(self, path: str, read: Reader[T], body: object, id: str = "") -> T:  # noqa: A002
        where = {"id": id} if id else None
        answer = await self._calls.call("POST", path, read, where=where, body=body, urgency=Urgency.ACT, writes=True)
        return answer.result

    async def move(self, ids: Sequence[str], destination: Destination) -> tuple[MoveItem, ...]:
        """Move at most 1,000 messages to a folder, and return an item per recipient; some may have failed."""
        _check_count("POST /investigate/move", ids, MOST_MOVED)
        return await self._write("/investigate/move", moved, {"destination": destination, "ids": ids})

    async def move_one(self, id: str, destination: Destination) -> tuple[MoveItem, ...]:  # noqa: A002
        """Move one message, and return an item per recipient."""
        return await self._write("/investigate/{id}/move", moved, {"destination": destination}, id)

    async def release(self, ids: Sequence[str]) -> tuple[Released, ...]:
        """Deliver at most 100 quarantined messages; ids that the API does not know are missing in the answer.

        Since October 2026 the body is an object; before, it was a list.
        """
        _check_count("POST /investigate/release", ids, MOST_RELEASED)
        return await self._write_either("/investigate/release", released, {"ids": ids}, ids)

    async def _write_either(self, path: str, read: Reader[T], newer: object, older: object) -> T:
        """Send a body; when it is rejected as invalid, so that nothing was carried out, send its other form.

        The form that works is kept. When both are rejected, the first error is raised.
        """
        first, second = (older, newer) if path in self._outdated else (newer, older)
        try:
            return await self._write(path, read, first)
        except Rejected as refusal:
            if refusal.status not in INVALID:
                raise
            refused = refusal
        try:
            answer = await self._write(path, read, second)
        except Rejected:
            raise refused from None
        self._outdated ^= {path}
        return answer

    async def reclassify(
        self,
        id: str,  # noqa: A002
        expected_disposition: AskedDisposition,
        *,
        eml: bytes | None = None,
        escalated_submission_id: str | None = None,
    ) -> None:
        """Request a new verdict; the answer only says that the request was accepted.

        ``eml`` is the mail itself, which the API needs to review a mail that was not detected. Where the API has no
        such operation any more, ``POST /submissions`` is asked for the same: what has no route was not carried out.
        """
        body: dict[str, str | bytes] = {"expected_disposition": expected_disposition}
        body |= {} if eml is None else {"eml_content": eml}  # msgspec encodes bytes in base64
        body |= {} if escalated_submission_id is None else {"escalated_submission_id": escalated_submission_id}
        try:
            await self._request_verdict(id, body, submits=self._submits)
        except (NotFound, Rejected) as refusal:
            if not lacks_route(refusal):
                raise
            await self._request_otherwise(id, body, refusal)

    async def _request_otherwise(self, id: str, body: VerdictRequest, refusal: NotFound | Rejected) -> None:  # noqa: A002
        """Ask the other operation, and keep to it once it took a request; raise the first refusal if neither exists."""
        try:
            await self._request_verdict(id, body, submits=not self._submits)
        except (NotFound, Rejected) as other:
            raise (refusal if lacks_route(other) else other) from None
        self._submits = not self._submits

    async def _request_verdict(self, id: str, body: VerdictRequest, *, submits: bool) -> None:  # noqa: A002
        if not submits:
            await self._write("/investigate/{id}/reclassify", nothing, body, id)
            return
        kind: SubmissionKind = "missed_detection" if "eml_content" in body else "reclassification"
        await self._submissions.create(kind, [{"id": id, **body}])


def format_flag(value: bool) -> str:  # noqa: FBT001 (its only argument)
    """Return a truth value as a query parameter."""
    return "true" if value else "false"


def _select_store(submission: bool) -> tuple[tuple[str, str], ...]:  # noqa: FBT001
    return (("submission", "true"),) if submission else ()


def _check_message(result: Raw) -> Raw:
    """Return a message undecoded, after checking that it is one."""
    named(result)
    return result


def _read_lines(result: Raw) -> list[LogEntry]:
    """Decode a page of an action log."""
    return [line.entry() for line in lines(result)]


def _check_whole(found: list[LogEntry], answer: Answer[list[LogEntry]]) -> list[LogEntry]:
    """Return a log of which the API shows the same page again, unless it says that there is more."""
    if len(found) < (read_total(answer) or 0):
        raise ServerFault("GET /investigate/{id}/action_log: the API shows the same page of the log again and again")
    return found


def _sort_log(found: list[LogEntry]) -> ActionLog:
    """Return an action log in the order of time."""
    return ActionLog(entries=tuple(sorted(found, key=_sort_key)))


def _check_count(operation: str, ids: Sequence[str], most: int) -> None:
    """Raise Unsent for a batch that is empty or too large."""
    if not 1 <= len(ids) <= most:
        raise Unsent(f"{operation}: a request takes 1 to {most} ids, not {len(ids)}")


def _sort_key(entry: LogEntry) -> tuple[bool, float]:
    """Return a sort key: the time, unknown times last."""
    return entry.completed_at is None, epoch(entry.completed_at)
