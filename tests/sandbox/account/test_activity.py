"""What happens without us: arrivals, verdicts, hands, reports, submissions of users, and mail that meets a block."""

from collections import Counter

from tests.cells import each
from tests.sandbox.sandbox import START, Sandbox, told
from worker.sandbox import SandboxOptions
from worker.sandbox.account.traffic import KINDS


def test_mail_arrives_as_time_passes() -> None:
    sandbox = Sandbox(arrivals=2.0)
    sandbox.time += 10
    found = sandbox.ask("GET", "investigate", per_page=100, detections_only="false")
    assert len(found.ids) == 20
    assert [mail.scanned for mail in sandbox.world.mails][::2] == [int(START) + n for n in range(10)]


def test_the_mixture_holds_every_kind() -> None:
    kinds = Counter(mail.kind for mail in Sandbox(messages=3000).world.mails)
    assert kinds.keys() == KINDS.keys()
    assert kinds["newsletter"] > kinds["clean"] > kinds["outbreak"]


def test_an_outbreak_borrows_a_name_and_is_delivered() -> None:
    sandbox = Sandbox()
    sandbox.world.arrive(20, "outbreak")
    rows = sandbox.ask("GET", "investigate").result
    assert {row["from_name"] for row in rows} == {"Ada Cole"}
    assert {row["from"].partition("@")[2] for row in rows} == {"c0rp.example", "invoice-desk.example"}
    assert {row["is_quarantined"] for row in rows} == {False}


def test_the_partner_is_held_although_it_passes_every_check() -> None:
    sandbox = Sandbox()
    sandbox.world.arrive(20, "partner_held")
    rows = sandbox.ask("GET", "investigate").result
    assert {(row["is_quarantined"], row["final_disposition"]) for row in rows} == {(True, "SPAM")}
    assert {(row["validation"] or {}).get("dmarc") for row in rows} <= {"pass", None}


def test_optional_fields_are_there_null_or_missing() -> None:
    rows = Sandbox(messages=400).ask("GET", "investigate", per_page=400, detections_only="false").result
    for name in ("to_name", "threat_categories", "replyto"):
        assert {type(row.get(name, "missing")).__name__ for row in rows} >= {"NoneType", "str"}


def test_some_mail_is_indexed_later_than_it_was_scanned() -> None:
    sandbox = Sandbox(messages=200, options=SandboxOptions(late=0.5))
    late = [mail for mail in sandbox.world.mails if mail.first > mail.scanned + 1]
    assert 50 < len(late) < 150
    assert max(mail.first - mail.scanned for mail in late) <= 601


def test_verdicts_change_later_on_the_same_id() -> None:
    sandbox = Sandbox(messages=200, options=SandboxOptions(verdicts=0.5))
    sandbox.time += 3600
    sandbox.world.advance()
    changed = [effect for effect in sandbox.world.effects if effect.operation == "verdict" and effect.changed]
    assert len(changed) > 30
    last = {effect.target: effect.detail["disposition"] for effect in changed}
    assert all(sandbox.world.by_id[target].now.disposition == verdict for target, verdict in last.items())


def test_analysts_and_automatic_moves_act_on_delivered_mail() -> None:
    sandbox = Sandbox(messages=200, options=SandboxOptions(analysts=1.0))
    sandbox.time += 3600
    sandbox.world.advance()
    assert {effect.by for effect in sandbox.world.effects} == {"analyst", "auto"}
    moved = {mail.id for mail in sandbox.world.mails if mail.now.folder == "DeletedItems"}
    assert moved == {mail.id for mail in sandbox.world.mails if not mail.now.quarantined}


def test_a_user_leaves_no_trace_in_the_log_an_analyst_does() -> None:
    sandbox = Sandbox()
    mail = sandbox.world.add_message()
    sandbox.world.move_by_hand(mail.id, "JunkEmail", "user")
    assert (mail.now.folder, mail.now.operations, mail.now.log) == ("JunkEmail", None, ())
    sandbox.world.move_by_hand(mail.id, "Inbox", "analyst")
    assert mail.now.operations == ("MOVE",)
    assert told(mail.now.log[0]) == ("Inbox", "analyst", None)


def test_hands_respect_the_quarantine() -> None:
    sandbox = Sandbox()
    held, free = sandbox.world.add_message(quarantined=True), sandbox.world.add_message()
    sandbox.world.move_by_hand(held.id, "Inbox")
    sandbox.world.release_by_hand(free.id)
    assert sandbox.world.effects == []
    sandbox.world.release_by_hand(held.id)
    assert (held.now.quarantined, held.now.operations) == (False, ("QUARANTINE_RELEASE",))


