"""Walking pages: from a saved cursor on, as far as the caller wants, and without loss when a cursor expires."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from tests.api.desk import EPOCH, Inside, Line, answer, client, loop_time, quickly
from worker.api import RecordPage, Urgency
from worker.api.paging import RESTARTS, walk_pages
from worker.errors import NotFound, Rejected, ServerFault
from worker.sandbox import ACCOUNT, MailFlow, SandboxOptions, World

HEAD = Urgency.HEAD


class Book:
    """Pages of records by number; ``expires`` says which requests, counted from 1, are rejected."""

    def __init__(self, *leaves: list[int], expires: frozenset[int] = frozenset()) -> None:
        self.leaves, self.expires = leaves, expires
        self.asked: list[str | None] = []

    async def ask(self, cursor: str | None) -> RecordPage:
        """Return a page, or reject its cursor; the first page has none."""
        self.asked.append(cursor)
        if cursor is not None and len(self.asked) in self.expires:
            raise Rejected("cursor has expired")
        number = int(cursor or 0)
        following = str(number + 1) if number + 1 < len(self.leaves) else None
        return RecordPage(tuple(Raw(str(record).encode()) for record in self.leaves[number]), following, 0.0)

    async def read(self, cursor: str | None = None) -> list[int]:
        """Return all that a walk yields."""
        return [int(bytes(record)) async for page in walk_pages(self.ask, cursor) for record in page.records]


async def test_a_walk_yields_every_page_in_order() -> None:
    assert await Book([1, 2], [], [3]).read() == [1, 2, 3]


async def test_a_walk_goes_on_from_a_saved_cursor() -> None:
    book = Book([1], [2], [3])
    saved = (await anext(walk_pages(book.ask))).next
    assert await Book([1], [2], [3]).read(saved) == [2, 3]


async def test_whoever_has_seen_enough_breaks_out_and_nothing_more_is_asked() -> None:
    book = Book([1], [2], [3])
    walk = walk_pages(book.ask)
    async for _ in walk:
        break
    await walk.aclose()
    assert book.asked == [None]


async def test_an_expired_cursor_begins_the_walk_again_and_loses_nothing() -> None:
    book = Book([1], [2], [3], expires=frozenset({3}))
    assert await book.read() == [1, 2, 1, 2, 3]
    assert book.asked == [None, "1", "2", None, "1", "2"]


async def test_a_saved_cursor_that_expired_begins_at_the_beginning() -> None:
    assert await Book([1], [2], [3], expires=frozenset({1})).read("2") == [1, 2, 3]


async def test_cursors_that_expire_again_and_again_are_not_followed_for_ever() -> None:
    book = Book([1], [2], expires=frozenset(range(1, 100)))
    with pytest.raises(Rejected, match="expired"):
        await book.read()
    assert book.asked == [None, "1"] * 4


@pytest.mark.parametrize("refusal", [Rejected("start must not be in the future"), NotFound("no such job")])
async def test_a_question_that_is_refused_without_a_cursor_is_not_asked_again(refusal: Exception) -> None:
    asked = []

    async def ask(cursor: str | None) -> RecordPage:
        asked.append(cursor)
        raise refusal

    with pytest.raises(type(refusal)):
        await anext(walk_pages(ask))
    assert asked == [None]


@pytest.mark.parametrize("around", [("a",), ("a", "b"), ("a", "b", "c")])
async def test_cursors_that_lead_back_are_not_followed_for_ever(around: tuple[str, ...]) -> None:
    asked: list[str | None] = []

    async def ask(cursor: str | None) -> RecordPage:
        asked.append(cursor)
        return RecordPage((Raw(b"1"),), around[(len(asked) - 1) % len(around)], 0.0)

    with pytest.raises(ServerFault, match="that was read already"):
        assert [page async for page in walk_pages(ask)] == []
    assert asked == [None, *around]


@pytest.mark.slow
@given(st.lists(st.lists(st.integers(0, 9), max_size=3), min_size=1, max_size=6), st.frozensets(st.integers(1, 30)))
def test_whatever_expires_a_walk_yields_all_in_order_after_its_last_beginning(
    leaves: list[list[int]], expires: frozenset[int]
) -> None:
    every = [record for leaf in leaves for record in leaf]
    book = Book(*leaves, expires=expires)
    try:
        read = asyncio.run(book.read())
    except Rejected:
        assert book.asked.count(None) == RESTARTS + 1
        return
    assert read[len(read) - len(every) :] == every
    assert set(read) == set(every)
    assert book.asked.count(None) <= RESTARTS + 1
    last = len(book.asked) - book.asked[::-1].index(None) - 1
    assert book.asked[last:] == [None, *map(str, range(1, len(leaves)))]


@pytest.mark.slow
def test_a_search_whose_cursor_expires_in_the_middle_finds_everything_all_the_same() -> None:
    async def day() -> None:
        options = SandboxOptions(cursor_life=30.0)
        inside = Inside(
            World(ACCOUNT, now=lambda: EPOCH + loop_time(), mail_flow=MailFlow(messages=2500), options=options)
        )
        walk = client(inside).investigate.walk(start=EPOCH - 7200, end=EPOCH + 100, urgency=HEAD, detections_only=False)
        found: list[str] = []
        async for page in walk:
            found += [message.id for message in page.read().entries]
            if len(found) == 2000:
                await asyncio.sleep(60)
        assert sorted(set(found)) == sorted(inside.world.by_id)
        assert len(found) == 2000 + 2500

    quickly(day)


def test_every_walk_goes_on_from_where_it_is_told() -> None:
    async def day(*answers: int) -> list[str]:
        line = Line(*[answer([], info={"total_count": 0}) for _ in answers])
        api = client(line)
        walks = [
            api.investigate.walk(start=0, end=1, urgency=HEAD, cursor="c"),
            api.investigate.bulk.walk(cursor="c"),
            api.investigate.bulk.walk_messages("id", cursor="c"),
            api.submissions.walk(start=0, end=1, page="7"),
            api.phishguard.walk(start=0, end=1, page="7"),
            api.settings.domains.walk(page="7"),
        ]
        for walk in walks:
            assert [page.complete async for page in walk] == [True]
        asked = [dict(request.query) for request in line.asked]
        return [query.get("cursor") or query["page"] for query in asked]

    assert quickly(lambda: day(*range(6))) == ["c", "c", "c", "7", "7", "7"]


@pytest.mark.parametrize(("other", "asks", "yields"), [(0, 2, 1), (2, 4, 3)])
async def test_a_full_page_that_is_shown_again_was_all_there_is(other: int, asks: int, yields: int) -> None:
    full = tuple(Raw(b"%d" % number) for number in range(3))
    asked = list[str | None]()

    async def ask(cursor: str | None) -> RecordPage:
        asked.append(cursor)
        shown = full[::-1] if len(asked) == other else full
        return RecordPage(shown, str(len(asked) + 1), 0.0, is_guess=True)

    pages = [page async for page in walk_pages(ask)]
    assert (len(asked), len(pages)) == (asks, yields)
