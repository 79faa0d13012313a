"""Readiness: whether the worker does its work, and each reason why not. Pure, but for how long a reason is told."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Literal, NamedTuple, get_args

from worker.ledger.crowding import MOST_HELD
from worker.ledger.standstill import Keeper, KeptBack, Standstill
from worker.web import Readiness
from worker.wording import count, format_age, tell_causes, tell_extent

Kind = Literal[
    "stopping",
    "loop_failing",  # the API refuses or cannot be reached, or the rule process cannot be started
    "nothing_read",
    "reading_late",
    "search_slow",
    "actions_delayed",
    "records_unreadable",
    "field_missing",
    "event_held",
    "events_crowded",
    "brake",
    "rule_lowered",
    "end_overdue",
    "integration_lost",
    "api_silent",
    "records_stuck",
]
"""Why the worker is not ready, as programs read it: the table in docs/operations.md lists each."""
KINDS: tuple[Kind, ...] = get_args(Kind)
TURNS = 3
"""Polls that a source may miss before it counts as late."""
HELD_SOON, OLDEST_HELD = 30.0, 300.0
"""Seconds for which an event may wait for a fact: before it is a warning, and before it is a reason."""
SILENT = 20.0
"""Seconds for which the API may leave every request unanswered."""
SPENT = 5.0
"""Seconds for which reading may wait for the budget before anybody is told."""
REFUSED_LATELY = 60.0
"""Seconds for which a refusal for a spent quota (429) is told after it."""
CLOCKS_APART = 60.0
"""Seconds by which the clock of this machine may differ from the API's time before anybody is told."""
STUCK_SOON, STUCK = 5.0, 60.0
"""Seconds for which stdout or stderr may take nothing: until it is a warning, and for records until it is a reason."""
TOLD = 30.0
"""Seconds for which a reason is told after it is gone, so that one that comes and goes is seen."""
KEEPERS: dict[Keeper, str] = {
    "everything": "the brake on everything",
    "lane": "the brake on lane {of}",
    "rule": "the brake on rule {of}",
    "lowered": "rule {of}, which only observes until it is fixed,",
}


class Reason(NamedTuple):
    """A reason why the worker is not ready; ``about`` tells reasons of one kind apart."""

    kind: Kind
    about: str
    says: str


class Reasons:
    """Remembers why the worker was not ready a moment ago."""

    def __init__(self) -> None:
        self._seen: dict[tuple[Kind, str], tuple[float, Reason]] = {}

    def note(self, found: Iterable[Reason], now: float) -> tuple[Reason, ...]:
        """Return what is told now: what was found, and what is gone for less than half a minute."""
        self._seen |= {(reason.kind, reason.about): (now, reason) for reason in found}
        self._seen = {key: seen for key, seen in self._seen.items() if now - seen[0] < TOLD}
        return tuple(reason for _, reason in self._seen.values())


def find_silence(account: str, silent: float) -> Iterator[Reason]:
    """Yield that the API answers nothing at all."""
    if silent >= SILENT:
        says = f"the API has answered no request for {silent:.0f} s: check the network and Cloudflare's status"
        yield Reason("api_silent", account, says)


def find_stuck(stuck: float, problem: str) -> Iterator[Reason]:
    """Yield that audit records do not get out."""
    if stuck >= STUCK:
        yield Reason("records_stuck", "stdout", _describe_stuck(stuck, problem))


def warn_of_stuck(stuck: float, problem: str) -> Iterator[str]:
    """Yield that audit records do not get out, until it is a reason."""
    if STUCK_SOON <= stuck < STUCK:
        yield _describe_stuck(stuck, problem)


def warn_of_stuck_log(stuck: float, problem: str, left_out: int) -> Iterator[str]:
    """Yield that the operations log does not get out."""
    if stuck >= STUCK_SOON:
        lost = f", and {count(left_out, 'line')} had to be left out" if left_out else ""
        yield f"the operations log has not left for {stuck:.0f} s ({problem}){lost}: see who reads stderr"


def _describe_stuck(stuck: float, problem: str) -> str:
    """Say for how long records have been stuck, and that none is lost."""
    kept = "the ledger keeps them and hands them on from there; see who reads stdout"
    return f"audit records have not left for {stuck:.0f} s ({problem}): {kept}"


