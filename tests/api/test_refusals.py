"""What the API says when it refuses reaches people, with what to do next."""

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api.desk import page
from tests.cells import each
from worker.api import Response
from worker.api.envelope import Endpoint, interpret, records
from worker.api.refusals import ADVICE, CREDENTIAL_CODES, EDGE_ADVICE, REFUSED_CREDENTIAL
from worker.errors import NotEntitled, Paced, Rejected, ServerFault, Unauthorised, Unsure, WorkerError
from worker.escaping import is_hidden
from worker.settings import describe

NOW = 1_790_000_000.0
READ, WRITE = Endpoint("GET", "/investigate"), Endpoint("POST", "/investigate/move", writes=True)
SETTINGS = {row.name for row in describe()}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
ERROR = st.recursive(
    JSON,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "code": st.sampled_from([*ADVICE, "10000", -1, 10**30, "٣"]) | JSON,
            "message": st.text() | JSON,
            "error_chain": st.lists(inner, max_size=3) | inner,
            "source": st.fixed_dictionaries({"pointer": JSON}) | JSON,
            "documentation_url": JSON,
        },
    ),
    max_leaves=6,
)
STATUSES = st.sampled_from([200, 302, 400, 401, 403, 404, 405, 409, 422, 429, 500, 503])


def answer(status: int = 400, **fields: object) -> Response:
    """Make an answer whose envelope has these fields."""
    told = {"success": False, "errors": [], "messages": [], "result": None} | fields
    return page(status, msgspec.json.encode(told).decode(), "application/json")


def refuse(given: Response, operation: Endpoint = READ) -> WorkerError:
    """Return the error that an answer means."""
    with pytest.raises(WorkerError) as refused:
        interpret(operation, given, records, NOW)
    return refused.value


def say(*errors: object, status: int = 409, **fields: object) -> str:
    """Return what an answer with these errors is told as, behind the operation and the status."""
    return str(refuse(answer(status, errors=errors, **fields))).partition(f" answered {status}: ")[2]


def test_an_error_is_told_with_its_code_its_place_and_what_lies_below() -> None:
    chain = [{"code": 6, "message": "not a domain."}, {"message": "too short"}]
    first = {"code": 12001, "message": "invalid entry.", "source": {"pointer": "/pattern"}, "error_chain": chain}
    second = {"code": "12002", "message": "no comment", "documentation_url": "https://docs.example/12002"}
    told = say(first, second, messages=[{"code": 8, "message": "nothing was changed"}])
    assert told == (
        "invalid entry (12001, at /pattern): not a domain (6), too short; "
        "no comment (12002, see https://docs.example/12002); it adds: nothing was changed (8)"
    )


@each(
    "errors",
    [
        ["no such folder"],
        "no such folder",
        {"message": "no such folder"},
        [None, 7, [], {}, {"message": "no such folder", "code": True, "source": [], "error_chain": 3}],
        [{"message": "no such folder", "code": "x", "source": {"pointer": None}, "error_chain": [None, 5]}],
    ],
)
def test_words_are_told_in_whatever_form_they_come(errors: object) -> None:
    assert str(refuse(answer(409, errors=errors))) == "GET /investigate: the API answered 409: no such folder"


def test_words_that_are_no_text_are_told_as_they_came() -> None:
    assert say({"code": 5, "message": {"pattern": ["required"]}}) == '{"pattern":["required"]} (5)'


def test_words_that_cannot_be_decoded_are_told_as_they_came() -> None:
    broken = b'{"success": false, "errors": [{"code": 5, "message": "half \xf0\x9f"}, {"code": 6}]}'
    given = Response(status=400, headers={"content-type": "application/json"}, body=broken)
    assert str(refuse(given)).endswith('"half \ufffd" (5); no reason given (6)')


