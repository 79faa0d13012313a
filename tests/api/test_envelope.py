"""What an answer means; one that makes no sense is never taken for an empty result."""

from email.utils import formatdate

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from tests.api.desk import answer, page
from tests.cells import each
from worker.api import RecordPage, Response
from worker.api.envelope import (
    WORDLESS,
    Answer,
    Endpoint,
    ResultInfo,
    interpret,
    next_cursor,
    nothing,
    paginate,
    read_each,
    records,
)
from worker.errors import (
    NotEntitled,
    NotFound,
    Paced,
    Rejected,
    ServerFault,
    Unauthorised,
    Unsure,
    WorkerError,
)

NOW = 1_790_000_000.0
READ, WRITE = Endpoint("GET", "/investigate"), Endpoint("POST", "/investigate/move", writes=True)

SENSELESS = {
    "html": page(502, "<html>Bad gateway"),
    "html that claims success": page(200, "<html>Welcome to the hotel's network"),
    "html that refuses": page(403, "<html>Blocked"),
    "a redirect": Response(status=302, headers={"location": "/login"}, body=b""),
    "no type": Response(status=200, headers={}, body=answer([]).body),
    "another type": page(200, answer([]).body.decode(), "text/plain"),
    "a cut body": page(200, answer([{"id": "a"}]).body.decode()[:-9], "application/json"),
    "an empty body": page(200, "", "application/json"),
    "json of another kind": page(200, "[]", "application/json"),
    "no word about success": page(200, '{"result": []}', "application/json"),
    "a nest": page(200, '{"success": true, "result": ' + "[" * 9000, "application/json"),
    "no result": answer(None),
    "a result of another kind": answer({"id": "a"}),
    "a failure that claims success": page(400, '{"success": true, "result": []}', "application/json"),
    "a success that claims failure": page(200, '{"success": false, "result": []}', "application/json"),
    "json 503": answer("down for repair", 503),
    "timeout": answer("too slow", 408),
    "too early": answer("replayed", 425),
}


@each("given", SENSELESS.values())
def test_what_makes_no_sense_is_a_fault_of_a_read_and_leaves_a_write_unsure(given: Response) -> None:
    with pytest.raises(ServerFault, match=r"^GET /investigate: the API answered"):
        interpret(READ, given, records, NOW)
    with pytest.raises(Unsure, match=r"^POST /investigate/move: the API answered"):
        interpret(WRITE, given, records, NOW)


@each("given", [page(502, "<html>Bad Gateway</html>"), answer("down for repair", 503), page(520, "", "text/plain")])
def test_a_fault_of_the_api_says_where_to_look_if_it_goes_on(given: Response) -> None:
    with pytest.raises(ServerFault, match="If it goes on, look at Cloudflare's status page"):
        interpret(READ, given, records, NOW)


@given(st.binary(max_size=200), st.integers(100, 599), st.sampled_from(["application/json", "text/html", "", ";;/"]))
def test_nothing_but_our_errors_comes_out_of_any_bytes(body: bytes, status: int, kind: str) -> None:
    for operation in (READ, WRITE):
        with pytest.raises(WorkerError):
            interpret(operation, Response(status=status, headers={"content-type": kind}, body=body), records, NOW)


def test_a_record_that_is_broken_costs_only_itself() -> None:
    body = b'{"success":true,"errors":null,"messages":[],"result":[{"id":"\xff"},{"id":5},{"id":"c"}],"extra":1}'
    result, _ = interpret(
        READ, Response(status=200, headers={"content-type": "application/JSON; charset=utf-8"}, body=body), records, NOW
    )
    assert len(result) == 3
    named = msgspec.json.Decoder(dict[str, str]).decode
    assert read_each(named, result) == (({"id": "c"},), (result[0], result[1]))


REFUSALS = [
    (401, "Authentication error", Unauthorised, "expired"),
    (403, "Authentication error", Unauthorised, '"Cloud Email Security: Read"'),
    (403, "This feature is not available in your current subscription", NotEntitled, "subscription"),
    (404, "message not found", NotFound, "message not found"),
    (400, "bad cursor", Rejected, "bad cursor"),
    (409, "exists", Rejected, "exists"),
    (422, "invalid", Rejected, "invalid"),
]