def warn_of_clock(off: float, doubted: float, *, is_known: bool = True) -> Iterator[str]:
    """Yield that the clocks disagree: the one of this machine with the API, or the API with itself."""
    if doubted and not is_known:
        way = "ahead of" if doubted > 0 else "behind"
        then = "nothing is read or done until its answers have said so for half a minute; set the one that is wrong"
        yield f"the API's first answer names a time {abs(doubted):.0f} s {way} the clock of this machine: {then}"
        return
    if abs(off) > CLOCKS_APART:
        way = "ahead of" if off > 0 else "behind"
        then = "set it; until then blocks, allowances and decisions end only when both are past their end"
        yield f"the clock of this machine is {abs(off):.0f} s {way} the API's time: {then}"
    if doubted:
        way = "ahead of" if doubted > 0 else "behind"
        then = "it is not believed until ten answers over five minutes agree; see what proxy answers"
        yield f"the API's answers name a time {abs(doubted):.0f} s {way} the one so far: {then}"


def warn_of_pauses(now: float, of_all: float, of_some: float) -> Iterator[str]:
    """Yield that the API has asked for a pause, of everything or of what it could not answer, and until when."""
    if of_all > SPENT:
        yield f"the API has asked for a pause, so nothing is read or done {_say_until(now, of_all)}"
    if of_some > SPENT:
        yield f"the API has asked for a pause of what it could not answer, so that waits {_say_until(now, of_some)}"


def _say_until(now: float, seconds: float) -> str:
    end = datetime.fromtimestamp(now + seconds, UTC)
    return f"until {end:%H:%M:%S} UTC, for another {seconds:.0f} s; after that it is asked again"


def warn_of_spending(wait: float, since_refusal: float) -> Iterator[str]:
    """Yield that reading the newest mail would wait for the budget, or that others spend the quota."""
    if since_refusal < REFUSED_LATELY:
        then = "somebody else spends its quota: see who uses this credential or this address, or lower WORKER_BUDGET"
        yield f"the API answered 429 (too many requests) {since_refusal:.0f} s ago; {then}"
    if wait > SPENT:
        then = "see who else uses this credential, or raise WORKER_BUDGET if the API allows more"
        yield f"the request budget is spent, and nothing is read for another {wait:.0f} s: {then}"


def find_standstill(account: str, still: Standstill, now: float) -> Iterator[Reason]:
    """Yield what waits in the ledger without anybody working on it."""
    if still.held and now - still.since > OLDEST_HELD:
        yield Reason("event_held", account, _describe_held(still, now))
    if still.crowded_since:
        minutes = (now - still.crowded_since) / 60
        told = f"{MOST_HELD:,} events were held when more came, {minutes:.0f} min ago"
        yield Reason("events_crowded", account, f"{told}: worker held shows why, and worker gaps what is read again")
    for kept in still.kept_back:
        yield Reason("rule_lowered" if kept.by == "lowered" else "brake", f"{account} {kept.of}", _describe(kept))
    if still.overdue:
        yield Reason("end_overdue", account, _describe_overdue(still, now))


def warn_of_held(account: str, still: Standstill, now: float) -> Iterator[str]:
    """Yield that events wait, once that is longer than a fact usually takes, and until it is a reason."""
    if still.held and HELD_SOON < now - still.since <= OLDEST_HELD:
        yield f"account {account}: {_describe_held(still, now)}"


def warn_of_records(account: str, still: Standstill) -> Iterator[str]:
    """Yield that records were judged by nobody, or not by all rules."""
    if still.unreadable:
        they, are, have = ("it", "is", "has") if still.unreadable == 1 else ("they", "are", "have")
        why = f"because {they} cannot be read; {they} {are} tried again: see worker gaps"
        yield f"account {account}: {count(still.unreadable, 'record')} {have} not been judged, {why}"
    if still.half_heard:
        have = "has" if still.half_heard == 1 else "have"
        look = "worker gaps lists them until somebody has closed them, or they come with another"
        heard = f"{have} a verdict that only rules without dispositions hear"
        yield f"account {account}: {count(still.half_heard, 'message')} {heard}; {look}"


