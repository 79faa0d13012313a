"""Readiness: whether every source is read far enough, and what stands in the way. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from worker.web import Readiness

TURNS = 3
"""Polls that a source may miss before it counts as late."""


class SourceProgress(NamedTuple):
    """How far a source is read. Times in seconds; ``reached`` is API time, 0 when nothing is read yet."""

    name: str
    reached: float
    missing: float
    slow: str
    """Why a gap cannot be closed now; empty when nothing stands in the way."""
    allowed: float
    """How many seconds old the end of what is read may be."""


def judge_readiness(
    sources: Iterable[SourceProgress],
    troubles: Mapping[str, str],
    now: float,
    *,
    stopping: bool,
    warnings: Iterable[str] = (),
) -> Readiness:
    """Return whether the worker does its work, and each reason why not."""
    sources = list(sources)
    why = ["the worker is stopping"] if stopping else []
    why += _merge_troubles(troubles)
    why += [sentence for source in sources if (sentence := _describe_lag(source, now))]
    figures = {source.name: _measure(source, now) for source in sources if source.reached}
    return Readiness(ready=not why, why=tuple(why), warnings=tuple(warnings), sources=figures)


def _measure(source: SourceProgress, now: float) -> dict[str, float]:
    """Return how far a source is read, in seconds."""
    return {
        "covered_seconds_ago": round(now - source.reached, 1),
        "missing_seconds": round(source.missing, 1),
    }


def _merge_troubles(troubles: Mapping[str, str]) -> list[str]:
    """Return each problem once, with the names of everything it stops."""
    stopped: dict[str, list[str]] = defaultdict(list)
    for name, problem in troubles.items():
        stopped[problem].append(name)
    return [f"{', '.join(names)}: {problem}" for problem, names in stopped.items()]


def _describe_lag(source: SourceProgress, now: float) -> str:
    """Return how a source is late; empty when it is not."""
    if not source.reached:
        return f"{source.name}: nothing has been read yet"
    if now - source.reached > source.allowed:
        return f"{source.name}: read up to {now - source.reached:.0f} s ago, the limit is {source.allowed:.0f} s"
    return f"{source.name}: {source.slow}" if source.slow else ""
