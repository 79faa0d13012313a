"""Drift: the pinned SDK has the API that is known, and each way in which a newer one may differ is named."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract import sdk_api
from tests.contract.drift import compare, load_known
from tests.contract.test_complete import IN_NO_SDK
from worker.api import OPERATIONS

Api = dict[str, Any]
SEARCH = "GET /investigate"


@pytest.fixture(scope="module")
def known() -> Api:
    return load_known()


@pytest.mark.slow
def test_the_pinned_sdk_has_the_known_api(known: Api) -> None:
    found = sdk_api.describe()
    assert compare(known, found) == [], "read what is new, then: .venv/bin/python -m tests.contract.drift --write"
    assert found["version"] == known["version"]


def test_the_known_api_has_the_operations_of_our_client(known: Api) -> None:
    ours = {f"{one.method} {one.path}" for one in OPERATIONS if one.call not in IN_NO_SDK}
    assert set(known["operations"]) == ours


def test_the_known_api_is_described_down_to_its_innermost_fields(known: Api) -> None:
    operations = known["operations"]
    assert "=MOVED" in operations[SEARCH]["asked"]["message_action"]
    assert "=MALICIOUS-BEC" in operations[SEARCH]["answered"]["final_disposition"]
    assert operations[SEARCH]["answered"]["validation.spf"] == ["=error", "=fail", "=neutral", "=none", "=pass"]
    assert operations["POST /investigate/bulk"]["asked"]["search_params.exact_subject"] == ["text"]
    assert operations["POST /settings/domains/batch"]["asked"]["posts.regions"][-1] == "=US"


def answer(name: str, kinds: list[str] | None) -> Callable[[Api], None]:
    """Let a search answer a field in another way, or not at all."""

    def change(api: Api) -> None:
        fields = api["operations"][SEARCH]["answered"]
        fields.pop(name, None)
        fields |= {} if kinds is None else {name: kinds}

    return change


CHANGES: dict[str, tuple[Callable[[Api], object], str]] = {
    "an operation": (
        lambda api: api["operations"].update({"GET /analytics/monthly_report": {"asked": {}, "answered": {}}}),
        "GET /analytics/monthly_report is new",
    ),
    "no operation": (lambda api: api["operations"].pop(SEARCH), f"{SEARCH} is gone"),
    "a field": (answer("campaign", ["text"]), f"{SEARCH} answers campaign now: text"),
    "no field": (answer("subject", None), f"{SEARCH} answers subject no longer"),
    "a word": (
        answer("post_delivery_operations", ["=MOVE", "=PREVIEW", "=PURGE", "=QUARANTINE_RELEASE", "=SUBMISSION"]),
        f"{SEARCH} answers post_delivery_operations, which may be PURGE now",
    ),
    "no word": (
        answer("post_delivery_operations", ["=MOVE", "=PREVIEW", "=SUBMISSION"]),
        f"{SEARCH} answers post_delivery_operations, which is never QUARANTINE_RELEASE now",
    ),
    "a parameter": (
        lambda api: api["operations"][SEARCH]["asked"].update(tenant=["=eu", "=us"]),
        f"{SEARCH} is asked tenant now: eu, us",
    ),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_difference_is_named(known: Api, kind: str) -> None:
    change, said = CHANGES[kind]
    found = copy.deepcopy(known)
    change(found)
    assert compare(known, found) == [said]


def test_another_kind_of_value_is_named_from_both_sides(known: Api) -> None:
    found = copy.deepcopy(known)
    answer("id", ["number"])(found)
    assert compare(known, found) == [
        f"{SEARCH} answers id, which is never text now",
        f"{SEARCH} answers id, which may be number now",
    ]
