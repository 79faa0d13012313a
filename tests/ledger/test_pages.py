"""Entering pages: coverage, held events, what cannot be read."""

import pytest

from tests.ledger.desk import JUNK, ME, T0, Desk, reading
from worker.errors import Temporary
from worker.ledger.values import Broken, Coverage, Held, Mishap, Page, Sight, Slice

DAY = 86400.0


def slice_(start: float, end: float, **change: object) -> Slice:
    return Slice(**{"source": "messages", "kind": "head", "start": start, "end": end, **change})  # type: ignore[arg-type]


def page(**change: object) -> Page:
    return Page(**{"account": ME, "now": T0, "source": "messages", **change})  # type: ignore[arg-type]


async def test_a_slice_in_hand_keeps_its_cursor_until_it_is_closed() -> None:
    ledger = Desk().ledger
    await ledger.enter(page(slice=slice_(0, 10, cursor="abc"), since=5.0))
    coverage = await ledger.coverage(ME, "messages")
    assert [one.cursor for one in coverage.open] == ["abc"]
    assert coverage.closed == ()
    await ledger.enter(page(slice=slice_(0, 10), closes=True, since=7.0))
    coverage = await ledger.coverage(ME, "messages")
    assert (coverage.open, coverage.closed, coverage.since) == ((), ((0.0, 10.0),), 5.0)


async def test_intervals_that_meet_are_one() -> None:
    ledger = Desk().ledger
    for start, end in ((0, 10), (20, 30), (40, 50), (10, 25)):
        await ledger.enter(page(slice=slice_(start, end), closes=True))
    assert (await ledger.coverage(ME, "messages")).closed == ((0.0, 30.0), (40.0, 50.0))
    assert (await ledger.coverage(ME, "reports")).closed == ()


async def test_what_is_only_read_again_does_not_count_as_coverage() -> None:
    ledger = Desk().ledger
    await ledger.enter(page(slice=slice_(0, 10, kind="sweep"), closes=True))
    assert await ledger.coverage(ME, "messages") == await ledger.coverage("other", "messages")


async def test_a_slice_that_is_too_slow_is_replaced_by_its_halves() -> None:
    ledger = Desk().ledger
    await ledger.enter(page(slice=slice_(0, 10, cursor="abc")))
    halves = slice_(5, 10, kind="gap"), slice_(0, 5, kind="gap")
    await ledger.enter(page(slice=slice_(0, 10), instead=halves))
    coverage = await ledger.coverage(ME, "messages")
    assert [(one.kind, one.start, one.end) for one in coverage.open] == [("gap", 0.0, 5.0), ("gap", 5.0, 10.0)]
    assert coverage.closed == ()


async def test_a_closed_gap_is_on_record() -> None:
    desk = Desk()
    await desk.ledger.enter(page(slice=slice_(0, 10, kind="gap", why="downtime"), closes=True))
    assert await desk.verbs() == ["gap closed"]


async def test_a_record_that_cannot_be_read_is_kept_and_told_once() -> None:
    desk = Desk()
    for _ in range(2):
        await desk.ledger.enter(page(broken=(Broken(b"{", "cut"), Broken(b"[]", "a list"))))
    assert {one.raw for one in await desk.ledger.list_broken(ME)} == {b"{", b"[]"}
    assert await desk.verbs() == ["broken record", "broken record"]


async def test_a_rule_that_failed_is_kept_with_its_event() -> None:
    desk = Desk()
    mishap = Mishap(rule="r", fingerprint="f", cause="c/1", problem="KeyError: 'x'", raw=b"{}")
    await desk.ledger.enter(page(mishaps=(mishap,), generation=3))
    assert await desk.ledger.list_mishaps(ME) == (mishap,)
    assert await desk.verbs() == ["rule failed"]
    assert b'"generation":3' in (await desk.ledger.records(ME))[0]


async def test_a_page_that_another_one_has_overtaken_is_refused_whole() -> None:
    desk = Desk()
    news = await desk.ledger.news(ME, [reading("m1"), reading("m2")], T0, 120)
    await desk.read(reading("m2"))
    with pytest.raises(Temporary, match="read again"):
        await desk.ledger.enter(page(news=news, drafts=(desk.draft(),), slice=slice_(0, 10), closes=True))
    assert await desk.ledger.entries(ME) == ()
    assert await desk.read(reading("m1")) == ["m1/1"]
    assert (await desk.ledger.coverage(ME, "messages")).closed == ()


