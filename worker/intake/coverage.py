"""Coverage: what was read of a source as a set of closed intervals, what is missing, and what is read next.

Pure: times are API time in seconds since the epoch, an interval is (start, end) with start < end.
"""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from worker.ledger.values import REREAD, Coverage, Slice, SliceKind

Interval = tuple[float, float]

BACK = 90.0
"""Seconds the head reaches back into what is read: mail becomes searchable a little after its scan time."""
LONGEST = 3600.0
"""Seconds a head may be late; a later one leaves a gap instead."""
SHORTEST = 60.0
"""Seconds below which a slow slice is not halved any more."""


def merge(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """Merge intervals that touch or overlap, in order."""
    result: list[Interval] = []
    for start, end in sorted(intervals):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return tuple(result)


def find_gaps(closed: Iterable[Interval], since: float, until: float) -> tuple[Interval, ...]:
    """Return the stretches between ``since`` and ``until`` that are not closed, oldest first."""
    return tuple(_yield_gaps(merge(closed), since, until))


def _yield_gaps(closed: tuple[Interval, ...], since: float, until: float) -> Iterator[Interval]:
    reached = since
    for start, end in closed:
        if reached < min(start, until):
            yield reached, min(start, until)
        reached = max(reached, end)
    if reached < until:
        yield reached, until


def find_end(coverage: Coverage) -> float:
    """Return the end of the newest closed interval, 0 when nothing is read."""
    return coverage.closed[-1][1] if coverage.closed else 0.0


def find_horizon(coverage: Coverage) -> float:
    """Return the end of what is closed or left to be read as a gap."""
    begun = (slice_.end for slice_ in coverage.open if slice_.kind == "gap")
    return max(find_end(coverage), *begun, 0.0)


def choose_head(source: str, coverage: Coverage, now: float) -> Slice:
    """Return the head in progress, else a new one from a little before the end of coverage until now.

    It begins after gaps that a slow head has left, which are read on their own.
    """
    for slice_ in coverage.open:
        if slice_.kind == "head" and now - slice_.end <= LONGEST:
            return slice_
    end, left = find_end(coverage), find_horizon(coverage)
    start = end - BACK if now - end <= LONGEST else now - BACK
    start = max(start, left) if end < left < now else min(start, now - BACK)
    start = max((start, *(stop for _, stop in coverage.unread if stop < now)))
    return Slice(source=source, kind="head", start=start, end=now, opened=now)


def find_stale_head(coverage: Coverage, now: float) -> Slice | None:
    """Return a head that has been in progress for more than an hour."""
    return next((one for one in coverage.open if one.kind == "head" and now - one.end > LONGEST), None)


def choose_gap(source: str, coverage: Coverage, now: float, stride: float) -> Slice | None:
    """Return the gap in progress that is due, else at most ``stride`` seconds of the newest gap, its newest end."""
    mine = [slice_ for slice_ in coverage.open if slice_.kind == "gap"]
    for slice_ in sorted(mine, key=lambda slice_: -slice_.end):
        if slice_.next_at <= now:
            return slice_
    taken = [(slice_.start, slice_.end) for slice_ in coverage.open if slice_.kind in {"head", "gap"}]
    missing = find_gaps((*coverage.closed, *taken), coverage.since, find_horizon(coverage))
    if not missing:
        return None
    start, end = missing[-1]
    why = "not read yet since the first start" if start <= coverage.since else "nothing was read for a while"
    return Slice(source=source, kind="gap", start=max(start, end - stride), end=end, why=why, opened=now)


def choose_reread(coverage: Coverage, now: float) -> Slice | None:
    """Return the newest stretch that is due to be read again because not all was judged, or not by all fields."""
    due = (one for one in coverage.open if one.kind in REREAD and one.next_at <= now)
    return max(due, key=lambda one: one.end, default=None)


def halve(slice_: Slice, next_at: float, why: str, shortest: float = SHORTEST) -> tuple[Slice, ...]:
    """Split a slice that cannot be read whole, newest half first; a short one stays whole until ``next_at``."""
    kind: SliceKind = slice_.kind if slice_.kind in REREAD else "gap"
    whole = Slice(source=slice_.source, kind=kind, start=slice_.start, end=slice_.end, why=why, opened=slice_.opened)
    middle = (slice_.start + slice_.end) / 2
    if middle - slice_.start < shortest / 2:
        return (replace(whole, next_at=next_at),)
    return replace(whole, start=middle), replace(whole, end=middle)


def choose_sweep(source: str, coverage: Coverage, now: float, stride: float) -> Slice:
    """Return the sweep in progress, else the newest ``stride`` seconds."""
    for slice_ in coverage.open:
        if slice_.kind == "sweep":
            return slice_
    return Slice(source=source, kind="sweep", start=max(now - stride, coverage.since), end=now, opened=now)


def step_around(slice_: Slice, unread: Iterable[Interval]) -> Slice:
    """Return the newest part of a slice that holds nothing of which is known that it cannot be read."""
    left = find_gaps(unread, slice_.start, slice_.end)
    return replace(slice_, start=left[-1][0], end=left[-1][1]) if left else replace(slice_, end=slice_.start)


def advance_sweep(swept: Slice, now: float, back_to: float, stride: float) -> Slice:
    """Return the stretch before the one just swept, or the newest when the sweep has gone back far enough."""
    end = swept.start if swept.start > back_to else now
    start = max(end - stride, back_to)
    return Slice(source=swept.source, kind="sweep", start=start, end=end, opened=now)
