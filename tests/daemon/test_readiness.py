"""Readiness: how far each source is read, and every reason why that is not enough."""

from datetime import UTC, datetime
from math import inf

import pytest

from worker.daemon.readiness import (
    Reason,
    Reasons,
    SourceProgress,
    Trouble,
    find_reasons,
    find_silence,
    find_standstill,
    find_stuck,
    judge_readiness,
    warn_of_clock,
    warn_of_held,
    warn_of_pauses,
    warn_of_spending,
    warn_of_stuck,
    warn_of_stuck_log,
)
from worker.ledger.standstill import KeptBack, Standstill
from worker.ledger.values import HeldCause

NOW = 1_000_000.0


def source(*, ago: float = 5.0, missing: float = 0.0, slow: str = "", reached: float | None = None) -> SourceProgress:
    """Return the progress of a source that may be 30 s behind."""
    return SourceProgress("messages", NOW - ago if reached is None else reached, missing, slow, 30.0)


def find(one: SourceProgress, *troubles: Trouble, stopping: bool = False) -> list[tuple[str, str]]:
    """Return kind and sentence of each reason."""
    return [(reason.kind, reason.says) for reason in find_reasons([one], troubles, NOW, stopping=stopping)]


def failing(stops: str, problem: str) -> Trouble:
    return Trouble("loop_failing", stops, problem)


def test_a_source_that_is_read_until_just_now_is_ready() -> None:
    assert find(source(missing=1800.0)) == []
    found = judge_readiness([], [source(missing=1800.0)], NOW)
    assert (found.ready, found.why, found.reasons) == (True, (), ())
    assert found.sources == {"messages": {"covered_seconds_ago": 5.0, "missing_seconds": 1800.0}}


@pytest.mark.parametrize(
    ("one", "kind", "says"),
    [
        (source(ago=95.0), "reading_late", "messages: read up to 95 s ago, the limit is 30 s"),
        (source(reached=0.0), "nothing_read", "messages: nothing has been read since the start"),
        (source(slow="the search took more than 60 s"), "search_slow", "messages: the search took more than 60 s"),
    ],
)
def test_a_source_that_is_not_read_says_in_which_way(one: SourceProgress, kind: str, says: str) -> None:
    assert find(one) == [(kind, says)]


def test_a_source_of_which_nothing_is_read_yet_has_no_figures() -> None:
    assert judge_readiness([], [source(reached=0.0)], NOW).sources == {}


def test_every_trouble_is_told_and_stopping_comes_first() -> None:
    found = find(source(), failing("reports", "could not connect"), stopping=True)
    assert found == [("stopping", "the worker is stopping"), ("loop_failing", "reports: could not connect")]


def test_what_stops_several_is_said_once_with_their_names() -> None:
    troubles = [
        failing("messages", "could not connect"),
        failing("start", "no"),
        failing("reports", "could not connect"),
    ]
    found = find(source(), *troubles)
    assert [says for _, says in found] == ["messages, reports: could not connect", "start: no"]


def test_reasons_of_one_kind_are_told_apart_and_their_kind_is_named_once() -> None:
    reasons = [Reason("brake", "a", "one"), Reason("brake", "b", "other"), Reason("stopping", "", "third")]
    found = judge_readiness(reasons, [], NOW)
    assert (found.ready, found.why, found.reasons) == (False, ("one", "other", "third"), ("brake", "stopping"))


def test_a_warning_keeps_nothing_from_being_ready() -> None:
    found = judge_readiness([], [source()], NOW, ["rule a only observes"])
    assert (found.ready, found.warnings) == (True, ("rule a only observes",))


def test_a_reason_is_told_at_once_and_for_half_a_minute_after_it_is_gone() -> None:
    reasons, one = Reasons(), Reason("event_held", "a", "an event waits")
    assert reasons.note([one], 100.0) == (one,)
    assert reasons.note([], 129.0) == (one,)
    assert reasons.note([], 131.0) == ()


def test_a_reason_whose_figures_change_is_told_once_as_it_is_now() -> None:
    reasons = Reasons()
    reasons.note([Reason("brake", "a", "1 entry")], 100.0)
    assert [one.says for one in reasons.note([Reason("brake", "a", "2 entries")], 101.0)] == ["2 entries"]


@pytest.mark.parametrize(("age", "told"), [(299.0, False), (301.0, True)])
def test_an_event_may_be_held_for_five_minutes(age: float, told: bool) -> None:  # noqa: FBT001
    still = Standstill(causes=(HeldCause("could not fetch Detection: no", 2, NOW - age),))
    found = list(find_standstill("a", still, NOW))
    assert [one.kind for one in found] == (["event_held"] if told else [])
    assert not told or "2 events wait to be judged, the oldest for 5 min: could not fetch" in found[0].says


@pytest.mark.parametrize(("age", "told"), [(30.0, 0), (31.0, 1), (300.0, 1), (301.0, 0)])
def test_an_event_that_is_held_for_half_a_minute_is_a_warning_until_it_is_a_reason(age: float, told: int) -> None:
    still = Standstill(causes=(HeldCause("it needs from_name, which cannot be read", 1, NOW - age),))
    warned = list(warn_of_held("a", still, NOW))
    assert ["1 event waits to be judged" in one and "from_name" in one for one in warned] == [True] * told