def test_reports_name_mail_by_its_postfix_id_also_clean_mail() -> None:
    sandbox = Sandbox(messages=300, options=SandboxOptions(reports=1.0))
    sandbox.time += 600
    rows = sandbox.ask("GET", "phishguard/reports", per_page=1000).result
    by_postfix = {mail.postfix: mail for mail in sandbox.world.mails}
    assert {by_postfix[row["fields"]["postfix_id"]].kind for row in rows} == {"clean", "phish", "outbreak"}
    assert all(isinstance(row["id"], int) for row in rows)


def test_reports_are_paged_newest_first_and_can_change() -> None:
    sandbox = Sandbox(options=SandboxOptions(lag=1.0))
    ids = []
    for _ in range(3):
        sandbox.time += 10
        ids.append(sandbox.world.add_report(sandbox.world.add_message(), priority="low"))
    sandbox.time += 10
    page = sandbox.ask("GET", "phishguard/reports", per_page=2)
    assert page.ids == [ids[2], ids[1]]
    assert page.body["result_info"] == {"count": 2, "page": 1, "per_page": 2, "total_count": 3}
    sandbox.world.update_report(ids[0], disposition="NONE")
    sandbox.time += 1
    [changed] = sandbox.ask("GET", "phishguard/reports", end="2026-09-21T14:13:35Z").result
    assert (changed["disposition"], changed["priority"]) == ("NONE", "low")
    assert changed["updated_at"] > changed["created_at"]


def test_without_phishguard_the_reports_are_refused() -> None:
    reply = Sandbox(options=SandboxOptions(phishguard=False)).ask("GET", "phishguard/reports")
    assert reply.status == 403
    assert "subscription" in reply.body["errors"][0]["message"]


def test_a_report_may_be_about_no_message() -> None:
    sandbox = Sandbox()
    sandbox.world.add_report(title="A campaign")
    [report] = sandbox.ask("GET", "phishguard/reports").result
    assert (report["title"], report["fields"]["postfix_id"]) == ("A campaign", None)


def test_submissions_are_filtered_and_ordered() -> None:
    sandbox = Sandbox()
    sandbox.world.add_submission(subject="b", type="Team", requested_disposition="SPAM", customer_status="reviewed")
    sandbox.time += 1
    other = sandbox.world.add_submission(subject="a")

    def subjects(**query: object) -> list[str]:
        return [row["subject"] for row in sandbox.ask("GET", "submissions", **query).result]

    assert subjects() == ["a", "b"]
    assert subjects(order="subject", direction="desc") == ["b", "a"]
    assert subjects(direction="asc") == ["b", "a"]
    assert subjects(type="TEAM") == subjects(requested_disposition="SPAM") == subjects(status="reviewed") == ["b"]
    assert subjects(submission_id=other) == subjects(query="A") == subjects(type="USER") == ["a"]
    assert sandbox.ask("GET", "submissions", type="Team").status == 400


@each(
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
    sandbox = Sandbox()
    fields = {"sender": "ada@c0rp.example", "smtp_helo_server_ip": "203.0.113.9"}
    before = sandbox.world.add_message(disposition="SPAM", **fields)  # type: ignore[arg-type]
    made = sandbox.ask("POST", "settings/block_senders", {"pattern": pattern, "pattern_type": kind, "is_regex": regex})
    after = sandbox.world.add_message(disposition="SPAM", **fields)  # type: ignore[arg-type]
    assert before.now.disposition == "SPAM"
    assert (after.now.disposition == "MALICIOUS") is hit
    shown = sandbox.ask("GET", f"investigate/{after.id}").result
    assert shown["properties"].get("blocklisted_message", False) is hit
    sandbox.ask("DELETE", f"settings/block_senders/{made.result['id']}")
    assert sandbox.world.add_message(disposition="SPAM", **fields).now.disposition == "SPAM"  # type: ignore[arg-type]


def test_mail_that_arrives_by_itself_meets_the_block_too() -> None:
    sandbox = Sandbox()
    sandbox.ask(
        "POST",
        "settings/block_senders",
        {"pattern": "cheap-pills.test", "pattern_type": "DOMAIN", "is_regex": False},
    )
    verdicts = {mail.now.disposition for mail in sandbox.world.arrive(30, "spam")}
    assert verdicts == {"SPAM", "MALICIOUS"}
