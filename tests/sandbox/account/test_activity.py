"""What happens without us: arrivals, verdicts, hands, reports, submissions of users, and mail that meets a block."""

from collections import Counter

import pytest

from tests.sandbox.desk import START, Desk
from worker.sandbox import SandboxOptions
from worker.sandbox.account.traffic import KINDS


def test_mail_arrives_as_time_passes() -> None:
    desk = Desk(arrivals=2.0)
    desk.time += 10
    found = desk.ask("GET", "investigate", per_page=100, detections_only="false")
    assert len(found.ids) == 20
    assert [mail.scanned for mail in desk.world.mails][::2] == [int(START) + n for n in range(10)]


def test_the_mixture_holds_every_kind() -> None:
    kinds = Counter(mail.kind for mail in Desk(messages=3000).world.mails)
    assert kinds.keys() == KINDS.keys()
    assert kinds["newsletter"] > kinds["clean"] > kinds["outbreak"]


def test_an_outbreak_borrows_a_name_and_is_delivered() -> None:
    desk = Desk()
    desk.world.arrive(20, "outbreak")
    rows = desk.ask("GET", "investigate").result
    assert {row["from_name"] for row in rows} == {"Ada Cole"}
    assert {row["from"].partition("@")[2] for row in rows} == {"c0rp.example", "invoice-desk.example"}
    assert {row["is_quarantined"] for row in rows} == {False}


def test_the_partner_is_held_although_it_passes_every_check() -> None:
    desk = Desk()
    desk.world.arrive(20, "partner_held")
    rows = desk.ask("GET", "investigate").result
    assert {(row["is_quarantined"], row["final_disposition"]) for row in rows} == {(True, "SPAM")}
    assert {(row["validation"] or {}).get("dmarc") for row in rows} <= {"pass", None}


def test_optional_fields_are_there_null_or_missing() -> None:
    rows = Desk(messages=400).ask("GET", "investigate", per_page=400, detections_only="false").result
    for name in ("to_name", "threat_categories", "replyto"):
        assert {type(row.get(name, "missing")).__name__ for row in rows} >= {"NoneType", "str"}


def test_some_mail_is_indexed_later_than_it_was_scanned() -> None:
    desk = Desk(messages=200, options=SandboxOptions(late=0.5))
    late = [mail for mail in desk.world.mails if mail.first > mail.scanned + 1]
    assert 50 < len(late) < 150
    assert max(mail.first - mail.scanned for mail in late) <= 601


def test_verdicts_change_later_on_the_same_id() -> None:
    desk = Desk(messages=200, options=SandboxOptions(verdicts=0.5))
    desk.time += 3600
    desk.world.advance()
    changed = [effect for effect in desk.world.effects if effect.operation == "verdict" and effect.changed]
    assert len(changed) > 30
    last = {effect.target: effect.detail["disposition"] for effect in changed}
    assert all(desk.world.by_id[target].now.disposition == verdict for target, verdict in last.items())


def test_analysts_and_automatic_moves_act_on_delivered_mail() -> None:
    desk = Desk(messages=200, options=SandboxOptions(analysts=1.0))
    desk.time += 3600
    desk.world.advance()
    assert {effect.by for effect in desk.world.effects} == {"analyst", "auto"}
    moved = {mail.id for mail in desk.world.mails if mail.now.folder == "DeletedItems"}
    assert moved == {mail.id for mail in desk.world.mails if not mail.now.quarantined}


def test_a_user_leaves_no_trace_in_the_log_an_analyst_does() -> None:
    desk = Desk()
    mail = desk.world.add_message()
    desk.world.move_by_hand(mail.id, "JunkEmail", "user")
    assert (mail.now.folder, mail.now.operations, mail.now.log) == ("JunkEmail", None, ())
    desk.world.move_by_hand(mail.id, "Inbox", "analyst")
    assert mail.now.operations == ("MOVE",)
    assert mail.now.log[0]["properties"] == {"folder": "Inbox", "requested_by": "analyst"}


def test_hands_respect_the_quarantine() -> None:
    desk = Desk()
    held, free = desk.world.add_message(quarantined=True), desk.world.add_message()
    desk.world.move_by_hand(held.id, "Inbox")
    desk.world.release_by_hand(free.id)
    assert desk.world.effects == []
    desk.world.release_by_hand(held.id)
    assert (held.now.quarantined, held.now.operations) == (False, ("QUARANTINE_RELEASE",))


