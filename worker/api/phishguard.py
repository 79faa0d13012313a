"""``/phishguard``: reports of PhishGuard analysts."""

from collections.abc import AsyncGenerator

from worker.api.calls import Calls
from worker.api.clock import format_time
from worker.api.envelope import RecordPage, paginate, records
from worker.api.pacing import Urgency
from worker.api.paging import walk_pages


class PhishGuard:
    """``/phishguard``. Without its own subscription, calls raise NotEntitled."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def reports(
        self, *, start: float, end: float, urgency: Urgency, page: int | str = 1, per_page: int = 1000
    ) -> RecordPage:
        """Return one page of the reports between two API times; ``next`` is a page number."""
        query = [
            ("start", format_time(start)),
            ("end", format_time(end)),
            ("page", str(page)),
            ("per_page", str(per_page)),
        ]
        answer = await self._calls.call("GET", "/phishguard/reports", records, query=query, urgency=urgency)
        return paginate(answer, int(page), per_page)

    def walk(
        self, *, start: float, end: float, urgency: Urgency = Urgency.FACTS, page: str | None = None
    ) -> AsyncGenerator[RecordPage, None]:
        """Yield page after page of the reports, from a saved page number on."""

        async def ask(at: str | None) -> RecordPage:
            return await self.reports(start=start, end=end, urgency=urgency, page=at or 1)

        return walk_pages(ask, page)