@pytest.mark.parametrize(("silent", "told"), [(19.0, []), (20.0, ["api_silent"])])
def test_the_api_may_be_silent_for_twenty_seconds(silent: float, told: list[str]) -> None:
    assert [one.kind for one in find_silence("a", silent)] == told


@pytest.mark.parametrize(("wait", "told"), [(5.0, 0), (41.0, 1)])
def test_a_spent_budget_is_told_when_reading_waits_for_it(wait: float, told: int) -> None:
    warned = list(warn_of_spending(wait, inf))
    assert [f"nothing is read for another {wait:.0f} s" in one for one in warned] == [True] * told


@pytest.mark.parametrize("of", ["all", "some"])
def test_a_pause_that_the_api_asks_for_is_told_with_its_end(of: str) -> None:
    (warned,) = warn_of_pauses(NOW, 240.0 * (of == "all"), 240.0 * (of == "some"))
    ends = f"{datetime.fromtimestamp(NOW + 240, UTC):%H:%M:%S}"
    assert f"until {ends} UTC, for another 240 s; after that it is asked again" in warned
    assert ("nothing is read or done" in warned) == (of == "all")
    assert list(warn_of_pauses(NOW, 5.0, 5.0)) == []


@pytest.mark.parametrize(("ago", "told"), [(0.0, 1), (59.0, 1), (60.0, 0), (inf, 0)])
def test_a_refusal_for_a_spent_quota_is_told_for_a_minute(ago: float, told: int) -> None:
    warned = list(warn_of_spending(0.0, ago))
    assert [f"429 (too many requests) {ago:.0f} s ago" in one for one in warned] == [True] * told


@pytest.mark.parametrize(
    ("kept", "kind", "says"),
    [
        (("everything", "", 1200), "brake", "the brake on everything keeps back 1,200 entries"),
        (("lane", "block", 1), "brake", "the brake on lane block keeps back 1 entry"),
        (("rule", "a, b", 2), "brake", "the brake on rule a, b keeps back 2 entries"),
        (("lowered", "a", 1), "rule_lowered", "rule a, which only observes until it is fixed, keeps back 1 entry"),
    ],
)
def test_what_is_kept_back_is_counted_by_what_keeps_it(kept: tuple[str, str, int], kind: str, says: str) -> None:
    still = Standstill(kept_back=(KeptBack(*kept),))  # type: ignore[arg-type]
    assert [(one.kind, one.says) for one in find_standstill("a", still, NOW)] == [(kind, says)]


@pytest.mark.parametrize(("off", "way"), [(3600.0, "ahead of"), (-61.0, "behind")])
def test_a_clock_of_the_machine_that_is_off_is_a_warning(off: float, way: str) -> None:
    (told,) = warn_of_clock(off, 0.0)
    assert told.startswith(f"the clock of this machine is {abs(off):.0f} s {way} the API's time: set it")
    assert list(warn_of_clock(off / 61, 0.0)) == []


def test_a_date_that_is_not_believed_is_a_warning() -> None:
    (told,) = warn_of_clock(0.0, -3600.0)
    assert told.startswith("the API's answers name a time 3600 s behind the one so far: it is not believed")


@pytest.mark.parametrize(("ahead", "way"), [(3600.0, "ahead of"), (-40 * 86400.0, "behind")])
def test_a_first_date_that_is_not_believed_yet_is_a_warning(ahead: float, way: str) -> None:
    (told,) = warn_of_clock(0.0, ahead, is_known=False)
    named = f"a time {abs(ahead):.0f} s {way} the clock of this machine"
    assert told.startswith(f"the API's first answer names {named}: nothing is read or done until")


def test_list_entries_that_outlive_their_end_because_of_a_clock_are_a_reason() -> None:
    (told,) = find_standstill("a", Standstill(overdue=2, overdue_since=NOW - 7200), NOW)
    assert told.kind == "end_overdue"
    assert told.says.startswith("2 list entries should have ended, the oldest 2 h ago, but not by the clock of")


def test_records_that_do_not_get_out_are_a_warning_and_after_a_minute_a_reason() -> None:
    assert [*warn_of_stuck(4.0, "it is closed"), *find_stuck(59.0, "it is closed")] == []
    (warning,), (reason,) = warn_of_stuck(5.0, "it is closed"), find_stuck(60.0, "it is closed")
    assert warning.startswith("audit records have not left for 5 s (it is closed): the ledger keeps them")
    assert (reason.kind, list(warn_of_stuck(60.0, ""))) == ("records_stuck", [])


def test_log_lines_that_had_to_be_left_out_are_counted_in_the_warning() -> None:
    (told,) = warn_of_stuck_log(6.0, "Broken pipe", 3)
    assert (
        told
        == "the operations log has not left for 6 s (Broken pipe), and 3 lines had to be left out: see who reads stderr"
    )