def warn_of_notices(account: str, still: Standstill, now: float) -> Iterator[str]:
    """Yield that a channel does not take what rules tell people."""
    for one in still.untaken:
        notices = tell_extent(one.notices, "notice", now - one.since)
        given_up = f", and {one.given_up:,} of them are given up" if one.given_up else ""
        then = f"check WORKER_NOTIFY_{one.channel.upper()} and what stands behind it"
        yield f"account {account}: channel {one.channel} has not taken {notices}{given_up} ({one.said}): {then}"


def _describe_held(still: Standstill, now: float) -> str:
    events = "1 event waits" if still.held == 1 else f"{still.held:,} events wait"
    return f"{events} to be judged, the oldest for {format_age(now - still.since)}: {tell_causes(still.causes, now)}"


def _describe_overdue(still: Standstill, now: float) -> str:
    """Say for how long list entries have stood too long, because a clock is or was wrong."""
    late = f"{count(still.overdue, 'list entry', 'list entries')} should have ended"
    then = "set that clock; if it is right now, remove in Cloudflare's dashboard what should not stand any more"
    since = f"the oldest {(now - still.overdue_since) / 3600:.0f} h ago"
    return f"{late}, {since}, but not by the clock of this machine as it is, or was when they were made: {then}"


def _describe(kept: KeptBack) -> str:
    """Say what keeps how much back."""
    entries = "1 entry" if kept.entries == 1 else f"{kept.entries:,} entries"
    return f"{KEEPERS[kept.by].format(of=kept.of)} keeps back {entries}"


class SourceProgress(NamedTuple):
    """How far a source is read. Times in seconds; ``reached`` is API time, 0 when nothing is read yet."""

    name: str
    reached: float
    missing: float
    slow: str
    """Why a gap cannot be closed now; empty when nothing stands in the way."""
    allowed: float
    """How many seconds old the end of what is read may be."""


class Trouble(NamedTuple):
    """What stands in the way of a loop, or of a kind of action; ``stops`` is its name."""

    kind: Kind
    stops: str
    problem: str


def find_reasons(
    sources: Iterable[SourceProgress], troubles: Iterable[Trouble], now: float, *, stopping: bool
) -> Iterator[Reason]:
    """Yield what keeps the worker from reading and acting at this moment."""
    if stopping:
        yield Reason("stopping", "", "the worker is stopping")
    yield from _merge_troubles(troubles)
    for source in sources:
        yield from _find_lag(source, now)


def judge_readiness(
    reasons: Iterable[Reason], sources: Iterable[SourceProgress], now: float, warnings: Iterable[str] = ()
) -> Readiness:
    """Return whether the worker does its work, and each reason why not."""
    reasons = tuple(reasons)
    return Readiness(
        ready=not reasons,
        reasons=tuple(dict.fromkeys(reason.kind for reason in reasons)),
        why=tuple(reason.says for reason in reasons),
        warnings=tuple(warnings),
        sources={source.name: _measure(source, now) for source in sources if source.reached},
    )


def _measure(source: SourceProgress, now: float) -> dict[str, float]:
    """Return how far a source is read, in seconds."""
    return {
        "covered_seconds_ago": round(now - source.reached, 1),
        "missing_seconds": round(source.missing, 1),
    }


def _merge_troubles(troubles: Iterable[Trouble]) -> Iterator[Reason]:
    """Yield each problem once, with the names of everything it stops."""
    stopped: dict[tuple[Kind, str], list[str]] = defaultdict(list)
    for trouble in troubles:
        stopped[trouble.kind, trouble.problem].append(trouble.stops)
    for (kind, problem), names in stopped.items():
        yield Reason(kind, problem, f"{', '.join(names)}: {problem}")


def _find_lag(source: SourceProgress, now: float) -> Iterator[Reason]:
    """Yield how a source is late."""
    if not source.reached:
        yield Reason("nothing_read", source.name, f"{source.name}: nothing has been read since the start")
    elif (age := now - source.reached) > source.allowed:
        says = f"{source.name}: read up to {age:.0f} s ago, the limit is {source.allowed:.0f} s"
        yield Reason("reading_late", source.name, says)
    elif source.slow:
        yield Reason("search_slow", source.name, f"{source.name}: {source.slow}")
