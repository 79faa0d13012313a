"""The edge of the API: who is let in, what routes where, the clock, and that one seed gives one history."""

import pytest

from tests.cells import each
from tests.sandbox.sandbox import START, Sandbox
from worker.sandbox import ACCOUNT, IncomingRequest, SandboxOptions, label

MOVE = {"ids": ["x"], "destination": "Inbox"}


def test_a_request_without_a_credential_is_refused() -> None:
    for headers in ({}, {"authorization": "Bearer "}, {"authorization": "Basic x"}, {"x-auth-email": "a@b.example"}):
        reply = Sandbox().ask_as(headers, "GET", "investigate")
        assert (reply.status, reply.body["errors"][0]["code"]) == (401, 9106)


def test_email_and_key_are_as_good_as_a_token() -> None:
    headers = {"x-auth-email": "a@b.example", "x-auth-key": "key"}
    assert Sandbox().ask_as(headers, "POST", "investigate/move", MOVE).status == 200


def test_a_wrong_token_is_refused() -> None:
    assert Sandbox().ask_as({"authorization": "Bearer wrong-one"}, "GET", "investigate").status == 401


def test_a_token_that_may_only_read_may_not_write() -> None:
    sandbox, headers = Sandbox(), {"authorization": "Bearer read-only"}
    assert sandbox.ask_as(headers, "GET", "investigate").status == 200
    refused = sandbox.ask_as(headers, "POST", "investigate/move", MOVE)
    assert (refused.status, refused.body["errors"][0]["code"]) == (403, 10000)
    assert sandbox.world.effects == []


def test_another_account_is_refused() -> None:
    path = f"/client/v4/accounts/{'f' * 32}/email-security/investigate"
    reply = Sandbox().send(IncomingRequest("GET", path, headers={"authorization": "Bearer x"}))
    assert (reply.status, reply.body["errors"][0]["code"]) == (403, 10000)


def test_an_account_without_the_product_is_told_so() -> None:
    reply = Sandbox(options=SandboxOptions(entitled=False)).ask("GET", "investigate")
    assert reply.status == 403
    assert "subscription" in reply.body["errors"][0]["message"]


@each(
    ("method", "path"),
    [
        ("GET", "/client/v4/user"),
        ("GET", f"/client/v4/accounts/{ACCOUNT}/email-security"),
        ("GET", f"/client/v4/accounts/{ACCOUNT}/email-security/"),
        ("GET", f"/client/v4/accounts/{ACCOUNT}/email-security/elsewhere"),
        ("GET", f"/client/v4/accounts/{ACCOUNT}/email-security/investigate/x/y/z"),
        ("DELETE", f"/client/v4/accounts/{ACCOUNT}/email-security/investigate"),
        ("GET", f"/client/v4/accounts/{ACCOUNT}/firewall/investigate"),
    ],
)
def test_what_routes_nowhere_is_not_found(method: str, path: str) -> None:
    sandbox = Sandbox()
    reply = sandbox.send(IncomingRequest(method, path, headers={"authorization": "Bearer x"}))
    assert (reply.status, [error["code"] for error in reply.body["errors"]]) == (404, [7003, 7000])
    assert sandbox.world.requests == {f"{method} ?": {"404": 1}}


def test_every_answer_is_dated_by_the_clock() -> None:
    sandbox = Sandbox()
    assert sandbox.ask("GET", "investigate").response.headers["date"] == "Mon, 21 Sep 2026 14:13:20 GMT"
    sandbox.time += 59.9
    assert sandbox.ask("GET", "elsewhere").response.headers["date"] == "Mon, 21 Sep 2026 14:14:19 GMT"


def test_requests_are_counted_by_operation_and_status() -> None:
    sandbox = Sandbox()
    mail = sandbox.world.add_message()
    sandbox.ask("GET", "investigate")
    sandbox.ask("GET", "investigate", per_page=0)
    sandbox.ask("GET", f"investigate/{mail.id}/detections")
    assert sandbox.world.requests == {
        "GET investigate": {"200": 1, "400": 1},
        "GET investigate/{id}/detections": {"200": 1},
    }


def test_the_label_of_a_token_does_not_give_it_away() -> None:
    assert "secret" not in label("secret-token")
    assert label("secret-token") != label("secret-tokem")


@pytest.mark.slow
def test_one_seed_gives_one_history() -> None:
    def history(seed: int) -> tuple[list[str], list[object]]:
        options = SandboxOptions(late=0.3, verdicts=0.3, analysts=0.3, move_failed=0.3, moved_back=0.5, reports=0.5)
        sandbox = Sandbox(seed=seed, messages=50, arrivals=1.0, faults="rough", options=options)
        answers = []
        for _ in range(40):
            sandbox.time += 30
            answers.append(sandbox.ask("GET", "investigate", per_page=3).response.body.decode())
            newest = [mail.id for mail in sandbox.world.mails[-3:]]
            sandbox.ask("POST", "investigate/move", {"ids": newest, "destination": "JunkEmail"})
        return answers, list(sandbox.world.effects)

    assert history(1) == history(1)
    assert history(1)[0] != history(2)[0]


def test_time_begins_where_the_clock_stands() -> None:
    sandbox = Sandbox(messages=100)
    times = [mail.scanned for mail in sandbox.world.mails]
    assert START - 3600 <= min(times) <= max(times) <= START
