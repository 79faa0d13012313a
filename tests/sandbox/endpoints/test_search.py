"""Searching: windows, filters, cursors, and answers that are not ready yet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cells import each
from tests.sandbox.sandbox import START, Sandbox
from worker.sandbox import Fault, IncomingRequest, SandboxOptions

HOUR = 3600.0
OLD = {
    "move": {"completed_timestamp", "item_count"},
    "release": {"postfix_id"},
    "log": {"completed_timestamp"},
    "report": {"ts"},
    "submission": {"requested_ts"},
    "message": {"ts", "findings", "action_log"},
}


def walk(sandbox: Sandbox, **query: object) -> list[str]:
    found: list[str] = []
    cursor: dict[str, object] = {}
    while True:
        page = sandbox.ask("GET", "investigate", **query, **cursor)
        found += page.ids
        if page.body["result_info"]["next"] is None:
            return found
        cursor = {"cursor": page.body["result_info"]["next"]}


@pytest.mark.slow
@given(per_page=st.integers(1, 60), seed=st.integers(0, 5))
def test_a_walk_finds_every_message_once_and_newest_first(per_page: int, seed: int) -> None:
    sandbox = Sandbox(seed=seed, messages=80, quota=None)
    sandbox.world.arrive(40)  # all within one second
    found = walk(sandbox, per_page=per_page, detections_only="false")
    assert sorted(found) == sorted(sandbox.world.by_id)
    times = [sandbox.world.by_id[ident].scanned for ident in found]
    assert times == sorted(times, reverse=True)


def test_a_walk_is_not_disturbed_by_mail_that_arrives_meanwhile() -> None:
    sandbox = Sandbox(messages=50)
    before = {mail.id for mail in sandbox.world.mails}
    first = sandbox.ask("GET", "investigate", per_page=10, detections_only="false")
    sandbox.world.arrive(30)
    query = {"per_page": 1000, "detections_only": "false", "cursor": first.body["result_info"]["next"]}
    rest = sandbox.ask("GET", "investigate", **query)
    assert {*first.ids, *rest.ids} == before
    assert len(first.ids) + len(rest.ids) == 50


def test_clean_mail_is_shown_only_on_request() -> None:
    sandbox = Sandbox()
    clean = sandbox.world.add_message(disposition="NONE")
    assert sandbox.ask("GET", "investigate").ids == []
    assert sandbox.ask("GET", "investigate", final_disposition="NONE").ids == []
    assert sandbox.ask("GET", "investigate", detections_only="false").ids == [clean.id]


def test_the_envelope_of_a_search_knows_no_totals() -> None:
    info = Sandbox(messages=30).ask("GET", "investigate", detections_only="false").body["result_info"]
    assert (info["count"], info["page"], info["per_page"], info["total_count"]) == (20, 0, 20, 0)


def test_the_window_is_about_the_scan_time_and_thirty_days_by_default() -> None:
    sandbox = Sandbox()
    old = sandbox.world.add_message(scanned=START - 31 * 24 * HOUR)
    new = sandbox.world.add_message(scanned=START - HOUR)
    assert sandbox.ask("GET", "investigate").ids == [new.id]
    found = sandbox.ask("GET", "investigate", start="2026-08-01T00:00:00Z", end="2026-09-01T00:00:00+00:00")
    assert found.ids == [old.id]


@each(
    "query",
    [
        {"start": "2027-01-01T00:00:00Z"},
        {"start": "2026-09-21T00:00:00Z", "end": "2026-09-20T00:00:00Z"},
        {"start": "2024-01-01T00:00:00Z"},
        {"start": "2026-09-21T00:00:00"},
        {"start": "yesterday"},
        {"per_page": 0},
        {"per_page": 1001},
        {"per_page": "ten"},
        {"final_disposition": "MALICIOUS-BEC"},
        {"delivery_status": "gone"},
        {"message_action": "SUBMITTED"},
        {"detections_only": "no"},
        {"cursor": "garbage"},
        {"cursor": "é"},
    ],
)
def test_what_does_not_fit_is_refused(query: dict[str, object]) -> None:
    reply = Sandbox().ask("GET", "investigate", **query)
    assert reply.status == 400
    assert reply.result is None
    assert reply.body["success"] is False
    assert reply.body["errors"][0]["code"] >= 1000


def test_a_cursor_belongs_to_its_filters() -> None:
    sandbox = Sandbox(messages=50)
    query = {"per_page": 5, "sender": "partner.example", "detections_only": "false"}
    cursor = sandbox.ask("GET", "investigate", per_page=5).body["result_info"]["next"]
    assert sandbox.ask("GET", "investigate", per_page=9, cursor=cursor).status == 200
    assert sandbox.ask("GET", "investigate", **query, cursor=cursor).status == 400


def test_a_cursor_lives_an_hour() -> None:
    sandbox = Sandbox(messages=50)
    cursor = sandbox.ask("GET", "investigate", per_page=5).body["result_info"]["next"]
    sandbox.time += HOUR
    assert sandbox.ask("GET", "investigate", per_page=5, cursor=cursor).status == 200
    sandbox.time += 1
    assert sandbox.ask("GET", "investigate", per_page=5, cursor=cursor).status == 400


@each(
    ("query", "found"),
    [
        ({"sender": "ada@c0rp.example"}, True),
        ({"sender": "C0RP.example"}, True),
        ({"sender": "corp.example"}, False),
        ({"recipient": "ben@corp.example"}, True),
        ({"recipient": "corp.example"}, True),
        ({"recipient": "c0rp.example"}, False),
        ({"domain": "pay.c0rp.example"}, True),
        ({"domain": "corp.example"}, True),
        ({"domain": "elsewhere.example"}, False),
        ({"subject": "INVOICE"}, True),
        ({"subject": "refund"}, False),
        ({"message_id": "<1@c0rp.example>"}, True),
        ({"message_id": "<1@c0rp>"}, False),
        ({"smtp_helo_ip": "203.0.113.9"}, True),
        ({"smtp_helo_ip": "203.0.113.8"}, False),
        ({"query": "urgent Cole"}, True),
        ({"query": "urgent nobody"}, False),
        ({"query": "4Njp3P0STMz2c02Q"}, False),
        ({"query": "4Njp3P0STMz2c02Q-2026-09-21T14:13:20"}, True),
        ({"alert_id": "4Njp3P0STMz2c02Q-2026-09-21T14:13:20"}, True),
        ({"alert_id": "4Njp3P0STMz2c02Q"}, False),
        ({"final_disposition": "MALICIOUS"}, True),
        ({"final_disposition": "SPAM"}, False),
        ({"delivery_status": "delivered"}, True),
        ({"delivery_status": "moved"}, False),
        ({"message_action": "MOVED"}, False),
    ],
)
def test_a_filter_finds_what_it_names(query: dict[str, object], found: bool) -> None:  # noqa: FBT001 - a column
    sandbox = Sandbox()
    sandbox.world.add_message(
        id="4Njp3P0STMz2c02Q-2026-09-21T14:13:20-12345678",
        sender="ada@c0rp.example",
        from_name="Ada Cole",
        subject="Urgent invoice",
        client_recipients=["ben@corp.example"],
        message_id="<1@c0rp.example>",
        smtp_helo_server_ip="203.0.113.9",
        links=("https://pay.c0rp.example/now",),
    )
    assert bool(sandbox.ask("GET", "investigate", **query).ids) is found


def test_a_filter_for_moved_mail_finds_it_after_the_move() -> None:
    sandbox = Sandbox()
    mail = sandbox.world.add_message()
    sandbox.ask("POST", "investigate/move", {"ids": [mail.id], "destination": "JunkEmail"})
    found = sandbox.ask("GET", "investigate", message_action="MOVED", delivery_status="moved")
    assert found.result[0]["post_delivery_operations"] == ["MOVE"]


def test_page_is_ignored_unless_an_option_honours_or_refuses_it() -> None:
    assert len(walk(Sandbox(messages=40), page=2, detections_only="false")) == 40
    honoured = Sandbox(messages=40, options=SandboxOptions(page="honoured"))
    newest = [mail.id for mail in reversed(honoured.world.mails)]
    assert honoured.ask("GET", "investigate", page=2, per_page=5, detections_only="false").ids == newest[5:10]
    assert Sandbox(options=SandboxOptions(page="refused")).ask("GET", "investigate", page=2).status == 400


def test_bec_counts_as_malicious_only_by_an_option() -> None:
    for included in (False, True):
        sandbox = Sandbox(options=SandboxOptions(malicious_includes_bec=included))
        sandbox.world.add_message(disposition="MALICIOUS-BEC")
        assert len(sandbox.ask("GET", "investigate", final_disposition="MALICIOUS").ids) == included


def test_the_status_of_a_refusal_is_an_option() -> None:
    assert Sandbox(options=SandboxOptions(invalid=422)).ask("GET", "investigate", per_page=0).status == 422


def test_a_slow_search_answers_202_until_it_is_ready() -> None:
    sandbox = Sandbox(messages=10)
    sandbox.world.faults.script([Fault("accepted", seconds=3.0)])
    first = sandbox.ask("GET", "investigate", detections_only="false")
    assert (first.status, first.result) == (202, [])
    path = first.response.headers["location"]
    poll = IncomingRequest("GET", path, headers={"authorization": "Bearer a-token"})
    assert sandbox.send(poll).status == 202
    sandbox.time += 3
    assert (sandbox.send(poll).status, len(sandbox.send(poll).ids)) == (200, 10)


def test_the_address_of_a_slow_search_may_be_absolute() -> None:
    sandbox = Sandbox()
    sandbox.world.faults.script([Fault("accepted", count=2)])
    headers = {"authorization": "Bearer a-token", "host": "api.example"}
    places = [sandbox.ask_as(headers, "GET", "investigate").response.headers["location"] for _ in range(2)]
    assert places[0].startswith("/client/v4/")
    assert places[1].startswith("http://api.example/client/v4/")
    assert sandbox.ask("GET", "investigate/results/none").status == 400


def test_late_mail_appears_below_what_was_read_before() -> None:
    sandbox = Sandbox()
    on_time = sandbox.world.add_message(scanned=START - 30)
    late = sandbox.world.add_message(scanned=START - 60, indexed=START + 30)
    assert sandbox.ask("GET", "investigate").ids == [on_time.id]
    assert sandbox.ask("GET", f"investigate/{late.id}").status == 404
    sandbox.time += 30
    assert sandbox.ask("GET", "investigate").ids == [on_time.id, late.id]


def test_reads_lag_behind_what_happens() -> None:
    sandbox = Sandbox(options=SandboxOptions(lag=5.0))
    mail = sandbox.world.add_message()
    assert sandbox.ask("GET", "investigate").ids == []
    sandbox.time += 5
    sandbox.ask("POST", "investigate/move", {"ids": [mail.id], "destination": "JunkEmail"})
    assert sandbox.ask("GET", "investigate").result[0]["post_delivery_operations"] is None
    sandbox.time += 5
    assert sandbox.ask("GET", "investigate").result[0]["post_delivery_operations"] == ["MOVE"]


def test_with_jitter_each_thing_lags_by_its_own_share() -> None:
    sandbox = Sandbox(options=SandboxOptions(lag=10.0, lag_jitter=True))
    for _ in range(40):
        sandbox.world.add_message()
    sandbox.time += 5
    some = set(sandbox.ask("GET", "investigate", per_page=100).ids)
    assert 0 < len(some) < 40
    sandbox.time += 5
    assert len(sandbox.ask("GET", "investigate", per_page=100).ids) == 40


@pytest.mark.parametrize("deprecated", [True, False])
def test_old_fields_are_gone_unless_an_option_keeps_them(*, deprecated: bool) -> None:
    sandbox = Sandbox(options=SandboxOptions(deprecated=deprecated))
    mail, held = sandbox.world.add_message(), sandbox.world.add_message(quarantined=True)
    sandbox.world.add_report(mail)
    sandbox.world.submit_by_user(mail)
    replies = {
        "move": sandbox.ask("POST", f"investigate/{mail.id}/move", {"destination": "Inbox"}),
        "release": sandbox.ask("POST", "investigate/release", {"ids": [held.id]}),
        "log": sandbox.ask("GET", f"investigate/{mail.id}/action_log"),
        "report": sandbox.ask("GET", "phishguard/reports"),
        "submission": sandbox.ask("GET", "submissions"),
        "message": sandbox.ask("GET", "investigate"),
    }
    shown = {name: OLD[name] & reply.result[0].keys() for name, reply in replies.items()}
    assert shown == {name: fields if deprecated else set() for name, fields in OLD.items()}