def test_reports_name_mail_by_its_postfix_id_also_clean_mail() -> None:
    desk = Desk(messages=300, options=SandboxOptions(reports=1.0))
    desk.time += 600
    rows = desk.ask("GET", "phishguard/reports", per_page=1000).result
    by_postfix = {mail.postfix: mail for mail in desk.world.mails}
    assert {by_postfix[row["fields"]["postfix_id"]].kind for row in rows} == {"clean", "phish", "outbreak"}
    assert all(isinstance(row["id"], int) for row in rows)


def test_reports_are_paged_newest_first_and_can_change() -> None:
    desk = Desk(options=SandboxOptions(lag=1.0))
    ids = []
    for _ in range(3):
        desk.time += 10
        ids.append(desk.world.add_report(desk.world.add_message(), priority="low"))
    desk.time += 10
    page = desk.ask("GET", "phishguard/reports", per_page=2)
    assert page.ids == [ids[2], ids[1]]
    assert page.body["result_info"] == {"count": 2, "page": 1, "per_page": 2, "total_count": 3}
    desk.world.update_report(ids[0], disposition="NONE")
    desk.time += 1
    [changed] = desk.ask("GET", "phishguard/reports", end="2026-09-21T14:13:35Z").result
    assert (changed["disposition"], changed["priority"]) == ("NONE", "low")
    assert changed["updated_at"] > changed["created_at"]


def test_without_phishguard_the_reports_are_refused() -> None:
    reply = Desk(options=SandboxOptions(phishguard=False)).ask("GET", "phishguard/reports")
    assert reply.status == 403
    assert "subscription" in reply.body["errors"][0]["message"]


def test_a_report_may_be_about_no_message() -> None:
    desk = Desk()
    desk.world.add_report(title="A campaign")
    [report] = desk.ask("GET", "phishguard/reports").result
    assert (report["title"], report["fields"]["postfix_id"]) == ("A campaign", None)


def test_submissions_are_filtered_and_ordered() -> None:
    desk = Desk()
    desk.world.add_submission(subject="b", type="Team", requested_disposition="SPAM", customer_status="reviewed")
    desk.time += 1
    other = desk.world.add_submission(subject="a")

    def subjects(**query: object) -> list[str]:
        return [row["subject"] for row in desk.ask("GET", "submissions", **query).result]

    assert subjects() == ["a", "b"]
    assert subjects(order="subject", direction="desc") == ["b", "a"]
    assert subjects(direction="asc") == ["b", "a"]
    assert subjects(type="TEAM") == subjects(requested_disposition="SPAM") == subjects(status="reviewed") == ["b"]
    assert subjects(submission_id=other) == subjects(query="A") == subjects(type="USER") == ["a"]
    assert desk.ask("GET", "submissions", type="Team").status == 400


@pytest.mark.parametrize(
    ("pattern", "kind", "regex", "hit"),
    [
        ("Ada@c0rp.example", "EMAIL", False, True),
        ("ben@c0rp.example", "EMAIL", False, False),
        ("c0rp.example", "DOMAIN", False, True),
        ("rp.example", "DOMAIN", False, False),
        ("203.0.113.0/24", "IP", False, True),
        ("198.51.100.7", "IP", False, False),
        ("^ada@.*0rp", "EMAIL", True, True),
        ("^ben", "EMAIL", True, False),
    ],
)
def test_a_block_judges_the_mail_that_comes_after_it(pattern: str, kind: str, regex: bool, hit: bool) -> None:  # noqa: FBT001 - columns
    desk = Desk()
    fields = {"sender": "ada@c0rp.example", "smtp_helo_server_ip": "203.0.113.9"}
    before = desk.world.add_message(disposition="SPAM", **fields)  # type: ignore[arg-type]
    made = desk.ask("POST", "settings/block_senders", {"pattern": pattern, "pattern_type": kind, "is_regex": regex})
    after = desk.world.add_message(disposition="SPAM", **fields)  # type: ignore[arg-type]
    assert before.now.disposition == "SPAM"
    assert (after.now.disposition == "MALICIOUS") is hit
    shown = desk.ask("GET", f"investigate/{after.id}").result
    assert shown["properties"].get("blocklisted_message", False) is hit
    desk.ask("DELETE", f"settings/block_senders/{made.result['id']}")
    assert desk.world.add_message(disposition="SPAM", **fields).now.disposition == "SPAM"  # type: ignore[arg-type]


def test_mail_that_arrives_by_itself_meets_the_block_too() -> None:
    desk = Desk()
    desk.ask(
        "POST",
        "settings/block_senders",
        {"pattern": "cheap-pills.test", "pattern_type": "DOMAIN", "is_regex": False},
    )
    verdicts = {mail.now.disposition for mail in desk.world.arrive(30, "spam")}
    assert verdicts == {"SPAM", "MALICIOUS"}
