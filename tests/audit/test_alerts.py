"""What a person has to know is told once, from the audit records."""

from io import StringIO
from typing import Any

import msgspec

from worker.audit.alerts import Alerts
from worker.telemetry import Metrics, open_log


class Office:
    """Where alerts arrive: a log, metrics, and one channel that takes every notice unless it is broken."""

    def __init__(self, broken: Exception | None = None) -> None:
        self.stream, self.metrics, self.broken = StringIO(), Metrics(), broken
        self.notices: list[str] = []
        self.names = frozenset({"soc"})
        self.alerts = Alerts(open_log(self.stream), self.metrics, self)

    async def notify(self, _: str, text: str) -> None:
        """Take a notice, or fail."""
        self.notices.append(text)
        if self.broken:
            raise self.broken

    async def take(self, verb: str, **fields: Any) -> None:  # noqa: ANN401 (JSON)
        """Take one record, and send what it has to tell."""
        self.alerts.take(msgspec.json.encode({"account": "acme", "number": 1, "verb": verb, **fields}))
        await self.alerts.send_all()

    def logged(self) -> list[dict[str, str]]:
        """Return the log's lines."""
        return [msgspec.json.decode(line) for line in self.stream.getvalue().splitlines()]


async def test_mailboxes_that_all_refuse_are_told_and_a_brake_of_a_person_is_not() -> None:
    office = Office()
    await office.take("braked", who="ada", in_lane="placement", because="enough")
    assert (office.logged(), office.notices) == ([], [])
    await office.take("circuit opened", in_lane="placement", because="20 mailboxes in a row refused")
    assert [line["event"] for line in office.logged()] == ["mail is not moved"]
    assert "20 mailboxes in a row refused" in office.notices[0]


async def test_drift_is_told_each_time_and_counted() -> None:
    office = Office()
    for entry in ("one", "other"):
        await office.take("drift", entry=entry, target="m", why="the API shows a failed move")
    assert [line["entry"] for line in office.logged()] == ["one", "other"]
    assert len(office.notices) == 2
    assert b"worker_drift_total 2.0" in office.metrics.render()


async def test_a_rule_that_goes_on_failing_is_told_once() -> None:
    office = Office()
    for rule, fingerprint in (("a", "1"), ("a", "1"), ("b", "1"), ("a", "2")):
        await office.take("rule failed", rules=[[rule, fingerprint]], cause="c", why="ValueError: no")
    assert [line["rule"] for line in office.logged()] == ["a", "b", "a"]


async def test_a_spent_limit_is_logged_once_and_what_waits_for_other_reasons_is_not() -> None:
    office = Office()
    for item in ("limit/moves/17", "limit/moves/17", "2026-09-21T14:13:20Z/Message/m/1#moves"):
        await office.take("postponed", item=item, said="the limit of moves is spent: 2 per 1 hour")
    assert [(line["event"], line["rule"]) for line in office.logged()] == [("a limit is spent", "moves")]
    assert office.notices == []  # that something waits is announced, like everything that does


async def test_a_channel_that_fails_is_logged_by_the_kind_of_its_error_only() -> None:
    office = Office(broken=OSError("json://user:s3cret@host"))
    await office.take("drift", entry="one", target="m", why="the API shows a failed move")
    assert [line.get("problem") for line in office.logged()] == [
        None,
        "channel 'soc' did not take the notice, because its service failed (OSError)",
    ]
    assert "s3cret" not in office.stream.getvalue()


async def test_records_that_cannot_be_read_are_told_once_an_hour() -> None:
    office = Office()
    for at, gap in (("10:01", "a1"), ("10:59", "b2"), ("11:00", "c3")):
        await office.take("broken record", at=f"2026-11-20T{at}:00.000Z", source="messages", gap=gap, why="cut")
    assert [line["source"] for line in office.logged()] == ["messages", "messages"]
    assert all("worker gaps lists it" in notice for notice in office.notices)


async def test_verdicts_that_rules_cannot_name_are_told_once_an_hour_beside_them() -> None:
    office = Office()
    for at, gap in (("10:01", "a1"), ("10:02", ""), ("10:59", ""), ("11:00", "")):
        await office.take("broken record", at=f"2026-11-20T{at}:00.000Z", source="messages", gap=gap, why="unknown {0}")
    told = "acme: a record of messages has an unknown {0}; look at such mail, and update the worker"
    assert office.notices[1:] == [told, told]
    assert [line["event"] for line in office.logged()][1:] == ["a record has an unknown verdict"] * 2
