"""The era of the seeds: the API as Cloudflare's older reference pages have it, over the same account."""

from typing import Any

import pytest

from tests.sandbox.sandbox import START, Sandbox
from worker.sandbox import SandboxOptions

DAY = 86400.0
BLOCK: dict[str, Any] = {"pattern": "a@evil.example", "pattern_type": "EMAIL", "is_regex": False}
TRUST = {"is_recent": True, "is_regex": False, "is_similarity": False}


def sandbox(**options: Any) -> Sandbox:  # noqa: ANN401 (what SandboxOptions takes)
    return Sandbox(options=SandboxOptions(era="seeds", **options))


def test_a_message_has_the_older_names_of_its_times_and_no_newer_fields() -> None:
    box = sandbox()
    box.world.arrive(1, "outbreak")
    [row] = box.ask("GET", "investigate").result
    assert {"ts", "sent_date", "action_log", "findings"} <= row.keys()
    assert not {"scanned_at", "sent_at", "delivery_status", "smtp_helo_server_ip", "x_originating_ip"} & row.keys()


def test_everything_else_has_the_older_names_too() -> None:
    box = sandbox()
    mail = box.world.arrive(1, "phish_held")[0]
    box.world.add_report(mail)
    box.world.submit_by_user(mail)
    box.time += 60
    [report], [submission] = box.ask("GET", "phishguard/reports").result, box.ask("GET", "submissions").result
    files = box.ask("GET", f"investigate/{mail.postfix}/detections").result["attachments"]
    lines = box.ask("GET", f"investigate/{mail.postfix}/trace").result["inbound"]["lines"]
    assert ("ts" in report["fields"], "occurred_at" in report["fields"]) == (True, False)
    assert ("requested_ts" in submission, "requested_at" in submission) == (True, False)
    assert {tuple(sorted(one)) for one in files} == {("content_type", "detection", "encrypted", "name", "size")}
    assert {tuple(sorted(one)) for one in lines} == {("lineno", "message", "ts")}


def test_entries_of_lists_have_numbers_and_when_they_were_modified_last() -> None:
    box = sandbox()
    made = box.ask("POST", "settings/block_senders", BLOCK)
    [listed] = box.ask("GET", "settings/block_senders").result
    assert (made.status, type(made.result["id"]), listed["id"]) == (201, int, made.result["id"])
    assert ("last_modified" in listed, "modified_at" in listed) == (True, False)
    assert box.ask("GET", f"settings/block_senders/{listed['id']}").result == listed
    assert box.ask("DELETE", f"settings/block_senders/{listed['id']}").result == {"id": listed["id"]}


@pytest.mark.parametrize(("write", "status"), [(int, 200), (str, 400)])
def test_a_batch_names_its_entries_by_number(write: type, status: int) -> None:
    box = sandbox()
    ident = box.world.add_entry("block_senders", **BLOCK)
    body = {"deletes": [{"id": write(ident)}], "patches": [], "puts": [], "posts": []}
    reply = box.ask("POST", "settings/block_senders/batch", body)
    assert reply.status == status
    if status == 200:
        assert reply.result == {"deletes": [{"id": int(ident)}], "patches": [], "puts": [], "posts": []}


def test_a_mail_is_named_by_its_postfix_id_in_paths_and_bodies() -> None:
    box = sandbox()
    held, clean = box.world.arrive(1, "phish_held")[0], box.world.arrive(1, "clean")[0]
    assert box.ask("GET", f"investigate/{held.postfix}").result["id"] == held.id
    assert box.ask("POST", "investigate/release", [held.postfix]).result[0]["postfix_id"] == held.postfix
    assert box.ask("POST", "investigate/release", {"ids": [held.id]}).status == 400
    assert box.ask("POST", "investigate/preview", {"postfix_id": clean.postfix}).status == 200
    body = {"destination": "JunkEmail", "ids": [held.id], "postfix_ids": [clean.postfix]}
    items = box.ask("POST", "investigate/move", body).result
    assert {held.now.folder, clean.now.folder} == {"JunkEmail"}
    assert all({"completed_timestamp", "item_count"} <= one.keys() and "completed_at" not in one for one in items)
    assert box.ask("POST", "investigate/move", {"destination": "Inbox"}).result == []


