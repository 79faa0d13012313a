"""Bulk jobs: what they search, how they go on by themselves, what each message came to, and how they end."""

from typing import Any

import pytest

from tests.cells import each
from tests.sandbox.sandbox import START, Sandbox, told
from worker.sandbox import SandboxOptions, label
from worker.sandbox.account.mail import Mail

COUNTERS = ("pending", "successful", "failed", "skipped", "cancelled")
TWO = ["a@corp.example", "b@corp.example"]


def create(sandbox: Sandbox, action: str = "MOVE", to: str = "JunkEmail", **search: Any) -> str:  # noqa: ANN401 - fields of the API
    body = {"action": action, "search_params": search, "comment": "a wave"}
    reply = sandbox.ask("POST", "investigate/bulk", body | ({"destination": to} if action == "MOVE" else {}))
    assert (reply.status, reply.result["status"]) == (201, "PENDING")
    return str(reply.result["job_id"])


def job(sandbox: Sandbox, ident: str) -> dict[str, Any]:
    shown: dict[str, Any] = sandbox.ask("GET", f"investigate/bulk/{ident}").result
    assert shown["total_messages_discovered"] == sum(shown[f"messages_{name}"] for name in COUNTERS)
    return shown


def rows(sandbox: Sandbox, ident: str, **query: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sandbox.ask("GET", f"investigate/bulk/{ident}/messages", **query).result
    return found


def finished(sandbox: Sandbox, ident: str) -> dict[str, Any]:
    sandbox.time += 600
    return job(sandbox, ident)


def fill(sandbox: Sandbox, count: int, **fields: Any) -> list[Mail]:  # noqa: ANN401 - fields of the API
    return [sandbox.world.add_message(**fields) for _ in range(count)]


def test_a_job_goes_through_its_states_as_time_passes() -> None:
    sandbox = Sandbox(options=SandboxOptions(job_handles=2))
    fill(sandbox, 5)
    ident = create(sandbox)
    seen = []
    for _ in range(7):
        seen.append((shown := job(sandbox, ident))["status"])
        sandbox.time += 1
        assert (shown["started_at"] is None) == (shown["status"] == "PENDING")
    assert seen == ["PENDING", "DISCOVERING", "DISCOVERING", *["PROCESSING"] * 3, "COMPLETED"]
    assert (job(sandbox, ident)["messages_successful"], job(sandbox, ident)["completed_at"][11:19]) == (5, "14:13:26")


def test_messages_are_in_hand_two_at_a_time() -> None:
    sandbox = Sandbox(options=SandboxOptions(job_handles=2))
    fill(sandbox, 5)
    ident = create(sandbox)
    sandbox.time += 4
    assert [row["status"] for row in rows(sandbox, ident)] == [*["COMPLETED"] * 2, *["PROCESSING"] * 2, "PENDING"]
    assert (job(sandbox, ident)["messages_pending"], job(sandbox, ident)["messages_successful"]) == (3, 2)


def test_a_job_moves_as_single_moves_do() -> None:
    sandbox = Sandbox()
    [mail] = fill(sandbox, 1, client_recipients=TWO)
    finished(sandbox, create(sandbox))
    assert (mail.now.folder, mail.now.delivery, mail.now.operations) == ("JunkEmail", ("moved",), ("MOVE",))
    assert [told(entry) for entry in mail.now.log] == [("JunkEmail", label("a-token"), None)] * 2
    [created, moved] = sandbox.world.effects
    assert (created.operation, moved.operation, moved.target) == ("bulk.create", "move", mail.id)
    assert (moved.by, moved.changed, set(moved.detail["statuses"])) == (label("a-token"), True, set(TWO))  # type: ignore[call-overload]


def test_a_job_has_a_row_per_recipient_with_the_whole_message() -> None:
    sandbox = Sandbox()
    [mail] = fill(sandbox, 1, client_recipients=TWO, message_id="<1@evil.test>", subject="hello")
    ident = create(sandbox, final_disposition="MALICIOUS")
    finished(sandbox, ident)
    found = rows(sandbox, ident)
    assert [row["action_params"]["client_recipient"] for row in found] == TWO
    assert {row["message_id"] for row in found} == {mail.id} == {row["message"]["id"] for row in found}
    [row, _] = found
    assert (row["postfix_id"], row["email_message_id"]) == (mail.postfix, "<1@evil.test>")
    assert (row["status"], row["retry_count"], row["retry_after"], row["status_message"]) == (
        "COMPLETED",
        0,
        None,
        None,
    )
    assert (row["message"]["subject"], row["message"]["delivery_status"]) == ("hello", ["moved"])
    assert row["action_params"] | {"type": "MOVE", "destination": "JunkEmail"} == row["action_params"]


def test_a_release_reaches_what_is_held_and_fails_for_what_is_not() -> None:
    sandbox = Sandbox()
    [held], [free] = fill(sandbox, 1, quarantined=True), fill(sandbox, 1)
    ident = create(sandbox, "RELEASE")
    shown = finished(sandbox, ident)
    assert (shown["messages_successful"], shown["messages_failed"], shown["action_params"]) == (
        1,
        1,
        {"type": "RELEASE"},
    )
    assert (held.now.quarantined, held.now.operations) == (False, ("QUARANTINE_RELEASE",))
    [failed] = rows(sandbox, ident, status="FAILED")
    assert (failed["message_id"], failed["retry_count"]) == (free.id, 0)
    assert "not in quarantine" in failed["status_message"]


def test_what_cannot_be_moved_fails_and_submissions_are_skipped() -> None:
    sandbox = Sandbox()
    fill(sandbox, 1, quarantined=True)
    [skipped] = fill(sandbox, 1, is_phish_submission=True)
    ident = create(sandbox)
    shown = finished(sandbox, ident)
    assert (shown["status"], shown["messages_failed"], shown["messages_skipped"]) == ("COMPLETED", 1, 1)
    [row] = rows(sandbox, ident, status="SKIPPED")
    assert (row["message_id"], skipped.now.log) == (skipped.id, ())


def test_a_busy_provider_is_asked_again_later_for_those_that_failed() -> None:
    sandbox = Sandbox(options=SandboxOptions(move_failed=0.6))
    [mail] = fill(sandbox, 1, client_recipients=[f"{n}@corp.example" for n in range(20)])
    ident = create(sandbox)
    sandbox.time += 4
    waiting = rows(sandbox, ident, status="PENDING")
    assert 0 < len(waiting) < 20
    assert {(row["retry_count"], row["retry_after"][11:19]) for row in waiting} == {(1, "14:13:54")}
    assert job(sandbox, ident)["status"] == "PROCESSING"
    shown = finished(sandbox, ident)
    assert shown["status"] == "COMPLETED"
    assert 0 < shown["messages_failed"] < len(waiting)
    assert {row["retry_count"] for row in rows(sandbox, ident, status="FAILED")} == {3}
    assert mail.now.delivery == ("move_failed", "moved")
    tried = sum(row["retry_count"] + 1 for row in rows(sandbox, ident))
    assert len(mail.now.log) == tried


def test_a_release_that_fails_is_tried_again() -> None:
    sandbox = Sandbox(options=SandboxOptions(release_failed=0.5, job_retries=30))
    [mail] = fill(sandbox, 1, quarantined=True, client_recipients=TWO)
    ident = create(sandbox, "RELEASE")
    sandbox.time += 600
    assert (finished(sandbox, ident)["messages_successful"], mail.now.quarantined) == (2, False)


def test_a_cancelled_job_keeps_what_it_did_and_does_no_more() -> None:
    sandbox = Sandbox(options=SandboxOptions(job_handles=2))
    fill(sandbox, 6)
    ident = create(sandbox)
    sandbox.time += 4
    reply = sandbox.ask("POST", f"investigate/bulk/{ident}/cancel")
    assert (reply.status, reply.result["status"], reply.result["messages_successful"]) == (200, "CANCELLED", 2)
    before = list(sandbox.world.effects)
    shown = finished(sandbox, ident)
    assert (shown["messages_successful"], shown["messages_cancelled"], shown["messages_pending"]) == (2, 4, 0)
    assert sandbox.world.effects == before
    again = sandbox.ask("POST", f"investigate/bulk/{ident}/cancel")
    assert (again.status, sandbox.world.effects[-1].changed) == (409, False)


def test_a_job_that_is_cancelled_before_it_found_anything_finds_nothing() -> None:
    sandbox = Sandbox()
    fill(sandbox, 3)
    ident = create(sandbox)
    sandbox.ask("POST", f"investigate/bulk/{ident}/cancel")
    assert finished(sandbox, ident)["total_messages_discovered"] == 0


def test_only_a_job_that_has_ended_can_be_deleted_and_then_it_is_gone() -> None:
    sandbox = Sandbox(options=SandboxOptions(job_refusal=400))
    ident = create(sandbox)
    assert sandbox.ask("DELETE", f"investigate/bulk/{ident}").status == 400
    finished(sandbox, ident)
    assert sandbox.ask("DELETE", f"investigate/bulk/{ident}").result == {"id": ident}
    assert sandbox.ask("GET", "investigate/bulk").result == []
    for method, path in (("GET", ""), ("GET", "/messages"), ("DELETE", ""), ("POST", "/cancel")):
        assert sandbox.ask(method, f"investigate/bulk/{ident}{path}").status == 404
    assert sandbox.ask("DELETE", "investigate/bulk/none").status == 404
    assert [effect.changed for effect in sandbox.world.effects if effect.operation == "bulk.delete"] == [
        False,
        True,
        False,
    ]


def test_an_empty_search_means_every_detection_of_thirty_days() -> None:
    sandbox = Sandbox()
    fill(sandbox, 1, scanned=START - 31 * 86400.0)
    fill(sandbox, 1, disposition="NONE")
    fill(sandbox, 2, scanned=START - 29 * 86400.0)
    assert finished(sandbox, create(sandbox))["total_messages_discovered"] == 2


@each(
    ("search", "hits"),
    [
        ({"sender": "evil.test"}, 1),
        ({"sender": None, "subject": "urgent"}, 2),
        ({"exact_subject": "Urgent"}, 1),
        ({"final_disposition": "MALICIOUS-BEC"}, 1),
        ({"detections_only": False}, 4),
        ({"submissions": True}, 1),
        ({"submissions": False, "action_log": True, "delivery_status": "delivered"}, 3),
        ({"start": "2026-09-21T14:13:20Z"}, 2),
        ({"end": "2026-09-21T14:13:20Z", "metric": "x", "unheard_of": 1}, 1),
    ],
)
def test_a_job_finds_what_its_search_names(search: dict[str, Any], hits: int) -> None:
    sandbox = Sandbox()
    fill(sandbox, 1, sender="a@evil.test", subject="Urgent", scanned=START - 5)
    sandbox.time += 1
    fill(sandbox, 1, subject="Urgent pay", disposition="MALICIOUS-BEC")
    fill(sandbox, 1, is_phish_submission=True)
    fill(sandbox, 1, disposition="NONE", subject="hi")
    ident = create(sandbox, **search)
    shown = finished(sandbox, ident)
    assert shown["total_messages_discovered"] == hits
    assert shown["search_params"] == {name: value for name, value in search.items() if name != "unheard_of"}


@each(
    "body",
    [
        {"search_params": {}},
        {"action": "PURGE", "search_params": {}},
        {"action": ["MOVE"], "search_params": {}},
        {"action": "MOVE", "search_params": {}},
        {"action": "MOVE", "search_params": {}, "destination": "Archive"},
        {"action": "MOVE", "search_params": {}, "destination": "Inbox", "expected_disposition": []},
        {"action": "RELEASE"},
        {"action": "RELEASE", "search_params": []},
        {"action": "RELEASE", "search_params": {}, "comment": 5},
        {"action": "RELEASE", "search_params": {"detections_only": "true"}},
        {"action": "RELEASE", "search_params": {"sender": 5}},
        {"action": "RELEASE", "search_params": {"start": None}},
        {"action": "RELEASE", "search_params": {"start": "2027-01-01T00:00:00Z"}},
        {"action": "RELEASE", "search_params": {"start": "yesterday"}},
        {"action": "RELEASE", "search_params": {"final_disposition": "EVIL"}},
        [],
    ],
)
def test_a_job_that_does_not_fit_is_refused_and_is_none(body: object) -> None:
    sandbox = Sandbox()
    assert sandbox.ask("POST", "investigate/bulk", body).status == 400
    assert (sandbox.ask("GET", "investigate/bulk").result, sandbox.world.effects) == ([], [])


def test_jobs_are_listed_newest_first_by_state_and_action() -> None:
    sandbox = Sandbox()
    first = create(sandbox)
    finished(sandbox, first)
    second = create(sandbox, "RELEASE")

    def listed(**query: object) -> list[str]:
        return [row["job_id"] for row in sandbox.ask("GET", "investigate/bulk", **query).result]

    assert listed() == [second, first]
    assert listed(status="COMPLETED") == listed(action_type="MOVE") == [first]
    assert listed(status="PENDING") == listed(action_type="RELEASE") == [second]
    assert sandbox.ask("GET", "investigate/bulk", status="OVER").status == 400


@pytest.mark.parametrize("path", ["investigate/bulk", "investigate/bulk/{}/messages"])
def test_a_list_is_walked_by_its_cursor_or_by_numbers(path: str) -> None:
    sandbox = Sandbox()
    fill(sandbox, 5)
    ident = [create(sandbox) for _ in range(5)][-1]
    finished(sandbox, ident)
    path = path.format(ident)
    everything = sandbox.ask("GET", path).result
    first = sandbox.ask("GET", path, per_page=2)
    second = sandbox.ask("GET", path, per_page=2, cursor=first.body["result_info"]["next"])
    third = sandbox.ask("GET", path, per_page=2, cursor=second.body["result_info"]["next"])
    assert first.result + second.result + third.result == everything
    assert [sandbox.ask("GET", path, per_page=2, page=n).result for n in (2, 3, 4)] == [second.result, third.result, []]
    envelope = {"count": 1, "page": 0, "per_page": 2, "total_count": 0, "next": None, "previous": None}
    assert third.body["result_info"] == envelope
    assert sandbox.ask("GET", path, cursor="garbage").status == 400


def test_an_option_leaves_the_numbers_or_the_cursor_out() -> None:
    for pages, by_number in (("numbers", True), ("cursor", False)):
        sandbox = Sandbox(options=SandboxOptions(job_pages=pages))  # type: ignore[arg-type]
        idents = [create(sandbox) for _ in range(3)]
        first = sandbox.ask("GET", "investigate/bulk", per_page=2)
        second = sandbox.ask("GET", "investigate/bulk", per_page=2, page=2)
        assert (first.body["result_info"]["next"] is None) is by_number
        assert (second.result[0]["job_id"] == idents[0]) is by_number


def test_a_cursor_of_one_job_does_not_fit_another() -> None:
    sandbox = Sandbox()
    fill(sandbox, 3)
    one, other = create(sandbox), create(sandbox)
    finished(sandbox, other)
    reply = sandbox.ask("GET", f"investigate/bulk/{one}/messages", per_page=1)
    cursor = reply.body["result_info"]["next"]
    assert sandbox.ask("GET", f"investigate/bulk/{other}/messages", per_page=1, cursor=cursor).status == 400


def test_a_job_may_break_down() -> None:
    sandbox = Sandbox(options=SandboxOptions(job_failed=1.0))
    [mail] = fill(sandbox, 1)
    shown = finished(sandbox, create(sandbox))
    assert (shown["status"], shown["messages_cancelled"], mail.now.folder) == ("FAILED", 1, "Inbox")
    assert shown["status_message"]


def test_without_an_integration_rows_fail_or_the_job_is_refused() -> None:
    off = Sandbox(options=SandboxOptions(integration="off"))
    fill(off, 1)
    assert finished(off, create(off))["messages_failed"] == 1
    refused = Sandbox(options=SandboxOptions(integration="refused"))
    body = {"action": "MOVE", "destination": "Inbox", "search_params": {}}
    assert refused.ask("POST", "investigate/bulk", body).status == 400


def test_reads_of_a_job_lag_and_agree_with_themselves() -> None:
    sandbox = Sandbox(options=SandboxOptions(lag=2.5, job_handles=1))
    fill(sandbox, 3)
    sandbox.time += 5
    ident = create(sandbox)
    assert sandbox.ask("GET", f"investigate/bulk/{ident}").status == 404
    while job_or_none(sandbox, ident) != "COMPLETED":
        sandbox.time += 0.5
    assert sandbox.time == START + 5 + 1 + 1 + 1 + 3 + 2.5


def job_or_none(sandbox: Sandbox, ident: str) -> str | None:
    if sandbox.ask("GET", f"investigate/bulk/{ident}").status == 404:
        return None
    shown, found = job(sandbox, ident), rows(sandbox, ident)
    assert shown["messages_successful"] == sum(row["status"] == "COMPLETED" for row in found)
    assert shown["total_messages_discovered"] == len(found)
    return str(shown["status"])


def test_mail_without_recipients_gives_no_row() -> None:
    sandbox = Sandbox()
    fill(sandbox, 1, client_recipients=[])
    shown = finished(sandbox, create(sandbox))
    assert (shown["status"], shown["total_messages_discovered"]) == ("COMPLETED", 0)


def test_a_large_job_is_found_in_parts() -> None:
    sandbox = Sandbox(options=SandboxOptions(job_discovers=2))
    fill(sandbox, 5)
    ident = create(sandbox)
    totals = []
    for _ in range(6):
        sandbox.time += 1
        totals.append(job(sandbox, ident)["total_messages_discovered"])
    assert totals == [0, 2, 4, 5, 5, 5]
