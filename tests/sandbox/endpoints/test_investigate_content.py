"""Looking at one message: pictures, the text, the trace, and what was sent in."""

from urllib.parse import quote

import pytest
from aiohttp import ClientSession

from tests.sandbox.picture import bars
from tests.sandbox.sandbox import START, Sandbox
from worker.sandbox import ACCOUNT, SandboxOptions, serve
from worker.sandbox.account.mail import Mail


def post_preview(sandbox: Sandbox, body: object) -> int:
    """Ask for the picture of what is no detection."""
    return sandbox.ask("POST", "investigate/preview", body).status


def operations(sandbox: Sandbox, mail: Mail) -> object:
    """Return what a message says was done to it after delivery."""
    return sandbox.ask("GET", f"investigate/{mail.id}").result["post_delivery_operations"]


def test_a_picture_of_a_detection_is_on_record() -> None:
    sandbox = Sandbox()
    [mail] = sandbox.world.arrive(1, "phish")
    assert bars(sandbox.ask("GET", f"investigate/{mail.id}/preview").result["screenshot"])
    assert operations(sandbox, mail) == ["PREVIEW"]
    [entry] = sandbox.ask("GET", f"investigate/{mail.id}/action_log").result
    assert (entry["operation"], entry["status"]) == ("PREVIEW", "OK")
    assert entry["properties"]["requested_by"]
    sandbox.ask("GET", f"investigate/{mail.id}/preview")
    assert [(effect.operation, effect.changed) for effect in sandbox.world.effects] == [
        ("preview", True),
        ("preview", False),
    ]
    assert sandbox.ask("GET", "investigate", message_action="PREVIEW").ids == [mail.id]


@pytest.mark.parametrize("path", ["preview", "raw", "detections"])
def test_what_is_no_detection_has_neither_picture_nor_text(path: str) -> None:
    sandbox = Sandbox()
    mail = sandbox.world.add_message(disposition="NONE")
    assert sandbox.ask("GET", f"investigate/{mail.id}/{path}").status == 404
    assert mail.now.log == ()


@pytest.mark.parametrize("path", ["preview", "raw", "trace"])
def test_nothing_is_told_of_an_unknown_message(path: str) -> None:
    sandbox = Sandbox()
    mail = sandbox.world.add_message()
    assert sandbox.ask("GET", f"investigate/none/{path}").status == 404
    assert sandbox.ask("GET", f"investigate/{mail.postfix}/{path}").status == 404
    assert Sandbox().ask("GET", f"investigate/{mail.id}/{path}").status == 404


def test_a_picture_of_what_is_no_detection_comes_from_the_inbox() -> None:
    sandbox = Sandbox()
    mail = sandbox.world.add_message(disposition="NONE")
    assert post_preview(sandbox, {"id": mail.id}) == 200
    assert operations(sandbox, mail) == ["PREVIEW"]
    sandbox.world.move_by_hand(mail.id, "DeletedItems")
    assert post_preview(sandbox, {"id": mail.id}) == 404
    assert [entry["status"] for entry in mail.now.log][-1] == "the message is no longer in the inbox"


def test_a_detection_is_not_fetched_from_the_inbox() -> None:
    sandbox = Sandbox()
    assert post_preview(sandbox, {"id": sandbox.world.add_message().id}) == 400
    assert post_preview(sandbox, {"id": "none"}) == 404
    assert sandbox.world.effects == []


@pytest.mark.parametrize("integration", ["off", "refused"])
def test_without_an_integration_nothing_is_fetched(integration: str) -> None:
    sandbox = Sandbox(options=SandboxOptions(integration=integration))  # type: ignore[arg-type]
    mail = sandbox.world.add_message(disposition="NONE")
    assert post_preview(sandbox, {"id": mail.id}) == 400
    assert operations(sandbox, mail) is None
    assert [(effect.operation, effect.changed) for effect in sandbox.world.effects] == [("preview", False)]


@pytest.mark.parametrize(
    ("form", "by_id", "by_postfix"), [("id", 200, 400), ("postfix_id", 400, 200), ("both", 200, 200)]
)
def test_an_option_decides_how_a_picture_is_asked_for(form: str, by_id: int, by_postfix: int) -> None:
    sandbox = Sandbox(options=SandboxOptions(preview_body=form))  # type: ignore[arg-type]
    mail = sandbox.world.add_message(disposition="NONE")
    assert post_preview(sandbox, {"id": mail.id}) == by_id
    assert post_preview(sandbox, {"postfix_id": mail.postfix}) == by_postfix
    bodies: list[object] = [{}, {"id": 5}, [], b"{"]
    for body in bodies:
        assert post_preview(sandbox, body) == 400


