"""Bulk jobs, which move or release everything that a search finds, and the checks that limit them."""

from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Literal, TypeVar, get_args

import msgspec

from worker.api.bodies import Conditions, WhereMessage
from worker.api.calls import Calls
from worker.api.clock import format_time
from worker.api.collection import ListPage, read_page
from worker.api.envelope import RecordPage, next_cursor, nothing, records
from worker.api.models import BulkJob, BulkMessage
from worker.api.pacing import Urgency
from worker.api.paging import walk_pages
from worker.errors import Unsent
from worker.language.base import Noun
from worker.language.models import AskedDisposition, Destination, Disposition, Message
from worker.language.reading import read

BULK = "/investigate/bulk"
JobAction = Literal["MOVE", "RELEASE"]
JobStatus = Literal["PENDING", "DISCOVERING", "PROCESSING", "COMPLETED", "FAILED", "CANCELLED"]
RowStatus = Literal["PENDING", "PROCESSING", "COMPLETED", "FAILED", "CANCELLED", "SKIPPED"]
_job = partial(read, BulkJob)
Row = TypeVar("Row", bound=Noun)


class BulkSearch(Conditions, frozen=True, kw_only=True):
    """What a job searches for: mail scanned between two API times in seconds, and at least one more condition."""

    start: float
    end: float
    action_log: bool | None = None
    detections_only: bool | None = None
    exact_subject: str | None = None
    final_disposition: Disposition | None = None
    submissions: bool | None = None

    def body(self) -> dict[str, object]:
        """Return it as the API takes it."""
        return {**msgspec.to_builtins(self), "start": format_time(self.start), "end": format_time(self.end)}

    def as_search(self) -> WhereMessage:
        """Return the conditions that a search has too; it finds at least what the job finds."""
        known = {name: value for name in WhereMessage.__struct_fields__ if (value := getattr(self, name)) is not None}
        if self.final_disposition not in get_args(AskedDisposition):
            known.pop("final_disposition", None)
        return WhereMessage(**known)

    def finds(self, message: Message) -> bool:
        """Return whether a message that a search found meets the conditions that a search does not have.

        Dispositions that the search filters itself are not checked, because Cloudflare does not document whether
        MALICIOUS includes MALICIOUS-BEC.
        """
        verdict = self.final_disposition in {None, message.final_disposition, *get_args(AskedDisposition)}
        return verdict and (self.exact_subject is None or message.subject == self.exact_subject)


Counting = Callable[[BulkSearch], AsyncGenerator[RecordPage, None]]
"""Walks a search that finds at least what a job finds."""


