"""Paging: fetches the pages of one slice, one page ahead of the reader."""

import asyncio
from collections.abc import AsyncGenerator

from msgspec import Raw
from msgspec.structs import replace

from worker.api import CutShort
from worker.errors import NotFound, Rejected, ServerFault, Temporary
from worker.intake.sources import Fetched, Source
from worker.ledger.values import Slice

RESTARTS = 3
"""How often a walk begins its slice again because the API does not continue it."""
ENDLESS = "the API stops partway through it"


class Stuck(Temporary):
    """The API does not continue a slice, however often it begins again."""


async def walk_pages(source: Source, slice_: Slice) -> AsyncGenerator[tuple[Slice, Fetched]]:
    """Yield each page with the slice as it stands after it; raise Stuck when the pages do not end."""
    ahead, restarts, been = asyncio.ensure_future(_fetch(source, slice_)), 0, set[str | None]()
    full = tuple[Raw, ...]()
    try:
        while True:
            read, fetched = await ahead
            if fetched.full and fetched.full == full:  # whoever knows no pages shows the same each time
                fetched = Fetched((), (), None, fetched.began)
            full = fetched.full
            if read is not slice_:
                restarts, been = restarts + 1, set()
            if restarts > RESTARTS or fetched.next in been:
                raise Stuck(ENDLESS)
            been.add(fetched.next)
            slice_ = _step_over(read, fetched)
            if fetched.next is not None:
                ahead = asyncio.ensure_future(_fetch(source, slice_))
            yield slice_, fetched
            if fetched.next is None:
                return
    finally:
        ahead.cancel()


async def _fetch(source: Source, slice_: Slice) -> tuple[Slice, Fetched]:
    """Read one page; a refused cursor begins the slice again, which loses nothing."""
    try:
        return slice_, await source.fetch(slice_)
    except CutShort:
        raise
    except (Rejected, NotFound, ServerFault):
        if slice_.cursor is None:
            raise
    begun = replace(slice_, cursor=None)
    return begun, await source.fetch(begun)


def _step_over(slice_: Slice, fetched: Fetched) -> Slice:
    """Return a slice as it stands after a page; it ends no later than when its first page was requested."""
    end = slice_.end if slice_.cursor is not None else min(slice_.end, fetched.began)
    return replace(slice_, end=end, cursor=fetched.next)
