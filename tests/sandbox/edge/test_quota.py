"""The budget: what the headers say, what crossing it costs, and that others spend it too."""

from tests.sandbox.desk import Desk
from worker.sandbox import Fault


def left(desk: Desk) -> str:
    return desk.ask("GET", "investigate").answer.headers["ratelimit"]


def test_the_headers_tell_what_is_left_and_until_when() -> None:
    desk = Desk(quota=(10, 300.0))
    assert left(desk) == '"default";r=9;t=300'
    desk.time += 100
    reply = desk.ask("GET", "elsewhere")
    assert reply.answer.headers["ratelimit"] == '"default";r=8;t=200'
    assert reply.answer.headers["ratelimit-policy"] == '"burst";q=10;w=300'
    desk.time += 200
    assert left(desk) == '"default";r=9;t=300'


def test_crossing_the_budget_blocks_everything_for_a_window() -> None:
    desk = Desk(quota=(3, 300.0))
    mail = desk.world.add_message()
    statuses = [desk.ask("GET", "investigate").status for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    desk.time += 299.5
    refused = desk.ask("POST", "investigate/move", {"ids": [mail.id], "destination": "Inbox"})
    assert (refused.status, refused.answer.headers["retry-after"]) == (429, "1")
    assert refused.answer.headers["ratelimit"] == '"default";r=0;t=1'
    assert desk.world.effects == []
    desk.time += 0.5
    assert desk.ask("GET", "investigate").status == 200


def test_each_credential_has_its_own_budget() -> None:
    desk = Desk(quota=(1, 300.0))
    for token, status in (("a", 200), ("b", 200), ("a", 429)):
        assert desk.ask_as({"authorization": f"Bearer {token}"}, "GET", "investigate").status == status


def test_somebody_else_spends_the_same_budget() -> None:
    desk = Desk(quota=(100, 300.0))
    desk.ask("GET", "investigate")
    desk.world.spend_elsewhere(90)
    assert left(desk) == '"default";r=8;t=300'
    desk.world.spend_elsewhere(10)
    assert desk.ask("GET", "investigate").status == 429


def test_a_fault_may_block_everything_as_others_do() -> None:
    desk = Desk(quota=None)
    desk.world.faults.script([Fault("paced", seconds=5.0)])
    first = desk.ask("GET", "investigate")
    assert (first.status, first.answer.headers["retry-after"]) == (429, "5")
    desk.time += 4
    assert desk.ask("GET", "investigate").status == 429
    desk.time += 1
    assert desk.ask("GET", "investigate").status == 200


def test_without_a_quota_there_are_no_headers() -> None:
    desk = Desk(quota=None)
    assert "ratelimit" not in desk.ask("GET", "investigate").answer.headers


def test_a_request_without_a_credential_costs_nobody_anything() -> None:
    desk = Desk(quota=(1, 300.0))
    assert "ratelimit" not in desk.ask_as({}, "GET", "investigate").answer.headers
    assert desk.ask("GET", "investigate").status == 200
