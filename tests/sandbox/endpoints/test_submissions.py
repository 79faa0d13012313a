"""Submissions: what the team asks for in one go, what users send in, what becomes of it, and how it is found again."""

from tests.cells import each
from tests.sandbox.sandbox import Sandbox
from worker.sandbox import SandboxOptions, label


def test_what_is_sent_in_becomes_team_submissions_that_are_reviewed() -> None:
    sandbox = Sandbox()
    mails = [sandbox.world.add_message(disposition="SPAM") for _ in range(12)]
    items = [{"id": mail.id, "requested_disposition": "MALICIOUS"} for mail in mails]
    reply = sandbox.ask("POST", "submissions", {"type": "reclassification", "messages": items})
    assert (reply.status, reply.result) == (202, {})
    assert {(effect.operation, effect.by) for effect in sandbox.world.effects} == {("reclassify", label("a-token"))}
    sandbox.time += 1
    rows = sandbox.ask("GET", "submissions", type="TEAM").result
    assert {(row["original_disposition"], row["status"]) for row in rows} == {("SPAM", "pending")}
    assert {row["original_postfix_id"] for row in rows} == {mail.postfix for mail in mails}
    sandbox.time += 1000
    rows = sandbox.ask("GET", "submissions").result
    assert {row["outcome"] for row in rows} == {"accepted", "rejected"}
    granted = {row["original_postfix_id"] for row in rows if row["outcome"] == "accepted"}
    assert {mail.postfix for mail in mails if mail.now.disposition == "MALICIOUS"} == granted


def test_without_a_wish_a_missed_detection_is_malicious_and_a_reclassification_clean() -> None:
    sandbox = Sandbox()
    for kind in ("missed_detection", "reclassification"):
        item = {"id": sandbox.world.add_message(disposition="SPAM").id, "expected_disposition": "BULK"}
        for one in (item, {"id": item["id"]}):
            assert sandbox.ask("POST", "submissions", {"type": kind, "messages": [one]}).status == 202
            sandbox.time += 1
    rows = sandbox.ask("GET", "submissions", direction="asc").result
    assert [row["requested_disposition"] for row in rows] == ["BULK", "MALICIOUS", "BULK", "NONE"]


@each(
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
    sandbox = Sandbox()
    assert sandbox.ask("POST", "submissions", body).status == status
    assert sandbox.world.effects == []


def test_one_bad_item_refuses_them_all() -> None:
    sandbox = Sandbox()
    good = {"id": sandbox.world.add_message().id}
    body = {"type": "reclassification", "messages": [good, good | {"expected_disposition": "MALICIOUS-BEC"}]}
    assert sandbox.ask("POST", "submissions", body).status == 400
    assert sandbox.world.effects == []


def test_a_submission_of_a_user_is_taken_further_and_says_so() -> None:
    sandbox = Sandbox()
    mail = sandbox.world.add_message(disposition="SPAM", subject="hm")
    sent = sandbox.world.submit_by_user(mail)
    body = {"expected_disposition": "MALICIOUS", "escalated_submission_id": sent}
    sandbox.ask("POST", f"investigate/{mail.id}/reclassify", body)
    sandbox.time += 1
    [team] = sandbox.ask("GET", "submissions", type="TEAM").result
    [user] = sandbox.ask("GET", "submissions", status="escalated").result
    assert (user["type"], user["subject"], user["requested_by"]) == ("User", "hm", "ada@corp.example")
    assert (user["escalated_as"], user["escalated_by"]) == ("MALICIOUS", label("a-token"))
    assert user["escalated_submission_id"] == team["submission_id"]
    assert sandbox.ask("GET", "submissions", escalated_from_user="true").result == [team]
    assert sandbox.ask("GET", "submissions", escalated_from_user="false").result == [user]


def test_only_the_submission_of_a_user_can_be_taken_further() -> None:
    sandbox = Sandbox()
    mail = sandbox.world.add_message()
    team = sandbox.world.add_submission(type="Team")
    for ident in (team, "none"):
        body = {"expected_disposition": "SPAM", "escalated_submission_id": ident}
        assert sandbox.ask("POST", f"investigate/{mail.id}/reclassify", body).status == 202
    sandbox.time += 1
    assert sandbox.ask("GET", "submissions", status="escalated").result == []


def test_users_send_in_some_of_what_they_got_and_the_team_looks_at_some() -> None:
    options = SandboxOptions(user_submissions=0.3, user_submissions_reviewed=0.4, user_submissions_escalated=0.4)
    sandbox = Sandbox(messages=300, options=options)
    sandbox.time += 5000
    rows = sandbox.ask("GET", "submissions", type="USER", per_page=1000).result
    assert {row["customer_status"] for row in rows} == {"escalated", "reviewed", "unreviewed"}
    assert {row["outcome"] for row in rows} == {"analysed"}
    by_postfix = {mail.postfix: mail for mail in sandbox.world.mails}
    assert 50 < len(rows) < 120
    assert all(
        row["requested_by"] in by_postfix[row["original_postfix_id"]].read_fixed().client_recipients for row in rows
    )
    team = sandbox.ask("GET", "submissions", escalated_from_user="true", per_page=1000).result
    assert len(team) == sum(row["customer_status"] == "escalated" for row in rows) > 10
    assert {row["requested_by"] for row in team} == {"analyst"}


def test_without_phishguard_nobody_looks_at_what_users_send_in() -> None:
    sandbox = Sandbox(options=SandboxOptions(phishguard=False, user_submissions_reviewed=0.0))
    sandbox.world.submit_by_user(sandbox.world.add_message())
    sandbox.time += 5000
    [row] = sandbox.ask("GET", "submissions").result
    assert (row["status"], row["customer_status"]) == ("pending", "unreviewed")


def test_the_list_tells_its_total_and_refuses_what_it_does_not_know() -> None:
    sandbox = Sandbox()
    for _ in range(3):
        sandbox.world.add_submission()
        sandbox.time += 1
    page = sandbox.ask("GET", "submissions", per_page=2, page=2)
    assert page.body["result_info"] == {"count": 1, "page": 2, "per_page": 2, "total_count": 3}
    for query in ({"order": "status"}, {"direction": "up"}, {"outcome_disposition": "X"}, {"escalated_from_user": 1}):
        assert sandbox.ask("GET", "submissions", **query).status == 400
    assert sandbox.ask("GET", "submissions", start="2026-09-22T00:00:00Z", end="2026-09-21T00:00:00Z").status == 400


def test_an_account_without_phishguard_may_have_an_empty_list_of_reports() -> None:
    sandbox = Sandbox(options=SandboxOptions(phishguard=False, unsubscribed="empty"))
    sandbox.world.add_report()
    reply = sandbox.ask("GET", "phishguard/reports")
    assert (reply.status, reply.result) == (200, [])


def test_nobody_sends_in_what_is_held() -> None:
    sandbox = Sandbox(options=SandboxOptions(user_submissions=1.0))
    sandbox.world.arrive(5, "phish_held")
    sandbox.world.arrive(5, "phish")
    sandbox.time += 700
    assert len(sandbox.ask("GET", "submissions", per_page=100).result) == 5
