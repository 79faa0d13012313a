"""One message: reading it, its log, its detections, and asking for another verdict."""

import pytest

from tests.cells import each
from tests.sandbox.sandbox import START, Sandbox, told
from worker.sandbox import SandboxOptions


def test_a_message_is_found_by_its_id_and_by_an_option_by_its_postfix_id() -> None:
    sandbox = Sandbox(options=SandboxOptions(postfix_path=True))
    mail = sandbox.world.add_message(subject="hello")
    assert sandbox.ask("GET", f"investigate/{mail.id}").result["subject"] == "hello"
    assert sandbox.ask("GET", f"investigate/{mail.postfix}").result["id"] == mail.id
    strict = Sandbox()
    other = strict.world.add_message()
    assert strict.ask("GET", f"investigate/{other.postfix}").status == 404


def test_ids_begin_with_the_other_ids_and_hold_the_scan_time() -> None:
    message = Sandbox(messages=1).ask("GET", "investigate", detections_only="false").result[0]
    assert message["id"].startswith(message["alert_id"] + "-")
    assert message["alert_id"] == f"{message['postfix_id']}-{message['scanned_at'].rstrip('Z')}"


def test_the_action_log_tells_every_attempt() -> None:
    sandbox = Sandbox()
    mail = sandbox.world.add_message(client_recipients=["a@corp.example"])
    for folder in ("JunkEmail", "RecoverableItemsPurges", "Inbox"):
        sandbox.ask("POST", f"investigate/{mail.id}/move", {"destination": folder})
    log = sandbox.ask("GET", f"investigate/{mail.id}/action_log").result
    assert [entry["properties"]["folder"] for entry in log] == ["JunkEmail", "RecoverableItemsPurges", "Inbox"]
    assert [entry["status"] == "OK" for entry in log] == [True, True, False]
    assert {entry["operation"] for entry in log} == {"MOVE"}


def test_the_action_log_has_pages_of_twenty_unless_more_are_wanted() -> None:
    sandbox = Sandbox()
    mail = sandbox.world.add_message(client_recipients=[f"{n}@corp.example" for n in range(25)])
    sandbox.ask("POST", f"investigate/{mail.id}/move", {"destination": "JunkEmail"})
    path = f"investigate/{mail.id}/action_log"
    assert [len(sandbox.ask("GET", path, page=page).result) for page in (1, 2, 3)] == [20, 5, 0]
    whole = sandbox.ask("GET", path, per_page=1000)
    assert (len(whole.result), whole.body["result_info"]["total_count"]) == (25, 25)
    assert sandbox.ask("GET", path, per_page=1001).status == 400


def test_a_line_of_the_action_log_tells_of_success_of_services_and_of_submissions() -> None:
    sandbox = Sandbox()
    mail = sandbox.world.add_message()
    sandbox.ask("POST", f"investigate/{mail.id}/reclassify", {"expected_disposition": "SPAM"})
    sandbox.world.move_by_hand(mail.id, "JunkEmail", "auto")
    sandbox.time += 1
    moved, asked = sandbox.ask("GET", f"investigate/{mail.id}/action_log").result
    assert (moved["success"], told(moved)[2], told(asked)[2]) == (True, "auto-move", None)
    [row] = sandbox.ask("GET", "submissions").result
    said = [asked["properties"][name] for name in ("submission_id", "submission_type", "requested_disposition")]
    assert said == [row["submission_id"], "Team", "SPAM"]


def test_the_action_log_of_old_is_whole_and_tells_less() -> None:
    sandbox = Sandbox(options=SandboxOptions(action_log="whole"))
    mail = sandbox.world.add_message(client_recipients=[f"{n}@corp.example" for n in range(25)])
    sandbox.ask("POST", f"investigate/{mail.id}/move", {"destination": "JunkEmail"})
    reply = sandbox.ask("GET", f"investigate/{mail.id}/action_log", page=2)
    assert (len(reply.result), "result_info" in reply.body) == (25, False)
    assert set(reply.result[0]) == {"completed_at", "operation", "status", "properties"}
    assert set(reply.result[0]["properties"]) == {"folder", "requested_by"}


def test_detections_are_there_for_detections_only() -> None:
    sandbox = Sandbox()
    links = ("https://pay.c0rp.example/x",)
    bad = sandbox.world.add_message(links=links, detection_reasons=["Look-alike domain"])
    clean = sandbox.world.add_message(disposition="NONE")
    found = sandbox.ask("GET", f"investigate/{bad.id}/detections").result
    assert [link["href"] for link in found["links"]] == list(links)
    assert found["findings"][0]["reason"] == "Look-alike domain"
    assert found["attachments"] == []
    assert sandbox.ask("GET", f"investigate/{clean.id}/detections").status == 404


