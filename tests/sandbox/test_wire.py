"""The sandbox's end of the wire: whatever comes in, an envelope goes out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cells import each
from tests.sandbox.sandbox import Sandbox
from worker.sandbox.routing import ROUTES

DEEP = (b"[" * 100_000, b'{"a":' * 100_000, b'{"ids":' + b"[" * 5000)
BROKEN = (b"", b"{", b"\xff", b'"\xff"', b'{"ids":["\xc3"]}', b'"\\ud800"', b"NaN", b"1e999", *DEEP)
BODIES = st.one_of(
    st.binary(max_size=60),
    st.binary(max_size=20).map(lambda inside: b'{"ids":["' + inside + b'"],"destination":"Inbox","id":1}'),
    st.sampled_from(BROKEN),
)
WITH_A_BODY = sorted(way for way in ROUTES if way[0] != "GET" and not way[1].endswith("cancel"))


@given(way=st.sampled_from(WITH_A_BODY), body=BODIES)
def test_whatever_the_body_is_the_answer_is_an_envelope(way: tuple[str, str], body: bytes) -> None:
    reply = Sandbox().ask(way[0], way[1].replace("{id}", "one"), body)
    assert set(reply.body) >= {"success", "errors", "messages", "result"}
    assert reply.body["success"] == (not reply.body["errors"]) == (reply.status < 300)
    assert reply.body["messages"] == []
    assert reply.status < 300 or (reply.result is None and reply.status in {400, 404})


@each("body", BROKEN)
@each("path", ["investigate/move", "investigate/release", "submissions", "settings/block_senders"])
def test_a_body_that_is_no_json_is_refused_with_400_and_does_nothing(path: str, body: bytes) -> None:
    sandbox = Sandbox()
    reply = sandbox.ask("POST", path, body)
    assert (reply.status, reply.body["errors"]) == (
        400,
        [{"code": 10001, "message": "the body is not valid JSON"}],
    )
    assert sandbox.world.effects == []


@pytest.mark.parametrize("token", ["t\udcff", "é", "\x00", "x" * 5000])
def test_any_bytes_are_a_credential(token: str) -> None:
    assert Sandbox().ask_as({"authorization": f"Bearer {token}"}, "GET", "investigate").status == 200
