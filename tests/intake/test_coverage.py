"""What has been read is a set of closed intervals: nothing between them may ever be forgotten."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.intake.coverage import (
    BACK,
    LONGEST,
    advance_sweep,
    choose_gap,
    choose_head,
    choose_sweep,
    find_end,
    find_gaps,
    find_stale_head,
    halve,
    merge,
)
from worker.ledger.values import Coverage, Slice

moments = st.integers(0, 50).map(float)
intervals = st.tuples(moments, moments).filter(lambda pair: pair[0] < pair[1])
sets = st.lists(intervals, max_size=8)


def inside(point: float, of: list[tuple[float, float]] | tuple[tuple[float, float], ...]) -> bool:
    return any(start <= point < end for start, end in of)


@pytest.mark.slow
@given(sets, moments)
def test_merging_keeps_every_point(closed: list[tuple[float, float]], point: float) -> None:
    assert inside(point, closed) == inside(point, merge(closed))


@pytest.mark.slow
@given(sets)
def test_merged_intervals_neither_touch_nor_overlap(closed: list[tuple[float, float]]) -> None:
    result = merge(closed)
    assert all(one[1] < other[0] for one, other in pairwise(result))


@pytest.mark.slow
@given(sets, moments, moments, moments)
def test_every_moment_is_closed_or_in_a_gap(
    closed: list[tuple[float, float]], since: float, until: float, point: float
) -> None:
    missing = find_gaps(closed, since, until)
    if since <= point < until:
        assert inside(point, closed) != inside(point, missing)
    else:
        assert not inside(point, missing)


def test_the_first_head_is_short_and_leaves_the_rest_to_a_gap() -> None:
    head = choose_head("messages", Coverage(), now=10_000.0)
    assert (head.start, head.end) == (10_000.0 - BACK, 10_000.0)


def test_the_head_reaches_back_into_what_is_read() -> None:
    head = choose_head("messages", Coverage(closed=((0.0, 9_000.0),)), now=10_000.0)
    assert (head.start, head.end) == (9_000.0 - BACK, 10_000.0)


def test_a_head_far_behind_leaves_a_gap() -> None:
    coverage = Coverage(closed=((0.0, 9_000.0), (99_910.0, 100_000.0)), since=0.0)
    assert choose_head("messages", Coverage(closed=((0.0, 9_000.0),)), now=100_000.0).start == 100_000.0 - BACK
    assert find_gaps(coverage.closed, coverage.since, find_end(coverage)) == ((9_000.0, 99_910.0),)


def test_a_head_in_hand_is_finished_first() -> None:
    begun = Slice(source="messages", kind="head", start=1.0, end=10_000.0, cursor="abc")
    assert choose_head("messages", Coverage(open=(begun,)), now=10_000.0 + LONGEST) is begun
    assert find_stale_head(Coverage(open=(begun,)), now=10_000.0 + LONGEST) is None


def test_a_head_that_was_broken_off_long_ago_does_not_keep_the_present_waiting() -> None:
    begun = Slice(source="messages", kind="head", start=1.0, end=10_000.0, cursor="abc")
    later = 10_001.0 + LONGEST
    assert choose_head("messages", Coverage(open=(begun,)), now=later).end == later
    assert find_stale_head(Coverage(open=(begun,)), now=later) is begun


def test_gaps_are_read_newest_first_in_slices_of_an_hour() -> None:
    coverage = Coverage(closed=((50_000.0, 60_000.0),), since=10_000.0)
    slice_ = choose_gap("messages", coverage, now=60_000.0, stride=LONGEST)
    assert slice_ is not None
    assert (slice_.start, slice_.end, slice_.kind) == (50_000.0 - LONGEST, 50_000.0, "gap")


def test_a_slice_that_waits_is_passed_over_until_its_time() -> None:
    slow = Slice(source="messages", kind="gap", start=500.0, end=560.0, next_at=1_000.0)
    coverage = Coverage(closed=((560.0, 700.0),), open=(slow,), since=100.0)
    before = choose_gap("messages", coverage, now=999.0, stride=LONGEST)
    assert before is not None
    assert (before.start, before.end) == (100.0, 500.0)
    assert choose_gap("messages", coverage, now=1_000.0, stride=LONGEST) is slow


@given(st.floats(0, 1e6), st.floats(1, 7200))
def test_halving_loses_no_moment(start: float, span: float) -> None:
    whole = Slice(source="messages", kind="head", start=start, end=start + span)
    parts = halve(whole, next_at=99.0, why="slow")
    assert merge((part.start, part.end) for part in parts) == ((start, start + span),)
    assert all(part.kind == "gap" and part.why for part in parts)


def test_a_minute_is_not_halved_but_tried_again_later() -> None:
    (part,) = halve(Slice(source="messages", kind="gap", start=0.0, end=59.0), next_at=300.0, why="slow")
    assert (part.start, part.end, part.next_at) == (0.0, 59.0, 300.0)


@given(st.floats(0, 86_399))
def test_a_sweep_comes_back_over_every_moment_and_begins_anew(since: float) -> None:
    slice_ = choose_sweep("messages", Coverage(since=since), 86_400.0, LONGEST)
    seen = [(slice_.start, slice_.end)]
    while slice_.start > since:
        slice_ = advance_sweep(slice_, 86_400.0, since, LONGEST)
        seen.append((slice_.start, slice_.end))
    assert merge(seen) == ((since, 86_400.0),)
    assert advance_sweep(slice_, 90_000.0, since, LONGEST).end == 90_000.0


def test_a_sweep_goes_on_where_it_was() -> None:
    begun = Slice(source="messages", kind="sweep", start=1.0, end=2.0)
    assert choose_sweep("messages", Coverage(open=(begun,)), 86_400.0, LONGEST) is begun


def test_a_head_begins_behind_what_a_head_was_too_slow_to_read() -> None:
    slow = Slice(source="messages", kind="gap", start=9_500.0, end=9_990.0)
    assert choose_head("messages", Coverage(open=(slow,)), now=10_000.0).start == 9_990.0
    assert choose_head("messages", Coverage(closed=((0.0, 9_500.0),), open=(slow,)), now=10_000.0).start == 9_990.0
    older = Slice(source="messages", kind="gap", start=100.0, end=200.0)
    assert choose_head("messages", Coverage(closed=((200.0, 9_990.0),), open=(older,)), now=10_000.0).start == 9_900.0


def test_what_only_slow_heads_have_left_is_a_gap_too() -> None:
    slow = Slice(source="messages", kind="gap", start=9_500.0, end=9_990.0, next_at=20_000.0)
    gap = choose_gap("messages", Coverage(open=(slow,), since=9_000.0), now=10_000.0, stride=LONGEST)
    assert gap is not None
    assert (gap.start, gap.end) == (9_000.0, 9_500.0)