@each(("status", "said", "kind", "expected"), REFUSALS)
def test_a_refusal_says_what_to_do_next(status: int, said: str, kind: type[WorkerError], expected: str) -> None:
    with pytest.raises(kind, match=expected) as refused:
        interpret(READ, answer(said, status), records, NOW)
    assert str(refused.value).startswith(f"GET /investigate: the API answered {status}: {said}")
    assert type(refused.value) is kind
    if isinstance(refused.value, Rejected):
        assert refused.value.status == status


def test_a_write_needs_the_write_permission() -> None:
    with pytest.raises(Unauthorised, match='"Cloud Email Security: Write"'):
        interpret(WRITE, answer("Authentication error", 403), records, NOW)


def test_the_api_words_are_shown_harmlessly_and_bounded() -> None:
    with pytest.raises(Rejected) as refused:
        interpret(READ, answer("\x1b]0;owned\x07\u202e" + "x" * 9000, 400), records, NOW)
    assert "\\u001B]0;owned\\u0007\\u202E" in str(refused.value)
    assert len(str(refused.value)) < 400


@each("errors", ["null", "7", "[]", "[7]", '[{"code": 1}]', '[{"message": ""}]'])
def test_a_refusal_without_words_is_still_one(errors: str) -> None:
    with pytest.raises(NotFound, match="no reason given"):
        interpret(READ, page(404, f'{{"success": false, "errors": {errors}}}', "application/json"), records, NOW)


def test_a_429_is_paced_whatever_its_body() -> None:
    with pytest.raises(Paced):
        interpret(WRITE, page(429, "<html>slow down"), records, NOW)


IN_A_MINUTE = formatdate(NOW + 60, usegmt=True)


@each(
    ("told", "after"), [("17", 17.0), ("", 0.0), ("soon", 0.0), ("-5", 0.0), (IN_A_MINUTE, 60.0), ("9" * 5000, 900.0)]
)
def test_a_fault_that_names_a_wait_keeps_it(told: str, after: float) -> None:
    with pytest.raises(ServerFault) as fault:
        interpret(READ, answer("busy", 503, retry_after=told), records, NOW)
    assert fault.value.after == after


def answer_null(info: object) -> Response:
    body = msgspec.json.encode({"success": True, "errors": [], "messages": [], "result": None, "result_info": info})
    return page(200, body.decode(), "application/json")


COUNTS_NOTHING = [
    {"count": 0},
    {"count": "0", "page": "1", "total_count": "0"},
    {"count": 0, "next": None, "previous": None, "per_page": 1000},
    {"count": 0, "next": "", "total_count": None},
]
COUNTS_SOMETHING = [
    None,
    {},
    {"count": None, "next": None},
    {"count": 2, "total_count": 0},
    {"total_count": 0},
    {"count": 0, "total_count": 40},
    {"count": 0, "next": "c2"},
    {"count": 0, "next": 0},
    {"count": "none"},
]


@pytest.mark.parametrize("info", COUNTS_NOTHING)
def test_null_is_an_empty_page_where_the_api_counts_nothing(info: object) -> None:
    found, told = interpret(READ, answer_null(info), records, NOW)
    assert found == []
    read = Answer(200, found, told, {}, 5.0, 1.0)
    assert (next_cursor("GET /investigate", read, None), paginate(read, 1, 10).complete) == (None, True)


@each("info", COUNTS_SOMETHING)
def test_null_is_a_fault_where_the_api_does_not_say_that_there_is_nothing(info: object) -> None:
    with pytest.raises(ServerFault, match="unexpected result"):
        interpret(READ, answer_null(info), records, NOW)


def test_null_says_nothing_about_a_write_nor_where_an_object_is_expected() -> None:
    with pytest.raises(Unsure, match="unexpected result"):
        interpret(WRITE, answer_null({"count": 0}), records, NOW)
    with pytest.raises(ServerFault, match="unexpected result"):
        interpret(READ, answer_null({"count": 0}), msgspec.json.Decoder(dict[str, Raw]).decode, NOW)


