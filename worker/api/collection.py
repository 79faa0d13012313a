"""Collections: the operations that all lists of an account share."""

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Raw, Struct

from worker.api.bodies import Where
from worker.api.calls import Calls
from worker.api.envelope import RecordPage, nothing, paginate, read_each, records
from worker.api.pacing import Urgency
from worker.api.paging import walk_pages
from worker.errors import ServerFault, Unsent
from worker.language.base import Noun
from worker.language.reading import read, read_all

Item = TypeVar("Item", bound=Noun)
New = TypeVar("New", bound=Struct)
Change = TypeVar("Change", bound=Struct)
Asked = TypeVar("Asked", bound=Where)
Put = TypeVar("Put", bound=Struct)
PER_PAGE = 1000
READINGS = 3
"""How often a list that changes while it is read is read again."""
MOST_IN_A_BATCH = 1000
NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
"""An id that the API gave as a number."""


class ListPage(RecordPage, Generic[Item], frozen=True, kw_only=True):
    """A page of a list; ``next`` is a page number or a cursor."""

    entries: tuple[Item, ...]
    unread: tuple[Raw, ...] = ()
    """Records that cannot be decoded."""

    @property
    def broken(self) -> int:
        """Number of records that cannot be decoded."""
        return len(self.unread)


class Whole(Struct, Generic[Item], frozen=True):
    """All entries of a list."""

    entries: tuple[Item, ...]
    unread: tuple[Raw, ...] = ()
    """Records that cannot be decoded."""

    @property
    def broken(self) -> int:
        """Number of records that cannot be decoded."""
        return len(self.unread)


class Batched(Struct, Generic[Item], frozen=True):
    """Results of a batch, in the order of the request; None where the API returns nothing."""

    deletes: tuple[Any, ...] | None = None
    patches: tuple[Item, ...] | None = None
    puts: tuple[Item, ...] | None = None
    posts: tuple[Item, ...] | None = None


class _Parts(Struct, frozen=True):
    """Results of a batch as sent."""

    deletes: tuple[Any, ...] | None = None
    patches: Raw = Raw(b"null")
    puts: Raw = Raw(b"null")
    posts: Raw = Raw(b"null")


_batch = msgspec.json.Decoder(_Parts).decode
CHANGES = ("patches", "puts", "posts")


def read_page(page: RecordPage, kind: type[Item]) -> ListPage[Item]:
    """Read the records of a page."""
    entries, unread = read_each(partial(read, kind), page.records)
    return ListPage(
        records=page.records,
        next=page.next,
        begun=page.begun,
        total=page.total,
        is_guess=page.is_guess,
        entries=entries,
        unread=unread,
    )


