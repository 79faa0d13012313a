"""``/submissions``: requests to review the verdict on a mail."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Literal

from worker.api.bodies import Where
from worker.api.calls import Calls
from worker.api.clock import format_time
from worker.api.collection import ListPage, read_page
from worker.api.envelope import nothing, paginate, records
from worker.api.pacing import Urgency
from worker.api.paging import walk_pages
from worker.language.models import AskedDisposition, Submission

SubmissionKind = Literal["reclassification", "missed_detection"]


class WhereSubmission(Where, frozen=True, kw_only=True):
    """Conditions on submissions; TEAM are those of the security team, USER those of users."""

    type: Literal["TEAM", "USER"] | None = None
    status: str | None = None
    direction: Literal["asc", "desc"] | None = None
    escalated_from_user: bool | None = None
    order: str | None = None
    original_disposition: AskedDisposition | None = None
    outcome_disposition: AskedDisposition | None = None
    query: str | None = None
    requested_disposition: AskedDisposition | None = None
    submission_id: str | None = None


class SubmissionsResource:
    """``/submissions``."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def list(
        self,
        where: WhereSubmission | None = None,
        *,
        start: float,
        end: float,
        urgency: Urgency = Urgency.FACTS,
        page: int | str = 1,
        per_page: int = 1000,
    ) -> ListPage[Submission]:
        """Return one page of the submissions between two API times; ``next`` is a page number."""
        query = [
            ("start", format_time(start)),
            ("end", format_time(end)),
            ("page", str(page)),
            ("per_page", str(per_page)),
        ]
        query += where.to_query() if where else ()
        answer = await self._calls.call("GET", "/submissions", records, query=query, urgency=urgency)
        return read_page(paginate(answer, int(page), per_page), Submission)

    def walk(
        self,
        *,
        start: float,
        end: float,
        type: Literal["TEAM", "USER"] | None = None,  # noqa: A002 (the API's word)
        urgency: Urgency = Urgency.FACTS,
        page: str | None = None,
    ) -> AsyncGenerator[ListPage[Submission], None]:
        """Yield page after page, oldest first, so that new submissions come at the end."""
        where = WhereSubmission(type=type, order="requested_at", direction="asc")

        async def ask(at: str | None) -> ListPage[Submission]:
            return await self.list(where, start=start, end=end, urgency=urgency, page=at or 1)

        return walk_pages(ask, page)

    async def create(
        self,
        type: SubmissionKind,  # noqa: A002
        messages: Sequence[Mapping[str, object]],
    ) -> None:
        """Request new verdicts. The items are not documented; the answer only says that the request was accepted."""
        body = {"type": type, "messages": messages}
        await self._calls.call("POST", "/submissions", nothing, body=body, urgency=Urgency.ACT, writes=True)