def test_a_long_error_leaves_room_for_the_next_and_for_what_to_do() -> None:
    told = say({"message": "x" * 9000}, {"code": 6111, "message": "\x1b[2J"}, *["more"] * 9000, status=400)
    assert "x… " not in told
    assert "; \\u001B[2J (6111); more" in told
    assert told.endswith(ADVICE[6111])
    assert len(told) < 500


def test_what_could_crowd_out_the_rest_is_cut() -> None:
    nest = {"message": "1", "error_chain": [{"message": "2", "error_chain": [{"message": "3", "error_chain": ["4"]}]}]}
    assert say(nest, {"message": "long", "source": {"pointer": "/x" * 500}}) == f"1: 2: 3; long (at {'/x' * 38}…)"
    assert say(*["a"] * 9).count("a") == 8
    assert say(*({"code": code, "message": "b"} for code in (-5, 0, 10**30, 10**9))) == "b; b; b; b"


@pytest.mark.slow
@pytest.mark.unmeasured
@given(ERROR, JSON, JSON, STATUSES, st.sampled_from([READ, WRITE]))
def test_any_json_is_told_harmlessly_and_raises_only_our_errors(
    errors: object, messages: object, info: object, status: int, operation: Endpoint
) -> None:
    given = answer(status, errors=errors, messages=messages, result_info=info)
    sentence = str(refuse(given, operation))
    assert not any(map(is_hidden, sentence))
    assert len(sentence) < 650


@pytest.mark.slow
@given(JSON, JSON, JSON)
def test_any_json_beside_a_success_neither_hides_it_nor_makes_one_up(
    errors: object, messages: object, info: object
) -> None:
    given = answer(200, success=True, errors=errors, messages=messages, result_info=info, result=[{"id": "a"}])
    try:
        found, _ = interpret(READ, given, records, NOW)
    except ServerFault:
        assert info is not None
    else:
        assert len(found) == 1


def name_settings(sentence: str) -> set[str]:
    return set(re.findall(r"\b(?:CLOUDFLARE|WORKER)_\w+", sentence))


@each("code", ADVICE)
@each("status", [400, 401, 403])
def test_every_known_code_says_which_setting_to_look_at(code: int, status: int) -> None:
    below = {"code": 12345, "message": "refused", "error_chain": [{"code": code, "message": "why"}]}
    for errors in ([{"code": code}], [{"code": str(code)}], ["odd", {"code": code}], [below]):
        refused = refuse(answer(status, errors=errors))
        assert f"({code})" in str(refused)
        assert name_settings(str(refused))
        assert name_settings(str(refused)) <= SETTINGS
        assert "{" not in str(refused)
        assert type(refused) is (Unauthorised if status != 400 or code in CREDENTIAL_CODES else Rejected)


def test_every_known_code_is_documented() -> None:
    manual = Path(__file__).parents[2] / "docs" / "operations.md"
    section = manual.read_text().partition("### Codes of the API")[2].partition("\n## ")[0]
    spans = [range(int(first), int(last) + 1) for first, last in re.findall(r"(\d+) to (\d+)", section)]
    named = {int(code) for code in re.findall(r"\d{4,}", section)} | {code for span in spans for code in span}
    assert named == {*ADVICE, *EDGE_ADVICE}


def test_a_malformed_token_is_named_instead_of_only_the_headers() -> None:
    chain = [{"code": 6111, "message": "Invalid format for Authorization header"}]
    told = say({"code": 6003, "message": "Invalid request headers", "error_chain": chain}, status=400)
    assert told.startswith("Invalid request headers (6003): Invalid format for Authorization header (6111). Copy ")
    assert "Copy CLOUDFLARE_API_TOKEN again" in told


@pytest.mark.parametrize(("operation", "needed"), [(READ, "Read"), (WRITE, "Write")])
def test_a_refused_credential_is_told_the_permission_that_it_needs(operation: Endpoint, needed: str) -> None:
    for code in (9109, 10000, 10405):
        refused = refuse(answer(403, errors=[{"code": code, "message": "no"}]), operation)
        assert f'the permission "Cloud Email Security: {needed}"' in str(refused)


