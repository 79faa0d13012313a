"""Readiness: how far each source is read, and every reason why that is not enough."""

import pytest

from worker.daemon.readiness import Reasons, SourceProgress, find_silence, find_standstill, judge_readiness
from worker.ledger.standstill import Standstill

NOW = 1_000_000.0


def source(*, ago: float = 5.0, missing: float = 0.0, slow: str = "", reached: float | None = None) -> SourceProgress:
    """Return the progress of a source that may be 30 s behind."""
    return SourceProgress("messages", NOW - ago if reached is None else reached, missing, slow, 30.0)


def test_a_source_that_is_read_until_just_now_is_ready() -> None:
    found = judge_readiness([source(missing=1800.0)], {}, NOW, stopping=False)
    assert (found.ready, found.why) == (True, ())
    assert found.sources == {"messages": {"covered_seconds_ago": 5.0, "missing_seconds": 1800.0}}


def test_a_source_that_lags_behind_says_by_how_much() -> None:
    found = judge_readiness([source(ago=95.0)], {}, NOW, stopping=False)
    assert (found.ready, found.why) == (False, ("messages: read up to 95 s ago, the limit is 30 s",))


def test_a_source_of_which_nothing_is_read_yet_has_no_figures() -> None:
    found = judge_readiness([source(reached=0.0)], {}, NOW, stopping=False)
    assert (found.ready, found.why, found.sources) == (False, ("messages: nothing has been read yet",), {})


def test_a_gap_that_cannot_be_closed_for_now_is_not_ready() -> None:
    found = judge_readiness([source(slow="the search took more than 60 s to answer")], {}, NOW, stopping=False)
    assert found.why == ("messages: the search took more than 60 s to answer",)


def test_every_trouble_is_told_and_stopping_comes_first() -> None:
    found = judge_readiness([source()], {"reports": "could not connect to the API"}, NOW, stopping=True)
    assert found.why == ("the worker is stopping", "reports: could not connect to the API")


def test_what_stops_several_is_said_once_with_their_names() -> None:
    troubles = {"messages": "could not connect", "start": "no permission", "reports": "could not connect"}
    found = judge_readiness([source()], troubles, NOW, stopping=False)
    assert found.why == ("messages, reports: could not connect", "start: no permission")


def test_a_warning_keeps_nothing_from_being_ready() -> None:
    found = judge_readiness([source()], {}, NOW, stopping=False, warnings=["rule a only observes"])
    assert (found.ready, found.warnings) == (True, ("rule a only observes",))


def test_a_reason_is_told_for_half_a_minute_after_it_is_gone() -> None:
    reasons = Reasons()
    assert reasons.note({"held": "an event waits"}, 100.0) == ("an event waits",)
    assert reasons.note({}, 129.0) == ("an event waits",)
    assert reasons.note({}, 131.0) == ()


@pytest.mark.parametrize(("age", "told"), [(299.0, False), (301.0, True)])
def test_an_event_may_be_held_for_five_minutes(age: float, told: bool) -> None:  # noqa: FBT001
    still = Standstill(held=2, since=NOW - age, why="could not fetch Detection: no")
    found = dict(find_standstill("a", still, NOW))
    assert bool(found) == told
    assert not told or "2 events wait to be judged, the oldest for 5 min: could not fetch" in found["held a"]


@pytest.mark.parametrize(
    ("unreadable", "silent", "told"),
    [
        ("", 19.0, []),
        ("", 20.0, ["silent mail"]),
        ("x", 0.0, ["unreadable mail"]),
        ("x", 30.0, ["unreadable mail", "silent mail"]),
    ],
)
def test_a_source_that_is_silent_says_in_which_way(unreadable: str, silent: float, told: list[str]) -> None:
    assert list(dict(find_silence("mail", unreadable, silent))) == told


def test_what_is_kept_back_is_counted_by_what_keeps_it() -> None:
    still = Standstill(kept_back={"the brake on everything": 1200})
    assert list(dict(find_standstill("a", still, NOW)).values()) == [
        "the brake on everything keeps back 1,200 entries that are ready"
    ]