def test_a_token_that_may_only_read_gets_the_pictures_of_detections_alone() -> None:
    sandbox = Sandbox()
    mail, clean = sandbox.world.add_message(), sandbox.world.add_message(disposition="NONE")
    reader = {"authorization": "Bearer read-token"}
    assert sandbox.ask_as(reader, "GET", f"investigate/{mail.id}/preview").status == 200
    assert sandbox.ask_as(reader, "POST", "investigate/preview", {"id": clean.id}).status == 403


def test_a_trace_is_pending_while_the_message_is_fresh() -> None:
    sandbox = Sandbox()
    mail = sandbox.world.add_message(client_recipients=["a@corp.example", "b@corp.example"])
    fresh = sandbox.ask("GET", f"investigate/{mail.id}/trace").result
    assert (fresh["inbound"]["pending"], fresh["outbound"]) == (True, {"lines": [], "pending": True})
    sandbox.time += 60
    old = sandbox.ask("GET", f"investigate/{mail.id}/trace").result
    assert (old["inbound"]["pending"], old["outbound"]["pending"]) == (False, False)
    assert [line["lineno"] for line in old["inbound"]["lines"]] == [1, 2, 3, 4, 5]
    assert [line["message"].split(", ")[-1] for line in old["outbound"]["lines"]] == ["status=sent (250 2.0.0 OK)"] * 2
    assert "ts" not in old["inbound"]["lines"][0]
    assert fresh["inbound"]["lines"] == old["inbound"]["lines"]


def test_a_trace_tells_of_a_release() -> None:
    sandbox = Sandbox(options=SandboxOptions(lag=5.0, deprecated=True))
    mail = sandbox.world.add_message(quarantined=True, client_recipients=["a@corp.example"])
    sandbox.time += 100
    sandbox.ask("POST", "investigate/release", {"ids": [mail.id]})
    assert len(sandbox.ask("GET", f"investigate/{mail.id}/trace").result["outbound"]["lines"]) == 1
    sandbox.time += 5
    held, sent = sandbox.ask("GET", f"investigate/{mail.id}/trace").result["outbound"]["lines"]
    assert held["message"].endswith("status=held (quarantine)")
    assert sent["message"].endswith("to=<a@corp.example>, relay=mailbox, status=sent (released from quarantine)")
    assert sent["ts"] == sent["logged_at"].partition(".")[0]
    sandbox.world.move_by_hand(mail.id, "JunkEmail")
    sandbox.time += 5
    assert len(sandbox.ask("GET", f"investigate/{mail.id}/trace").result["outbound"]["lines"]) == 2


@pytest.mark.parametrize("path", ["", "/action_log"])
def test_only_what_was_sent_in_is_among_the_submissions(path: str) -> None:
    sandbox = Sandbox()
    mail, other = sandbox.world.add_message(), sandbox.world.add_message()
    assert sandbox.ask("GET", f"investigate/{mail.id}{path}", submission="true").status == 404
    sandbox.ask("POST", f"investigate/{mail.id}/reclassify", {"expected_disposition": "SPAM"})
    sandbox.time += 1
    assert sandbox.ask("GET", f"investigate/{mail.id}{path}", submission="true").status == 200
    assert sandbox.ask("GET", f"investigate/{other.id}{path}", submission="true").status == 404
    assert sandbox.ask("GET", f"investigate/{other.id}{path}", submission="false").status == 200
    assert sandbox.ask("GET", f"investigate/{other.id}{path}", submission="perhaps").status == 400


def test_what_a_user_sent_in_is_among_the_submissions() -> None:
    sandbox = Sandbox()
    mail = sandbox.world.add_message()
    sandbox.world.add_submission(original_postfix_id=mail.postfix)
    assert sandbox.ask("GET", f"investigate/{mail.id}", submission="true").result["id"] == mail.id


def test_a_message_that_was_moved_says_so() -> None:
    sandbox = Sandbox()
    mail = sandbox.world.add_message(scanned=START)
    actions = []
    for folder in ("", "JunkEmail"):
        if folder:
            sandbox.ask("POST", f"investigate/{mail.id}/move", {"destination": folder})
        actions.append(sandbox.ask("GET", f"investigate/{mail.id}/detections").result["action"])
    assert actions == ["DELIVERED", "MOVED"]


@pytest.mark.slow
async def test_the_colons_of_an_id_may_be_encoded_or_not() -> None:
    sandbox = Sandbox()
    mail = sandbox.world.add_message(subject="x")
    async with serve(sandbox.world) as url, ClientSession(headers={"authorization": "Bearer a-token"}) as web:
        for ident in (mail.id, quote(mail.id, safe="")):
            for path in ("", "/preview", "/raw", "/trace", "/detections", "/action_log"):
                where = f"{url}/client/v4/accounts/{ACCOUNT}/email-security/investigate/{ident}{path}"
                async with web.get(where) as answer:
                    assert answer.status == 200, path