@each("status", [404, 409, 422, 429, 500])
def test_a_code_that_also_means_other_things_blames_the_credential_only_where_it_may(status: int) -> None:
    assert "CLOUDFLARE_API_TOKEN" not in str(refuse(answer(status, errors=[{"code": REFUSED_CREDENTIAL}])))


def test_a_message_beside_the_errors_is_told_but_decides_nothing() -> None:
    beside = [{"code": 10000, "message": "the token is valid; upgrade for more"}]
    link = "https://docs.example/subscription"
    refused = refuse(answer(403, errors=[{"message": "no", "documentation_url": link}], messages=beside))
    assert type(refused) is Unauthorised
    assert "it adds: the token is valid; upgrade for more (10000). The credential needs the permission" in str(refused)


def test_a_missing_subscription_is_found_below_the_first_error() -> None:
    chain = [{"code": 10000, "message": "This needs an upgrade of the plan"}]
    refused = refuse(answer(403, errors=[{"code": 1, "message": "refused", "error_chain": chain}]))
    assert type(refused) is NotEntitled
    assert str(refused).endswith("The account's subscription does not include this")


def test_a_refusal_keeps_the_words_without_the_advice() -> None:
    for status in (400, 401, 403, 404):
        refused = refuse(answer(status, errors=[{"code": 10000, "message": "no"}]))
        assert isinstance(refused, Rejected | Unauthorised) or status == 404
        assert getattr(refused, "reason", "") == "no (10000)"


PAGES = {
    "html": '<html><head><title>Limited</title></head><h1><span>Error</span>\n <span class="code">{}</span></h1>',
    "a heading": "<!DOCTYPE html><title>Stopped</title><h1>Error {}</h1><p>Ray ID: 0123456789abcdef</p>",
    "text": "error code: {}",
    "json": '{{"title": "Error {0}: stopped", "status": 403, "error_code": {0}, "retryable": true}}',
    "dense json": '{{"status":403,"error_code":{}}}',
}


@each("form", PAGES)
@each("code", EDGE_ADVICE)
def test_a_page_of_the_edge_is_told_by_its_code_and_names_a_setting(form: str, code: int) -> None:
    kind = "application/json" if "json" in form else "text/html"
    for status, expected in ((403, ServerFault), (429, Paced)):
        refused = refuse(page(status, PAGES[form].format(code), kind))
        assert type(refused) is expected
        assert f"error {code} of Cloudflare's edge. {EDGE_ADVICE[code]}" in str(refused)
        assert name_settings(str(refused))
        assert name_settings(str(refused)) <= SETTINGS


def test_codes_of_the_edge_mean_nothing_in_the_mouth_of_the_api_nor_in_a_mail() -> None:
    assert say({"code": 1015, "message": "bad order"}) == "bad order (1015)"
    broken = page(200, '{"success":true,"result":[{"subject":"Error 1020"', "application/json")
    assert "edge" not in str(refuse(broken))
    assert "edge" not in str(refuse(page(502, "error 502 at 10:15, ticket 41015")))


def test_a_spent_quota_is_told_in_the_api_words() -> None:
    refused = refuse(answer(429, errors=[{"code": 10100, "message": "More than 9 requests reached"}]), WRITE)
    assert "429: More than 9 requests reached (10100). The request quota is spent" in str(refused)
    hidden = refuse(answer(429, errors=[{"code": 10502, "message": "Too many failures"}]))
    assert "CLOUDFLARE_API_TOKEN" in str(hidden)


def test_a_failure_of_the_api_itself_is_told_with_its_code() -> None:
    failed = answer(500, errors=[{"code": 10013, "message": "unknown error"}])
    assert str(refuse(failed)).endswith(f"answered 500: unknown error (10013). {ADVICE[10013]}")
    assert type(refuse(failed, WRITE)) is Unsure
