"""Search: one page of mail, as large as can be read."""

from collections.abc import Sequence

from msgspec import Raw
from msgspec.structs import replace

from worker.api.calls import Calls
from worker.api.collection import ListPage, read_page
from worker.api.envelope import Answer, Oversized, RecordPage, records
from worker.api.pacing import Urgency
from worker.language.models import Message

SMALLEST = 10
"""Messages of a page, below which no smaller one is asked for."""


class SearchPage(RecordPage, frozen=True):
    """A page of a search with its raw records; ``next`` is a cursor."""

    def read(self) -> ListPage[Message]:
        """Decode the records of the page; ``broken`` counts those that cannot be decoded."""
        return read_page(self, Message)


async def ask_for_page(
    calls: Calls, query: Sequence[tuple[str, str]], per_page: int, urgency: Urgency
) -> Answer[list[Raw]]:
    """Ask for a page of a search, and for a tenth of it when that is longer than anybody reads.

    Raises Oversized when even the smallest page is.
    """
    try:
        sized = [*query, ("per_page", str(per_page))]
        answer = await calls.call("GET", "/investigate", records, query=sized, urgency=urgency)
        found = await calls.poll(answer, records, urgency=urgency)
        return replace(found, begun=answer.begun)  # what arrived while it was made may not be in it
    except Oversized:
        if per_page <= SMALLEST:
            raise
    return await ask_for_page(calls, query, max(SMALLEST, per_page // 10), urgency)