def held(sight: Sight, **change: object) -> Held:
    return Held(**{"sight": sight, "why": "asks", "since": T0, "tries": 0, "next_at": T0, **change})  # type: ignore[arg-type]


async def test_a_held_event_comes_back_when_it_is_due_and_goes_when_it_is_judged() -> None:
    desk = Desk()
    event = held(Sight(reading(), 1), next_at=T0 + 60)
    await desk.ledger.enter(page(held=(event,)))
    assert await desk.ledger.due_held(ME, T0) == ()
    assert await desk.ledger.due_held(ME, T0 + 60) == (event,)
    assert await desk.ledger.next_due(ME, T0) == T0 + 60
    later = held(event.sight, tries=1, next_at=T0 + 300)
    await desk.ledger.enter(page(held=(later,)))
    assert await desk.ledger.due_held(ME, T0 + 300) == (later,)
    await desk.ledger.enter(page(judged=(event.sight.key,), drafts=(desk.draft(),)))
    assert await desk.ledger.due_held(ME, T0 + 300) == ()
    assert [entry.state for entry in await desk.ledger.entries(ME)] == ["ready"]


async def test_a_held_event_that_is_given_up_is_on_record() -> None:
    desk = Desk()
    event = held(Sight(reading(), 1))
    await desk.ledger.enter(page(held=(event,)))
    await desk.ledger.enter(page(held=(held(event.sight, tries=3, last=True),)))
    assert await desk.ledger.due_held(ME, T0) == ()
    assert await desk.verbs() == ["given up"]


async def test_a_held_event_is_overtaken_by_a_newer_sight_even_while_it_is_judged() -> None:
    desk = Desk()
    await desk.read(reading())
    event = held(Sight(reading(), 1))
    await desk.ledger.enter(page(held=(event,)))
    await desk.read(reading(state="NONE|-"))
    assert await desk.verbs() == ["overtaken"]
    late = page(judged=(event.sight.key,), held=(held(event.sight, tries=1),), drafts=(desk.draft(JUNK),))
    await desk.ledger.enter(late)
    assert await desk.ledger.entries(ME) == ()
    assert await desk.ledger.due_held(ME, T0 + 9999) == ()


async def test_what_the_budget_spent_is_there_at_the_next_start() -> None:
    ledger = Desk().ledger
    await ledger.enter(page(spent=((T0, 3), (T0 + 1, 4))))
    assert await ledger.read_spent(ME) == ((T0, 3), (T0 + 1, 4))
    await ledger.keep_spent("credential", [(T0, 1)], T0)
    assert await ledger.read_spent("credential") == ((T0, 1),)
    assert await ledger.read_spent("unknown") == ()


@pytest.mark.parametrize("begun", [0.0, T0 - 9 * DAY, T0 - DAY / 2])
async def test_a_future_that_was_noted_as_read_is_taken_back_with_the_day_before_it(begun: float) -> None:
    desk = Desk()
    await desk.ledger.enter(page(slice=slice_(begun, T0 + 40 * DAY), closes=True, since=begun))
    await desk.ledger.enter(page(slice=slice_(T0, T0 + 41 * DAY, cursor="abc")))
    assert await desk.ledger.mend_future(ME, "messages", T0)
    coverage = await desk.ledger.coverage(ME, "messages")
    assert coverage.closed == (((begun, T0 - DAY),) if begun < T0 - DAY else ())
    assert (coverage.open, await desk.verbs()) == ((), ["future mended"])
    assert not await desk.ledger.mend_future(ME, "messages", T0)


async def test_a_first_start_in_the_future_is_forgotten() -> None:
    desk = Desk()
    await desk.ledger.enter(page(slice=slice_(T0 + DAY, T0 + 2 * DAY), closes=True, since=T0 + DAY))
    assert await desk.ledger.mend_future(ME, "messages", T0)
    assert await desk.ledger.coverage(ME, "messages") == Coverage()
