"""The API client's room: requests to judge a mail again."""

from typing import Literal

import msgspec

from worker.api.calls import Calls
from worker.api.clock import written
from worker.api.envelope import Page, numbered, readable, records
from worker.api.pacing import Urgency
from worker.models import Submission

submission = msgspec.json.Decoder(Submission).decode


class SubmissionPage(Page, frozen=True, kw_only=True):
    """A page of submissions; ``submissions`` are the records that can be read, ``broken`` counts the others."""

    submissions: tuple[Submission, ...]
    broken: int


class Submissions:
    """``/submissions``."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def submissions(
        self,
        *,
        start: float,
        end: float,
        urgency: Urgency,
        type: Literal["TEAM", "USER"] | None = None,  # noqa: A002 (the API's word)
        page: int | str = 1,
        per_page: int = 1000,
    ) -> SubmissionPage:
        """Return one page of the submissions between two API times, oldest first; ``next`` is a page number."""
        query = [("start", written(start)), ("end", written(end)), ("page", str(page)), ("per_page", str(per_page))]
        # Oldest first: what comes in while pages are turned is added at the end and shifts nothing.
        query += [("order", "requested_at"), ("direction", "asc"), *([("type", type)] if type else [])]
        answer = await self._calls.call("GET", "/submissions", records, query=query, urgency=urgency)
        found = numbered(answer, int(page), per_page)
        read = readable(submission, found.records)
        return SubmissionPage(
            records=found.records,
            next=found.next,
            begun=found.begun,
            total=found.total,
            submissions=read,
            broken=len(found.records) - len(read),
        )
