"""Walk the pages of a list, from a saved cursor on."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeVar

from msgspec import Raw

from worker.api.envelope import RecordPage
from worker.errors import NotFound, Rejected, ServerFault

P = TypeVar("P", bound=RecordPage)
RESTARTS = 3
"""How often a walk restarts because the API rejects its cursor."""


async def walk_pages(ask: Callable[[str | None], Awaitable[P]], cursor: str | None = None) -> AsyncGenerator[P, None]:
    """Yield page after page; a later walk can go on from the ``next`` of a page.

    When the API rejects a cursor, the walk restarts, so that nothing is lost and the first pages come twice. Raises
    what ``ask`` raises, also when cursors are rejected again and again, and ServerFault when pages go in a circle.
    An API that knows no pages shows a full one again and again: the second time, that was all there is.
    """
    restarts, been, full = 0, set[str | None](), tuple[Raw, ...]()
    while True:
        try:
            page = await ask(cursor)
        except (Rejected, NotFound):
            if cursor is None or restarts == RESTARTS:
                raise
            cursor, restarts, been = None, restarts + 1, set()
            continue
        been.add(cursor)
        if page.is_guess and page.records == full:
            return
        full = page.records if page.is_guess else ()
        yield page
        cursor = page.next
        if cursor is None:
            return
        if cursor in been:
            raise ServerFault("the API names a page as the next one that was read already")
