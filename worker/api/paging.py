"""The API client's room: following pages, from a saved place on, for as long as somebody wants them."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeVar

from worker.api.envelope import RecordPage
from worker.errors import NotFound, Rejected, ServerFault

P = TypeVar("P", bound=RecordPage)
RESTARTS = 3
"""How often a walk begins again because the API no longer takes its cursor."""


async def pages(ask: Callable[[str | None], Awaitable[P]], cursor: str | None = None) -> AsyncGenerator[P, None]:
    """Yield page after page; ``next`` of each is where a later walk may go on.

    When a cursor is refused on the way, the walk begins again, so that nothing is lost: its first pages come twice.
    Raises what asking raises, the refusal itself when it comes again and again, and ServerFault when the API leads back
    to where the walk has been.
    """
    restarts, been = 0, set[str | None]()
    while True:
        try:
            page = await ask(cursor)
        except (Rejected, NotFound):
            if cursor is None or restarts == RESTARTS:
                raise
            cursor, restarts, been = None, restarts + 1, set()
            continue
        been.add(cursor)
        yield page
        cursor = page.next
        if cursor is None:
            return
        if cursor in been:
            raise ServerFault("the API leads back to a page that was read already, and so to no end")
