"""The monthly report is counted from the account's own mail."""

from datetime import UTC, datetime

from tests.sandbox.sandbox import START, Sandbox

DAY = 86400.0


def name(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m}"


def test_there_are_twelve_months_of_which_this_is_the_last() -> None:
    months = [row["month"] for row in Sandbox().ask("GET", "analytics/monthly_report").result]
    assert (len(months), months[-1], months) == (12, name(START), sorted(set(months)))


def test_a_month_has_its_own_mail_by_its_verdict() -> None:
    sandbox = Sandbox()
    for disposition, age in (("SPAM", 0), ("SPAM", 60), ("NONE", 0), ("SPAM", 400), ("SPOOF", 0)):
        sandbox.world.add_message(disposition=disposition, scanned=START - age * DAY)
    rows = {row["month"]: row for row in sandbox.ask("GET", "analytics/monthly_report").result}
    now, before = rows[name(START)], rows[name(START - 60 * DAY)]
    assert (now["messages"], now["detections"], before["messages"]) == (3, 2, 1)
    assert {verdict: n for verdict, n in now["dispositions"].items() if n} == {"NONE": 1, "SPAM": 1, "SPOOF": 1}
    assert sum(row["messages"] for row in rows.values()) == 4


def test_a_month_has_what_the_lists_decided_and_what_was_done() -> None:
    sandbox = Sandbox()
    sandbox.world.add_entry("block_senders", pattern="a@evil.example", pattern_type="EMAIL")
    sandbox.world.add_entry("trusted_domains", pattern="good.example", is_recent=True, is_similarity=True)
    mail = sandbox.world.add_message(sender="a@evil.example")
    sandbox.world.add_message(
        sender="a@good.example",
        validation={"dmarc": "pass"},
        disposition="SUSPICIOUS",
        detection_reasons=["Young domain"],
    )
    sandbox.world.move_by_hand(mail.id, "JunkEmail")
    *_, now = sandbox.ask("GET", "analytics/monthly_report").result
    assert now["policies"] == {"blocked": 1, "allowed": 1}
    assert now["post_delivery_operations"] == {"MOVE": 1}
