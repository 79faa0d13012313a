"""Submissions: what the team asks for in one go, what users send in, what becomes of it, and how it is found again."""

import pytest

from tests.sandbox.desk import Desk
from worker.sandbox import SandboxOptions, label


def test_what_is_sent_in_becomes_team_submissions_that_are_reviewed() -> None:
    desk = Desk()
    mails = [desk.world.add_message(disposition="SPAM") for _ in range(12)]
    items = [{"id": mail.id, "requested_disposition": "MALICIOUS"} for mail in mails]
    reply = desk.ask("POST", "submissions", {"type": "reclassification", "messages": items})
    assert (reply.status, reply.result) == (202, {})
    assert {(effect.operation, effect.by) for effect in desk.world.effects} == {("reclassify", label("a-token"))}
    desk.time += 1
    rows = desk.ask("GET", "submissions", type="TEAM").result
    assert {(row["original_disposition"], row["status"]) for row in rows} == {("SPAM", "pending")}
    assert {row["original_postfix_id"] for row in rows} == {mail.postfix for mail in mails}
    desk.time += 1000
    rows = desk.ask("GET", "submissions").result
    assert {row["outcome"] for row in rows} == {"accepted", "rejected"}
    granted = {row["original_postfix_id"] for row in rows if row["outcome"] == "accepted"}
    assert {mail.postfix for mail in mails if mail.now.disposition == "MALICIOUS"} == granted


def test_without_a_wish_a_missed_detection_is_malicious_and_a_reclassification_clean() -> None:
    desk = Desk()
    for kind in ("missed_detection", "reclassification"):
        item = {"id": desk.world.add_message(disposition="SPAM").id, "expected_disposition": "BULK"}
        for one in (item, {"id": item["id"]}):
            assert desk.ask("POST", "submissions", {"type": kind, "messages": [one]}).status == 202
            desk.time += 1
    rows = desk.ask("GET", "submissions", direction="asc").result
    assert [row["requested_disposition"] for row in rows] == ["BULK", "MALICIOUS", "BULK", "NONE"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"type": "reclassification"}, 400),
        ({"type": "reclassification", "messages": []}, 400),
        ({"type": "reclassification", "messages": [{"id": "x"}] * 1001}, 400),
        ({"type": "phish", "messages": [{"id": "x"}]}, 400),
        ({"type": ["phish"], "messages": [{"id": "x"}]}, 400),
        ({"type": "missed_detection", "messages": ["x"]}, 400),
        ({"type": "missed_detection", "messages": [{"id": 5}]}, 400),
        ({"type": "missed_detection", "messages": [{"id": "x"}]}, 404),
        ([], 400),
    ],
)
def test_what_does_not_fit_is_refused(body: object, status: int) -> None:
    desk = Desk()
    assert desk.ask("POST", "submissions", body).status == status
    assert desk.world.effects == []


def test_one_bad_item_refuses_them_all() -> None:
    desk = Desk()
    good = {"id": desk.world.add_message().id}
    body = {"type": "reclassification", "messages": [good, good | {"expected_disposition": "MALICIOUS-BEC"}]}
    assert desk.ask("POST", "submissions", body).status == 400
    assert desk.world.effects == []


def test_a_submission_of_a_user_is_taken_further_and_says_so() -> None:
    desk = Desk()
    mail = desk.world.add_message(disposition="SPAM", subject="hm")
    sent = desk.world.submit_by_user(mail)
    body = {"expected_disposition": "MALICIOUS", "escalated_submission_id": sent}
    desk.ask("POST", f"investigate/{mail.id}/reclassify", body)
    desk.time += 1
    [team] = desk.ask("GET", "submissions", type="TEAM").result
    [user] = desk.ask("GET", "submissions", status="escalated").result
    assert (user["type"], user["subject"], user["requested_by"]) == ("User", "hm", "ada@corp.example")
    assert (user["escalated_as"], user["escalated_by"]) == ("MALICIOUS", label("a-token"))
    assert user["escalated_submission_id"] == team["submission_id"]
    assert desk.ask("GET", "submissions", escalated_from_user="true").result == [team]
    assert desk.ask("GET", "submissions", escalated_from_user="false").result == [user]


def test_only_the_submission_of_a_user_can_be_taken_further() -> None:
    desk = Desk()
    mail = desk.world.add_message()
    team = desk.world.add_submission(type="Team")
    for ident in (team, "none"):
        body = {"expected_disposition": "SPAM", "escalated_submission_id": ident}
        assert desk.ask("POST", f"investigate/{mail.id}/reclassify", body).status == 202
    desk.time += 1
    assert desk.ask("GET", "submissions", status="escalated").result == []


def test_users_send_in_some_of_what_they_got_and_the_team_looks_at_some() -> None:
    options = SandboxOptions(user_submissions=0.3, user_submissions_reviewed=0.4, user_submissions_escalated=0.4)
    desk = Desk(messages=300, options=options)
    desk.time += 5000
    rows = desk.ask("GET", "submissions", type="USER", per_page=1000).result
    assert {row["customer_status"] for row in rows} == {"escalated", "reviewed", "unreviewed"}
    assert {row["outcome"] for row in rows} == {"analysed"}
    by_postfix = {mail.postfix: mail for mail in desk.world.mails}
    assert 50 < len(rows) < 120
    assert all(
        row["requested_by"] in by_postfix[row["original_postfix_id"]].read_fixed().client_recipients for row in rows
    )
    team = desk.ask("GET", "submissions", escalated_from_user="true", per_page=1000).result
    assert len(team) == sum(row["customer_status"] == "escalated" for row in rows) > 10
    assert {row["requested_by"] for row in team} == {"analyst"}


def test_without_phishguard_nobody_looks_at_what_users_send_in() -> None:
    desk = Desk(options=SandboxOptions(phishguard=False, user_submissions_reviewed=0.0))
    desk.world.submit_by_user(desk.world.add_message())
    desk.time += 5000
    [row] = desk.ask("GET", "submissions").result
    assert (row["status"], row["customer_status"]) == ("pending", "unreviewed")


def test_the_list_tells_its_total_and_refuses_what_it_does_not_know() -> None:
    desk = Desk()
    for _ in range(3):
        desk.world.add_submission()
        desk.time += 1
    page = desk.ask("GET", "submissions", per_page=2, page=2)
    assert page.body["result_info"] == {"count": 1, "page": 2, "per_page": 2, "total_count": 3}
    for query in ({"order": "status"}, {"direction": "up"}, {"outcome_disposition": "X"}, {"escalated_from_user": 1}):
        assert desk.ask("GET", "submissions", **query).status == 400
    assert desk.ask("GET", "submissions", start="2026-09-22T00:00:00Z", end="2026-09-21T00:00:00Z").status == 400


def test_an_account_without_phishguard_may_have_an_empty_list_of_reports() -> None:
    desk = Desk(options=SandboxOptions(phishguard=False, unsubscribed="empty"))
    desk.world.add_report()
    reply = desk.ask("GET", "phishguard/reports")
    assert (reply.status, reply.result) == (200, [])


def test_nobody_sends_in_what_is_held() -> None:
    desk = Desk(options=SandboxOptions(user_submissions=1.0))
    desk.world.arrive(5, "phish_held")
    desk.world.arrive(5, "phish")
    desk.time += 700
    assert len(desk.ask("GET", "submissions", per_page=100).result) == 5
