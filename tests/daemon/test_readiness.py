"""Readiness: how far each source is read, and every reason why that is not enough."""

from worker.daemon.readiness import SourceProgress, judge_readiness

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