class Bulk:
    """``/investigate/bulk``."""

    def __init__(self, calls: Calls, walk: Counting) -> None:
        self._calls, self._walk = calls, walk

    async def list(
        self,
        *,
        action_type: JobAction | None = None,
        status: JobStatus | None = None,
        cursor: str | None = None,
        per_page: int = 1000,
        urgency: Urgency = Urgency.FACTS,
    ) -> ListPage[BulkJob]:
        """Return one page of the jobs; ``next`` is a cursor."""
        asked = {"action_type": action_type, "status": status, "per_page": str(per_page), "cursor": cursor}
        return await self._list_page(BULK, asked, BulkJob, "", urgency)

    def walk(
        self, *, status: JobStatus | None = None, cursor: str | None = None
    ) -> AsyncGenerator[ListPage[BulkJob], None]:
        """Yield page after page of the jobs, from a saved cursor on."""

        async def ask(at: str | None) -> ListPage[BulkJob]:
            return await self.list(status=status, cursor=at)

        return walk_pages(ask, cursor)

    async def create(
        self,
        action: JobAction,
        search: BulkSearch,
        *,
        expected: int,
        destination: Destination | None = None,
        comment: str | None = None,
    ) -> BulkJob:
        """Start a job after a search has shown that it touches at most ``expected`` messages.

        A message with three recipients counts once here, and three times in the job's counters. Raises Unsent for a
        search that has no condition but the time, and when the job would touch more.
        """
        self._check(action, search, expected, destination)
        await self._count(search, expected)
        body: dict[str, object] = {"action": action, "search_params": search.body()}
        body |= {} if destination is None else {"destination": destination}
        body |= {} if comment is None else {"comment": comment}
        call = self._calls.call("POST", BULK, _job, body=body, urgency=Urgency.ACT, writes=True)
        return (await call).result

    async def get(self, id: str, urgency: Urgency = Urgency.FACTS) -> BulkJob:  # noqa: A002 (the API's word)
        """Return a job as it is now; raise NotFound."""
        call = self._calls.call("GET", BULK + "/{id}", _job, where={"id": id}, urgency=urgency)
        return (await call).result

    async def messages(
        self,
        id: str,  # noqa: A002
        *,
        status: RowStatus | None = None,
        cursor: str | None = None,
        per_page: int = 1000,
        urgency: Urgency = Urgency.FACTS,
    ) -> ListPage[BulkMessage]:
        """Return one page of a job's messages, a row for each recipient; ``next`` is a cursor."""
        asked = {"status": status, "per_page": str(per_page), "cursor": cursor}
        return await self._list_page(BULK + "/{id}/messages", asked, BulkMessage, id, urgency)

    def walk_messages(
        self,
        id: str,  # noqa: A002
        *,
        status: RowStatus | None = None,
        cursor: str | None = None,
        per_page: int = 1000,
    ) -> AsyncGenerator[ListPage[BulkMessage], None]:
        """Yield page after page of a job's messages, from a saved cursor on."""

        async def ask(at: str | None) -> ListPage[BulkMessage]:
            return await self.messages(id, status=status, cursor=at, per_page=per_page)

        return walk_pages(ask, cursor)

    async def cancel(self, id: str) -> BulkJob:  # noqa: A002
        """Cancel a job; this undoes nothing that it has done. Raises Rejected when it has ended."""
        path = BULK + "/{id}/cancel"
        call = self._calls.call("POST", path, _job, where={"id": id}, urgency=Urgency.ACT, writes=True)
        return (await call).result

    async def delete(self, id: str) -> None:  # noqa: A002
        """Delete a job that has ended; raise Rejected when it has not."""
        path = BULK + "/{id}"
        await self._calls.call("DELETE", path, nothing, where={"id": id}, urgency=Urgency.ACT, writes=True)

    @staticmethod
    def _check(action: JobAction, search: BulkSearch, expected: int, destination: Destination | None) -> None:
        """Raise Unsent for a job that could touch every message, or that is incomplete."""
        given = {name for name, value in search.body().items() if str(value).strip()}
        narrowed = given - {"start", "end", "detections_only", "action_log", "submissions"}
        if not narrowed or search.end <= search.start:
            raise Unsent(
                "POST /investigate/bulk needs an end after its start and one more condition, such as sender or "
                "subject; without one it would touch every message"
            )
        if expected < 1:
            raise Unsent(
                f"POST /investigate/bulk needs the most messages that it may touch, at least 1, not {expected}"
            )
        if (action == "MOVE") is not (destination is not None):
            raise Unsent("POST /investigate/bulk takes a destination for MOVE and none for RELEASE")

    async def _count(self, search: BulkSearch, expected: int) -> None:
        """Raise Unsent when a search finds more than expected; a walk that restarted returns some messages twice."""
        found, broken = set[str](), set[bytes]()
        async for page in self._walk(search):
            messages = read_page(page, Message)
            found.update(one.id for one in messages.entries if search.finds(one))
            broken.update(bytes(record) for record in messages.unread)
            if (many := len(found) + len(broken)) > expected:
                raise Unsent(
                    f"POST /investigate/bulk was not sent: it would touch at least {many} messages, but at most "
                    f"{expected} were expected"
                )

    async def _list_page(
        self, path: str, asked: dict[str, str | None], kind: type[Row], id_: str, urgency: Urgency
    ) -> ListPage[Row]:
        query = [(name, value) for name, value in asked.items() if value is not None]
        where = {"id": id_} if id_ else None
        answer = await self._calls.call("GET", path, records, where=where, query=query, urgency=urgency)
        page = RecordPage(tuple(answer.result), next_cursor(f"GET {path}", answer, asked["cursor"]), answer.begun)
        return read_page(page, kind)