def test_a_held_campaign_carries_a_file() -> None:
    sandbox = Sandbox()
    [mail] = sandbox.world.arrive(1, "phish_held")
    found = sandbox.ask("GET", f"investigate/{mail.id}/detections").result
    assert found["action"] == "QUARANTINED"
    assert found["attachments"][0]["name"] == "refund.html"


@pytest.mark.parametrize("path", ["", "/action_log", "/detections"])
def test_an_unknown_message_is_not_found(path: str) -> None:
    assert Sandbox().ask("GET", f"investigate/none{path}").status == 404


def test_reclassify_is_accepted_without_an_id_and_on_record_later() -> None:
    sandbox = Sandbox(options=SandboxOptions(submission_delay=4.0))
    mail = sandbox.world.add_message(disposition="SPAM")
    reply = sandbox.ask("POST", f"investigate/{mail.id}/reclassify", {"expected_disposition": "NONE"})
    assert (reply.status, reply.result) == (202, {})
    assert sandbox.ask("GET", "submissions").result == []
    sandbox.time += 4
    [submission] = sandbox.ask("GET", "submissions", type="TEAM").result
    assert submission["original_postfix_id"] == mail.postfix
    assert (submission["type"], submission["requested_disposition"]) == ("Team", "NONE")
    assert sandbox.ask("GET", f"investigate/{mail.id}").result["final_disposition"] == "SPAM"
    assert sandbox.ask("GET", f"investigate/{mail.id}/action_log").result[0]["operation"] == "RECLASSIFY"


def test_a_request_for_a_clean_message_without_its_text_is_invalid() -> None:
    sandbox = Sandbox()
    for body in ({}, {"eml_content": "RnJvbTo="}):
        mail = sandbox.world.add_message(disposition="NONE")
        sandbox.ask("POST", f"investigate/{mail.id}/reclassify", {"expected_disposition": "SPAM", **body})
    sandbox.time += 1
    assert sorted(row["status"] for row in sandbox.ask("GET", "submissions").result) == ["invalid", "pending"]
    assert [mail.now.log[0]["status"] for mail in sandbox.world.mails] == ["invalid submission: no message body", "OK"]


def test_a_user_submits_the_mail_itself_so_that_it_can_be_reviewed_however_clean_it_was() -> None:
    sandbox = Sandbox()
    mail = sandbox.world.add_message(disposition="NONE")
    sandbox.world.submit_by_user(mail)
    sandbox.ask("POST", f"investigate/{mail.id}/reclassify", {"expected_disposition": "MALICIOUS"})
    sandbox.time += 1
    [row] = sandbox.ask("GET", "submissions", type="TEAM").result
    assert row["status"] == "pending"


def test_a_review_grants_some_requests_and_changes_their_verdict() -> None:
    sandbox = Sandbox()
    mails = [sandbox.world.add_message(disposition="SPAM") for _ in range(20)]
    for mail in mails:
        sandbox.ask("POST", f"investigate/{mail.id}/reclassify", {"expected_disposition": "MALICIOUS"})
    sandbox.time += 1000
    rows = sandbox.ask("GET", "submissions", per_page=100).result
    granted = {row["original_postfix_id"] for row in rows if row["outcome_disposition"] == "MALICIOUS"}
    assert 0 < len(granted) < 20
    assert {mail.postfix for mail in mails if mail.now.disposition == "MALICIOUS"} == granted


WANTS = {"expected_disposition": "SPAM"}


@each(
    "body",
    [
        *({}, {"expected_disposition": "MALICIOUS-BEC"}, [], b"{", {"expected_disposition": 1}),
        *(WANTS | {"eml_content": wrong} for wrong in (5, True, ["RnJvbTo="])),
        *(WANTS | {"escalated_submission_id": wrong} for wrong in (5, ["x"])),
    ],
)
def test_reclassify_knows_six_verdicts_and_takes_nothing_but_words(body: object) -> None:
    sandbox = Sandbox()
    mail = sandbox.world.add_message()
    assert sandbox.ask("POST", f"investigate/{mail.id}/reclassify", body).status == 400
    assert sandbox.world.effects == []


def test_reclassify_of_an_unknown_message_is_not_found() -> None:
    assert Sandbox().ask("POST", "investigate/none/reclassify", {"expected_disposition": "NONE"}).status == 404


def test_a_message_given_by_hand_has_the_fields_it_was_given() -> None:
    sandbox = Sandbox()
    sandbox.world.add_message(
        sender="x@y.example", subject="\x1b[2J" + "a" * 100_000, scanned=START - 5, validation=None
    )
    message = sandbox.ask("GET", "investigate").result[0]
    assert message["from"] == "x@y.example"
    assert len(message["subject"]) == 100_004
    assert "to_name" not in message
    assert message["validation"] is None
