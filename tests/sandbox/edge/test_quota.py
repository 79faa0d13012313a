"""The budget: what the headers say, what crossing it costs, and that others spend it too."""

from tests.sandbox.sandbox import Sandbox
from worker.sandbox import Fault


def left(sandbox: Sandbox) -> str:
    return sandbox.ask("GET", "investigate").response.headers["ratelimit"]


def test_the_headers_tell_what_is_left_and_until_when() -> None:
    sandbox = Sandbox(quota=(10, 300.0))
    assert left(sandbox) == '"default";r=9;t=300'
    sandbox.time += 100
    reply = sandbox.ask("GET", "elsewhere")
    assert reply.response.headers["ratelimit"] == '"default";r=8;t=200'
    assert reply.response.headers["ratelimit-policy"] == '"burst";q=10;w=300'
    sandbox.time += 200
    assert left(sandbox) == '"default";r=9;t=300'


def test_crossing_the_budget_blocks_everything_for_a_window() -> None:
    sandbox = Sandbox(quota=(3, 300.0))
    mail = sandbox.world.add_message()
    statuses = [sandbox.ask("GET", "investigate").status for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    sandbox.time += 299.5
    refused = sandbox.ask("POST", "investigate/move", {"ids": [mail.id], "destination": "Inbox"})
    assert (refused.status, refused.response.headers["retry-after"]) == (429, "1")
    assert refused.response.headers["ratelimit"] == '"default";r=0;t=1'
    assert sandbox.world.effects == []
    sandbox.time += 0.5
    assert sandbox.ask("GET", "investigate").status == 200


def test_each_credential_has_its_own_budget() -> None:
    sandbox = Sandbox(quota=(1, 300.0))
    for token, status in (("a", 200), ("b", 200), ("a", 429)):
        assert sandbox.ask_as({"authorization": f"Bearer {token}"}, "GET", "investigate").status == status


def test_somebody_else_spends_the_same_budget() -> None:
    sandbox = Sandbox(quota=(100, 300.0))
    sandbox.ask("GET", "investigate")
    sandbox.world.spend_elsewhere(90)
    assert left(sandbox) == '"default";r=8;t=300'
    sandbox.world.spend_elsewhere(10)
    assert sandbox.ask("GET", "investigate").status == 429


def test_a_fault_may_block_everything_as_others_do() -> None:
    sandbox = Sandbox(quota=None)
    sandbox.world.faults.script([Fault("paced", seconds=5.0)])
    first = sandbox.ask("GET", "investigate")
    assert (first.status, first.response.headers["retry-after"]) == (429, "5")
    sandbox.time += 4
    assert sandbox.ask("GET", "investigate").status == 429
    sandbox.time += 1
    assert sandbox.ask("GET", "investigate").status == 200


def test_without_a_quota_there_are_no_headers() -> None:
    sandbox = Sandbox(quota=None)
    assert "ratelimit" not in sandbox.ask("GET", "investigate").response.headers


def test_a_request_without_a_credential_costs_nobody_anything() -> None:
    sandbox = Sandbox(quota=(1, 300.0))
    assert "ratelimit" not in sandbox.ask_as({}, "GET", "investigate").response.headers
    assert sandbox.ask("GET", "investigate").status == 200
