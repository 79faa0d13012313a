"""Readiness: whether the worker does its work, and each reason why not. Pure, but for how long a reason is told."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from worker.ledger.standstill import Standstill
from worker.web import Readiness

TURNS = 3
"""Polls that a source may miss before it counts as late."""


OLDEST_HELD = 300.0
"""Seconds for which an event may wait for a fact."""
SILENT = 20.0
"""Seconds for which the API may leave every request unanswered."""
TOLD = 30.0
"""Seconds for which a reason is told after it is gone, so that one that comes and goes is seen."""


class Reasons:
    """Remembers why the worker was not ready a moment ago."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[float, str]] = {}

    def note(self, found: Mapping[str, str], now: float) -> tuple[str, ...]:
        """Return what is told now: what was found, by its kind, and what is gone for less than half a minute."""
        self._seen |= {kind: (now, says) for kind, says in found.items()}
        self._seen = {kind: seen for kind, seen in self._seen.items() if now - seen[0] < TOLD}
        return tuple(says for _, says in self._seen.values())


def find_silence(name: str, unreadable: str, silent: float) -> Iterator[tuple[str, str]]:
    """Yield what keeps a source unheard although it is read."""
    if unreadable:
        yield f"unreadable {name}", f"{name}: {unreadable}"
    if silent >= SILENT:
        yield f"silent {name}", f"{name}: the API has answered no request for {silent:.0f} s"


def find_standstill(account: str, still: Standstill, now: float) -> Iterator[tuple[str, str]]:
    """Yield what waits in the ledger without anybody working on it."""
    if still.held and now - still.since > OLDEST_HELD:
        events = "1 event waits" if still.held == 1 else f"{still.held:,} events wait"
        yield (
            f"held {account}",
            f"{events} to be judged, the oldest for {(now - still.since) / 60:.0f} min: {still.why}",
        )
    for what, count in still.kept_back.items():
        ready = "1 entry that is" if count == 1 else f"{count:,} entries that are"
        yield f"kept back {account} {what}", f"{what} keeps back {ready} ready"


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
    reasons: Iterable[str] = (),
) -> Readiness:
    """Return whether the worker does its work, and each reason why not."""
    sources = list(sources)
    why = ["the worker is stopping"] if stopping else []
    why += _merge_troubles(troubles)
    why += [sentence for source in sources if (sentence := _describe_lag(source, now))]
    why += reasons
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
