"""The monthly report: whatever its form, months keep their figures and nothing is lost."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cells import each
from worker.api.analytics import MonthlyReport, read_report

FIGURES: dict[str, Any] = {"detections": 3, "dispositions": {"SPAM": 2}, "share": 0.5}
COUNTS = {"detections": 3, "dispositions/SPAM": 2, "share": 0.5}
FORMS: dict[str, Any] = {
    "a list": [{"month": "2026-11"} | FIGURES],
    "a list in an object, beside other dates": {"from": "2025-12-01", "months": [{"month": "2026-11"} | FIGURES]},
    "an object by month": {"2026-11": FIGURES},
    "days": [{"period_start": "2026-11-01T00:00:00Z"} | FIGURES],
    "dates inside of a month": [{"month": "2026-11", "worst": {"day": "2026-10-09"}} | FIGURES],
    "one month": {"month": "2026-11"} | FIGURES,
}


def read(report: object) -> MonthlyReport:
    return read_report(msgspec.Raw(msgspec.json.encode(report)))


@each("form", FORMS)
def test_a_month_is_found_in_every_form_with_its_figures(form: str) -> None:
    [month] = read(FORMS[form]).months
    assert (month.month, month.counts) == ("2026-11", COUNTS)


def test_a_month_may_be_two_numbers() -> None:
    [month] = read([{"year": 2026, "month": 3, "detections": 5}]).months
    assert (month.month, month.counts["detections"]) == ("2026-03", 5)


def test_a_month_that_comes_in_parts_says_which() -> None:
    report = read({"detections": {"2026-11": {"n": 1}}, "policies": [{"month": "2026-11", "n": 2}]})
    assert [(one.month, one.part, one.counts["n"]) for one in report.months] == [
        ("2026-11", "detections", 1),
        ("2026-11", "policies", 2),
    ]


@each("odd", [True, False, None, "7", [], {}])
def test_what_is_no_number_is_no_count_but_kept(odd: object) -> None:
    [month] = read([{"month": "2026-11", "odd": odd}]).months
    assert (month.counts, month.rest) == ({}, {"month": "2026-11", "odd": odd})


@pytest.mark.parametrize("report", [7, "2026-11", True, None])
def test_what_is_no_report_is_told(report: object) -> None:
    with pytest.raises(ValueError, match="the report is "):
        read(report)


NAMES = st.one_of(st.sampled_from(["month", "year", "2026-11", "a/b", "a~b", "date"]), st.text(min_size=1, max_size=4))
LEAVES = st.one_of(st.integers(0, 9999), st.none(), st.booleans(), st.sampled_from(["2026-11", "2026-11-30", "text"]))
REPORTS = st.recursive(LEAVES, lambda one: st.lists(one, max_size=3) | st.dictionaries(NAMES, one, max_size=4))


def leaves(value: Any) -> list[object]:  # noqa: ANN401 (any JSON)
    """Return all that holds nothing else."""
    inside = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return [leaf for one in inside for leaf in leaves(one)] if inside else [value]


@given(REPORTS.filter(lambda one: isinstance(one, dict | list)))
def test_nothing_in_a_report_is_dropped_or_told_twice(report: object) -> None:
    found = read(report)
    told = [*found.rest.values(), *(one for m in found.months for one in (*m.counts.values(), *m.rest.values()))]
    assert sorted(map(repr, told)) == sorted(map(repr, leaves(report)))
