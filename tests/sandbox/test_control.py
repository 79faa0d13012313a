"""What lies under /_sandbox/: a wish that does not fit is told so, and the account goes on."""

import msgspec
import pytest

from tests.cells import each
from tests.sandbox.sandbox import Reply, Sandbox
from worker.sandbox import IncomingRequest, SandboxOptions
from worker.sandbox.account.traffic import KINDS
from worker.sandbox.control import handle


def stir(sandbox: Sandbox, path: str, body: object) -> Reply:
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return Reply(handle(sandbox.world, IncomingRequest("POST", f"/_sandbox/{path}", body=data)))


@each(
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
    sandbox = Sandbox()
    reply = stir(sandbox, "messages", {"add": [fields]})
    assert (reply.status, [*reply.body]) == (400, ["error"])
    assert sandbox.world.mails == []
    assert sandbox.ask("GET", "investigate", sender="a@b.example").status == 200


def test_mail_by_hand_says_where_it_lies_and_what_it_links_to() -> None:
    sandbox = Sandbox()
    fields = {"folder": "JunkEmail", "links": ["https://a.example/b"], "subject": "hello", "scanned": sandbox.time - 60}
    [ident] = stir(sandbox, "messages", {"add": [fields]}).body["added"]
    mail = sandbox.world.by_id[ident]
    assert (mail.now.folder, mail.links, mail.scanned) == ("JunkEmail", ("https://a.example/b",), sandbox.time - 60)
    assert sandbox.ask("GET", "investigate", domain="a.example").ids == [ident]


@pytest.mark.parametrize("kind", ["outbrake", "OUTBREAK", " "])
def test_a_kind_of_mail_that_there_is_none_of_is_answered_with_those_there_are(kind: str) -> None:
    sandbox = Sandbox()
    reply = stir(sandbox, "messages", {"arrive": {"outbreak": 2, kind: 2}, "add": [{"subject": "hello"}]})
    assert (reply.status, sandbox.world.mails) == (400, [])
    assert reply.body["error"] == f"arrive cannot be {kind!r}: write one of {', '.join(sorted(KINDS))}"


@each("kind", ["", *KINDS])
def test_every_kind_of_mail_arrives(kind: str) -> None:
    assert len(stir(Sandbox(), "messages", {"arrive": {kind: 2}}).body["added"]) == 2


def test_a_recipient_sends_in_what_is_named() -> None:
    sandbox = Sandbox(messages=3)
    [first, second, _] = sandbox.world.mails
    [one, other] = stir(sandbox, "submissions", {"ids": [first.id, second.id]}).body["submitted"]
    rows = {row["submission_id"]: row for row in sandbox.ask("GET", "submissions", type="USER").result}
    assert [rows[ident]["original_postfix_id"] for ident in (one, other)] == [first.postfix, second.postfix]
    assert rows[one]["requested_by"] in first.read_fixed().client_recipients


@pytest.mark.parametrize("ids", [["none"], "none", [5], None])
def test_what_is_not_there_cannot_be_sent_in(ids: object) -> None:
    sandbox = Sandbox(options=SandboxOptions(user_submissions=0.0))
    known = sandbox.world.add_message().id
    body = {"ids": [known, *ids] if isinstance(ids, list) else ids}
    assert stir(sandbox, "submissions", body).status == 400
    assert sandbox.world.submissions == {}


@pytest.mark.parametrize("body", [b"\xff", b"[" * 100_000, b'{"add":[{"x":' + b"[" * 5000, b"null"])
def test_a_wish_that_is_no_json_is_refused(body: bytes) -> None:
    assert stir(Sandbox(), "messages", body).status == 400
