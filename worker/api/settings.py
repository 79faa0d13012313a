"""The API client's room: the account's lists: blocked senders, own domains, allow policies, trusted domains."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from msgspec import Raw, Struct

from worker.api.calls import Calls
from worker.api.envelope import Page, nothing, numbered, readable, records
from worker.api.pacing import Urgency
from worker.errors import ServerFault
from worker.models import BlockedSender

PER_PAGE = 1000
READINGS = 3
"""How often a list that changes while its pages are turned is read before giving up."""
BLOCK_SENDERS = "/settings/block_senders"


class Domain(Struct, frozen=True):
    """A domain of the account."""

    id: str | None = None
    domain: str | None = None


class AllowPolicy(Struct, frozen=True):
    """A pattern whose mail is let through; ``is_exempt_recipient`` is about recipients, the others about senders."""

    id: str | None = None
    pattern: str | None = None
    pattern_type: str | None = None
    is_regex: bool | None = None
    is_acceptable_sender: bool | None = None
    is_trusted_sender: bool | None = None
    is_exempt_recipient: bool | None = None


class TrustedDomain(Struct, frozen=True):
    """A domain that is not suspected for being new or similar."""

    id: str | None = None
    pattern: str | None = None
    is_regex: bool | None = None


class Made(Struct, frozen=True):
    """What a batch made."""

    posts: tuple[BlockedSender, ...] | None = None


class BlockedPage(NamedTuple):
    """A page of the block list; ``next`` is a page number."""

    blocked: tuple[BlockedSender, ...]
    next: str | None
    begun: float


class BlockedList(NamedTuple):
    """The whole block list; ``broken`` counts the entries that cannot be read."""

    blocked: tuple[BlockedSender, ...]
    broken: int


class NewBlock(NamedTuple):
    """A sender to block; ``type`` is EMAIL, DOMAIN or IP."""

    pattern: str
    type: str
    comments: str

    def body(self) -> dict[str, object]:
        """Return it as the API takes it."""
        return {"pattern": self.pattern, "pattern_type": self.type, "is_regex": False, "comments": self.comments}

    def made(self, entry: BlockedSender) -> bool:
        """Tell whether this is the entry that was asked for."""
        same = entry.pattern.lower() == self.pattern.lower() and entry.pattern_type == self.type
        return same and entry.comments == self.comments


blocked_sender = msgspec.json.Decoder(BlockedSender).decode
batch_result = msgspec.json.Decoder(Made).decode
own_domain = msgspec.json.Decoder(Domain).decode
allow_policy = msgspec.json.Decoder(AllowPolicy).decode
trusted_domain = msgspec.json.Decoder(TrustedDomain).decode


class Lists:
    """``/settings``: entries come as they are, in no promised order."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def blocked(self, *, urgency: Urgency, page: int | str = 1, pattern: str | None = None) -> BlockedPage:
        """Return one page of the block list; with ``pattern`` only entries of exactly that."""
        extra = () if pattern is None else (("pattern", pattern),)
        found = await self._page(BLOCK_SENDERS, page, urgency, extra)
        return BlockedPage(readable(blocked_sender, found.records), found.next, found.begun)

    async def all_blocked(self, urgency: Urgency) -> BlockedList:
        """Return the whole block list; raise ServerFault when it keeps changing while it is read."""
        found = await self._all(BLOCK_SENDERS, urgency)
        blocked = readable(blocked_sender, found)
        return BlockedList(blocked, len(found) - len(blocked))

    async def allow_policies(self, urgency: Urgency = Urgency.FACTS) -> tuple[AllowPolicy, ...]:
        """Return all allow policies."""
        return readable(allow_policy, await self._all("/settings/allow_policies", urgency))

    async def trusted_domains(self, urgency: Urgency = Urgency.FACTS) -> tuple[TrustedDomain, ...]:
        """Return all trusted domains."""
        return readable(trusted_domain, await self._all("/settings/trusted_domains", urgency))

    async def domains(self, urgency: Urgency = Urgency.FACTS) -> tuple[str, ...]:
        """Return the account's own domains in lower case."""
        found = readable(own_domain, await self._all("/settings/domains", urgency))
        return tuple(entry.domain.lower() for entry in found if entry.domain)

    async def batch_block(self, posts: Sequence[tuple[str, str, str]], deletes: Sequence[str] = ()) -> tuple[str, ...]:
        """Remove entries by id and add (pattern, type, comments), all or none, at most 1,000 together.

        Returns the new id of each post, empty where the answer tells none.
        """
        wanted = [NewBlock(*post) for post in posts]
        body = {
            "deletes": [{"id": entry} for entry in deletes],
            "patches": [],
            "puts": [],
            "posts": [block.body() for block in wanted],
        }
        path = BLOCK_SENDERS + "/batch"
        answer = await self._calls.call("POST", path, batch_result, body=body, urgency=Urgency.ACT, writes=True)
        made = answer.result.posts or ()
        return tuple(next((entry.id for entry in made if block.made(entry)), "") for block in wanted)

    async def block_one(self, pattern: str, type: str, comments: str) -> str:  # noqa: A002 (the API's word)
        """Add one entry and return its id; raise Rejected with status 409 when the pattern is listed already."""
        body = NewBlock(pattern, type, comments).body()
        answer = await self._calls.call(
            "POST", BLOCK_SENDERS, blocked_sender, body=body, urgency=Urgency.ACT, writes=True
        )
        return answer.result.id

    async def delete(self, id: str) -> None:  # noqa: A002 (the API's word)
        """Remove one entry of the block list; raise NotFound when it is gone already."""
        path = BLOCK_SENDERS + "/{id}"
        await self._calls.call("DELETE", path, nothing, where={"id": id}, urgency=Urgency.ACT, writes=True)

    async def _page(
        self, path: str, page: int | str, urgency: Urgency, extra: tuple[tuple[str, str], ...] = ()
    ) -> Page:
        """Read one page of a list, oldest entry first: a new one is added at the end and shifts nothing."""
        order = (("order", "created_at"), ("direction", "asc"))
        query = (("page", str(page)), ("per_page", str(PER_PAGE)), *order, *extra)
        answer = await self._calls.call("GET", path, records, query=query, urgency=urgency)
        return numbered(answer, int(page), PER_PAGE)

    async def _all(self, path: str, urgency: Urgency) -> list[Raw]:
        """Read every page, again if the list changed meanwhile: what slipped through would be taken for absent."""
        for _ in range(READINGS):
            pages = [await self._page(path, 1, urgency)]
            while pages[-1].next:
                pages.append(await self._page(path, pages[-1].next, urgency))
            found = [record for page in pages for record in page.records]
            if {page.total for page in pages} <= {None, len(found)}:
                return found
        raise ServerFault(f"GET {path}: the list kept changing while it was read; it is read again later")