def inform(found: int, info: object) -> Answer[list[Raw]]:
    """Interpret a page of so many records with this information about it."""
    result, told = interpret(READ, answer([{}] * found, info=info), records, NOW)
    return Answer(200, result, told, {}, 5.0, 1.0)


@given(st.integers(1, 12), st.integers(0, 99), st.integers(1, 12), st.integers(1, 9))
def test_counts_are_understood_as_text(found: int, total: int, size: int, number: int) -> None:
    counts = {"count": found, "total_count": total, "per_page": size}
    texts = {name: str(value) for name, value in counts.items()}
    assert paginate(inform(found, texts), number, 10) == paginate(inform(found, counts), number, 10)


@each(("named", "cursor"), [(7, "7"), (0, "0"), (10**30, str(10**30)), ("007", "007"), ("null", "null")])
def test_a_cursor_is_text_whatever_it_comes_as(named: object, cursor: str) -> None:
    read = inform(1, {"next": named})
    assert next_cursor("GET /investigate", read, None) == cursor
    with pytest.raises(ServerFault, match="just read"):
        next_cursor("GET /investigate", read, cursor)


@each("info", [{"count": "many"}, {"total_count": [1]}, {"next": {}}, {"next": True}, [1], 3])
def test_information_about_a_page_that_makes_no_sense_is_a_fault(info: object) -> None:
    with pytest.raises(ServerFault, match="unexpected result"):
        inform(1, info)


def test_an_answer_without_a_body_is_one_only_where_the_api_gives_such() -> None:
    ((method, path),), empty = WORDLESS, page(204, "")
    assert interpret(Endpoint(method, path), empty, nothing, NOW) == (None, None)
    for operation in (Endpoint("GET", "/settings/domains/{id}"), Endpoint("GET", "/investigate")):
        with pytest.raises(ServerFault, match="answered 204"):
            interpret(operation, empty, nothing, NOW)
    with pytest.raises(Unsure, match="answered 204"):
        interpret(Endpoint("DELETE", "/settings/domains/{id}", writes=True), empty, nothing, NOW)
    with pytest.raises(ServerFault):
        interpret(Endpoint(method, path), page(200, "", "application/json"), nothing, NOW)
    with pytest.raises(ServerFault):
        interpret(Endpoint(method, path), page(204, "<html>"), nothing, NOW)


def listing(found: int, info: ResultInfo | None) -> Answer[list[Raw]]:
    return Answer(200, [Raw(b"{}")] * found, info, {}, 5.0, 1.0)


@each(
    ("found", "info", "following"),
    [
        (10, ResultInfo(total_count=25), "3"),
        (5, ResultInfo(total_count=15), None),
        (5, ResultInfo(per_page=10, total_count=13), "3"),
        (0, ResultInfo(total_count=99), None),
        (10, ResultInfo(), "3"),
        (9, ResultInfo(count=9), None),
        (10, None, "3"),
        (9, None, None),
        (11, None, None),
        (10, ResultInfo(total_count=0), "3"),
        (4, ResultInfo(per_page=4), "3"),
        (4, ResultInfo(per_page=4, total_count=9), "3"),
        (4, ResultInfo(per_page=4, total_count=8), None),
        (10, ResultInfo(per_page=0), "3"),
    ],
)
def test_a_listing_goes_on_as_long_as_there_is_more(found: int, info: ResultInfo | None, following: str | None) -> None:
    read = paginate(listing(found, info), 2, 10)
    assert (read.next, read.complete, read.begun) == (following, following is None, 5.0)


@pytest.mark.slow
@given(st.integers(0, 60), st.integers(1, 12), st.integers(1, 12))
def test_turning_pages_finds_everything_once(total: int, per_page: int, most: int) -> None:
    size, found, number, pages = min(per_page, most), 0, "1", 0
    read: RecordPage | None = None
    while read is None or read.next:
        number, pages = read.next if read and read.next else number, pages + 1
        here = max(0, min(size, total - (int(number) - 1) * size))
        read = paginate(listing(here, ResultInfo(total_count=total, per_page=size)), int(number), per_page)
        found += here
    assert found == total
    assert pages == max(1, -(-total // size))