class Collection(Generic[Item, New, Change, Asked]):
    """A list of the account, whose entries are read, added, changed and removed. Writes are sent once."""

    def __init__(self, calls: Calls, name: str, item: type[Item], steady: Asked) -> None:
        """``steady`` is an order in which new entries come last, so that pages do not shift."""
        self._calls, self._path, self._steady = calls, f"/settings/{name}", steady
        self._item = item

    async def list(
        self,
        where: Asked | None = None,
        *,
        page: int | str = 1,
        per_page: int = PER_PAGE,
        urgency: Urgency = Urgency.FACTS,
    ) -> ListPage[Item]:
        """Return one page of at most 1,000 entries."""
        query = (("page", str(page)), ("per_page", str(per_page)), *(where.to_query() if where else ()))
        answer = await self._calls.call("GET", self._path, records, query=query, urgency=urgency)
        found = read_page(paginate(answer, int(page), per_page), self._item)
        if int(page) == 1 and per_page == PER_PAGE and where in (None, self._steady):
            self._calls.on_list(self._item.__name__, found.records)
        return found

    def walk(
        self, where: Asked | None = None, *, page: str | None = None, urgency: Urgency = Urgency.FACTS
    ) -> AsyncGenerator[ListPage[Item], None]:
        """Yield page after page, from a saved page number on."""

        async def ask(at: str | None) -> ListPage[Item]:
            return await self.list(where or self._steady, page=at or 1, urgency=urgency)

        return walk_pages(ask, page)

    async def all(self, *, urgency: Urgency = Urgency.FACTS) -> Whole[Item]:
        """Return every entry; raise ServerFault when the list keeps changing while it is read.

        A list that changed meanwhile is read again, because a missed entry would count as absent.
        """
        for _ in range(READINGS):
            read = [page async for page in self.walk(urgency=urgency)]
            if {page.total for page in read} <= {None, sum(len(page.records) for page in read)}:
                entries = tuple(entry for page in read for entry in page.entries)
                return Whole(entries, tuple(record for page in read for record in page.unread))
        raise ServerFault(f"GET {self._path}: the list kept changing while it was read; try again later")

    async def get(self, id: str, urgency: Urgency = Urgency.FACTS) -> Item:  # noqa: A002 (the API's word)
        """Return one entry; raise NotFound."""
        path, as_item = self._path + "/{id}", partial(read, self._item)
        return (await self._calls.call("GET", path, as_item, where={"id": id}, urgency=urgency)).result

    async def create(self, new: New) -> Item:
        """Add an entry and return it; raise Rejected, with status 409 when an equal one exists."""
        return await self._send("POST", self._path, new)

    async def edit(self, id: str, change: Change) -> Item:  # noqa: A002
        """Change the given fields of an entry and return it; raise NotFound when it does not exist."""
        return await self._send("PATCH", self._path + "/{id}", change, id)

    async def delete(self, id: str) -> None:  # noqa: A002
        """Remove an entry; raise NotFound when it does not exist."""
        path = self._path + "/{id}"
        await self._calls.call("DELETE", path, nothing, where={"id": id}, urgency=Urgency.ACT, writes=True)

    async def _send(self, method: str, path: str, body: Struct, id_: str = "") -> Item:
        where = {"id": id_} if id_ else None
        call = partial(self._calls.call, method, path, partial(read, self._item), urgency=Urgency.ACT, writes=True)
        return (await call(where=where, body=body)).result


class BatchCollection(Collection[Item, New, Change, Asked], Generic[Item, New, Change, Asked, Put]):
    """A list whose entries can be changed in batches."""

    async def batch(
        self,
        *,
        deletes: Sequence[str] = (),
        patches: Mapping[str, Change] | None = None,
        puts: Mapping[str, Put] | None = None,
        posts: Sequence[New] = (),
    ) -> Batched[Item]:
        """Remove, change, replace and add entries, in this order, all or none; at most 1,000 together.

        ``patches`` and ``puts`` are by id. Cloudflare documents order and atomicity; the limit is an assumption.
        """
        body = {
            "deletes": [{"id": write_id(one)} for one in deletes],
            "patches": [add_id(one, change) for one, change in (patches or {}).items()],
            "puts": [add_id(one, new) for one, new in (puts or {}).items()],
            "posts": posts,
        }
        if not 1 <= (count := sum(len(part) for part in body.values())) <= MOST_IN_A_BATCH:
            raise Unsent(f"POST {self._path}/batch: a batch takes 1 to {MOST_IN_A_BATCH} entries, not {count}")
        path, as_batch = self._path + "/batch", partial(_read_batch, self._item)
        return (await self._calls.call("POST", path, as_batch, body=body, urgency=Urgency.ACT, writes=True)).result


def _read_batch(kind: type[Item], raw: Raw) -> Batched[Item]:
    """Read the results of a batch; raise Unreadable."""
    found = _batch(raw)
    parts = {name: read_all(kind, part) for name in CHANGES if (part := getattr(found, name)) != Raw(b"null")}
    return Batched(found.deletes, **parts)


def add_id(id_: str, body: Struct) -> dict[str, Any]:
    """Return a body with the id of its entry."""
    return {"id": write_id(id_), **msgspec.to_builtins(body)}


def write_id(id_: str) -> str | int:
    """Return an id as a body has it. Ids were numbers until April 2026; they are read as texts in either form."""
    return int(id_) if NUMBER.fullmatch(id_) else id_
