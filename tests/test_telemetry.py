"""Telemetry: streams that stay apart, and lines that show no secret and do nothing to a terminal."""

import io
import logging
import re

import msgspec
import pytest

from worker.telemetry import Libraries, Metrics, open_log


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_a_log_line_is_json_where_nobody_looks_on() -> None:
    stream = io.StringIO()
    open_log(stream).info("bundle taken", generation=2, why=None)
    line = msgspec.json.decode(stream.getvalue())
    assert (line["event"], line["level"], line["generation"], line["why"]) == ("bundle taken", "info", 2, None)
    assert line["timestamp"].endswith("Z")


def test_a_log_line_is_key_value_on_a_terminal() -> None:
    stream = Terminal()
    open_log(stream).warning("not ready", source="messages")
    assert re.fullmatch(r'timestamp=\S+ level=warning event="not ready" source=messages\n', stream.getvalue())


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_a_secret_never_reaches_a_line(stream: io.StringIO) -> None:
    log = open_log(stream, secrets=["s3cret", "s3cret-longer", ""])
    error = ValueError("Bearer s3cret-longer")
    log.error("failed", header="Bearer s3cret", many=["s3cret"], exc_info=error)
    assert "s3cret" not in stream.getvalue()
    assert "longer" not in stream.getvalue()
    assert "***" in stream.getvalue()


def test_what_a_stranger_wrote_cannot_act_on_a_terminal() -> None:
    stream = Terminal()
    open_log(stream).info("judged", subject="\x1b[2J\u202egnp.exe\nlevel=error event=forged")
    assert stream.getvalue().count("\n") == 1
    assert not set("\x1b\u202e") & set(stream.getvalue())


def test_a_level_below_the_one_set_is_silent() -> None:
    stream = io.StringIO()
    open_log(stream, level="WARNING").info("nothing to see")
    assert stream.getvalue() == ""


def test_what_libraries_log_ends_up_in_the_same_log() -> None:
    stream = io.StringIO()
    library = logging.getLogger("tests.a_library")
    library.addHandler(Libraries(open_log(stream)))
    library.info("job added")
    library.warning("run time of job %s was missed", "poll")
    line = msgspec.json.decode(stream.getvalue())
    assert (line["event"], line["library"]) == ("run time of job poll was missed", "tests.a_library")


def test_metrics_are_exposed_under_names_that_tell_their_unit() -> None:
    metrics = Metrics()
    metrics.requests.labels("GET investigate", "200").inc()
    metrics.answered.observe(1.5)
    page = metrics.render().decode()
    assert 'worker_api_requests_total{operation="GET investigate",status="200"} 1.0' in page
    assert 'worker_time_to_answered_seconds_bucket{le="2.0"} 1.0' in page
    exposed = set(re.findall(r"^# TYPE (\S+)", page, re.MULTILINE))
    assert set(metrics.names) <= exposed


def test_two_workers_in_one_process_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.generation.set(3)
    assert "worker_bundle_generation 0.0" in other.render().decode()


def test_no_series_says_only_when_it_began() -> None:
    metrics = Metrics()
    metrics.on_rule_failure("a")
    assert "_created" not in metrics.render().decode()


def test_what_a_rule_may_come_to_is_there_at_zero_before_it_happens() -> None:
    metrics = Metrics()
    metrics.declare_rule("a", ["acc"], ["Move"], ["done", "failed"])
    before = metrics.render().decode()
    metrics.on_outcome("acc", "a", "Move", "failed")
    metrics.on_rule_failure("a")
    failed = 'worker_actions_total{account="acc",kind="Move",outcome="failed",rule="a"}'
    for series in (failed, 'worker_rule_failures_total{rule="a"}'):
        assert f"{series} 0.0" in before
        assert f"{series} 1.0" in metrics.render().decode()


def test_a_refusal_of_pace_is_a_rise_from_the_first_request_of_an_operation() -> None:
    metrics = Metrics()
    metrics.on_call("GET investigate", 200, 0.1)
    assert 'worker_api_requests_total{operation="GET investigate",status="429"} 0.0' in metrics.render().decode()