def test_a_search_has_its_older_filters_and_pages() -> None:
    box = sandbox()
    first, second = (box.world.add_message(subject=text, scanned=START) for text in ("hello", "hello again"))
    box.ask("POST", f"investigate/{second.postfix}/reclassify", {"expected_disposition": "SPAM"})
    box.time += 1
    assert box.ask("GET", "investigate", exact_subject="hello").ids == [first.id]
    assert box.ask("GET", "investigate", message_action="SUBMITTED").ids == [second.id]
    assert box.ask("GET", "investigate", submissions="true").ids == []
    pages = [box.ask("GET", "investigate", per_page=1, page=n).ids for n in (1, 2)]
    assert sorted(ident for ids in pages for ident in ids) == sorted([first.id, second.id])


def test_reports_come_all_at_once_and_by_days() -> None:
    box = sandbox()
    for age in (0, 3, 9):
        box.world.add_report(at=START - age * DAY)
    assert box.ask("GET", "phishguard/reports", per_page=1).body.keys().isdisjoint({"result_info"})
    assert len(box.ask("GET", "phishguard/reports", per_page=1).result) == 3
    day = box.ask("GET", "phishguard/reports", from_date="2026-09-12", to_date="2026-09-18").result
    assert [row["created_at"][:10] for row in day] == ["2026-09-18", "2026-09-12"]
    assert box.ask("GET", "phishguard/reports", from_date="yesterday").status == 400


def test_trusted_domains_are_made_one_by_one_or_as_a_list_all_or_none() -> None:
    box = sandbox()
    several = [TRUST | {"pattern": f"{name}.example"} for name in ("one", "two")]
    reply = box.ask("POST", "settings/trusted_domains", several)
    assert (reply.status, [row["pattern"] for row in reply.result]) == (201, ["one.example", "two.example"])
    assert box.ask("POST", "settings/trusted_domains", [TRUST | {"pattern": "three.example"}, several[0]]).status == 409
    assert len(box.ask("GET", "settings/trusted_domains").result) == 3  # the account begins with one
    assert box.ask("POST", "settings/block_senders", [BLOCK]).status == 400


def test_a_domain_is_changed_with_its_networks_and_may_be_renamed() -> None:
    box = sandbox()
    ident = box.ask("GET", "settings/domains").ids[0]
    assert box.ask("PATCH", f"settings/domains/{ident}", {"domain": "new.example"}).status == 400
    body = {"domain": "new.example", "ip_restrictions": ["192.0.2.0/24"]}
    changed = box.ask("PATCH", f"settings/domains/{ident}", body).result
    assert (changed["domain"], changed["ip_restrictions"]) == ("new.example", ["192.0.2.0/24"])
    assert "status" not in changed


def test_lists_have_their_older_filters_and_types() -> None:
    box = sandbox()
    box.ask("POST", "settings/block_senders", BLOCK | {"pattern_type": "UNKNOWN"})
    assert [row["pattern_type"] for row in box.ask("GET", "settings/block_senders").result] == ["UNKNOWN"]
    assert box.ask("GET", "settings/allow_policies", is_spoof="true").ids
    assert box.ask("GET", "settings/allow_policies", is_spoof="false").ids == []


def test_submissions_are_filtered_by_the_status_of_the_customer() -> None:
    box = sandbox()
    box.world.submit_by_user(box.world.arrive(1, "outbreak")[0])
    assert len(box.ask("GET", "submissions", customer_status="unreviewed").result) == 1
    assert box.ask("GET", "submissions", customer_status="escalated").result == []


def test_a_switch_that_is_set_stays_as_it_is_set() -> None:
    assert SandboxOptions(era="seeds", release_body="object").release_body == "object"
    assert SandboxOptions(era="seeds").release_body == "array"
    assert SandboxOptions().release_body == "both"
