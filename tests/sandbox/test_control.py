"""What lies under /_sandbox/: a wish that does not fit is told so, and the account goes on."""

import msgspec
import pytest

from tests.sandbox.desk import Desk, Reply
from worker.sandbox import IncomingRequest, SandboxOptions
from worker.sandbox.control import handle


def stir(desk: Desk, path: str, body: object) -> Reply:
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return Reply(handle(desk.world, IncomingRequest("POST", f"/_sandbox/{path}", body=data)))


@pytest.mark.parametrize(
    "fields",
    [
        {"sender": 5},
        {"client_recipients": "ada@corp.example"},
        {"validation": 5},
        {"to": [5]},
        {"links": 5},
        {"scanned": 1e300},
        {"scanned": -1e18},
        {"indexed": "now"},
        {"quarantined": "yes"},
        {"disposition": None},
    ],
)
def test_mail_that_no_search_could_pass_by_is_not_taken_in(fields: dict[str, object]) -> None:
    desk = Desk()
    reply = stir(desk, "messages", {"add": [fields]})
    assert (reply.status, [*reply.body]) == (400, ["error"])
    assert desk.world.mails == []
    assert desk.ask("GET", "investigate", sender="a@b.example").status == 200


def test_mail_by_hand_says_where_it_lies_and_what_it_links_to() -> None:
    desk = Desk()
    fields = {"folder": "JunkEmail", "links": ["https://a.example/b"], "subject": "hello", "scanned": desk.time - 60}
    [ident] = stir(desk, "messages", {"add": [fields]}).body["added"]
    mail = desk.world.by_id[ident]
    assert (mail.now.folder, mail.links, mail.scanned) == ("JunkEmail", ("https://a.example/b",), desk.time - 60)
    assert desk.ask("GET", "investigate", domain="a.example").ids == [ident]


def test_a_recipient_sends_in_what_is_named() -> None:
    desk = Desk(messages=3)
    [first, second, _] = desk.world.mails
    [one, other] = stir(desk, "submissions", {"ids": [first.id, second.id]}).body["submitted"]
    rows = {row["submission_id"]: row for row in desk.ask("GET", "submissions", type="USER").result}
    assert [rows[ident]["original_postfix_id"] for ident in (one, other)] == [first.postfix, second.postfix]
    assert rows[one]["requested_by"] in first.read_fixed().client_recipients


@pytest.mark.parametrize("ids", [["none"], "none", [5], None])
def test_what_is_not_there_cannot_be_sent_in(ids: object) -> None:
    desk = Desk(options=SandboxOptions(user_submissions=0.0))
    known = desk.world.add_message().id
    body = {"ids": [known, *ids] if isinstance(ids, list) else ids}
    assert stir(desk, "submissions", body).status == 400
    assert desk.world.submissions == {}


@pytest.mark.parametrize("body", [b"\xff", b"[" * 100_000, b'{"add":[{"x":' + b"[" * 5000, b"null"])
def test_a_wish_that_is_no_json_is_refused(body: bytes) -> None:
    assert stir(Desk(), "messages", body).status == 400
