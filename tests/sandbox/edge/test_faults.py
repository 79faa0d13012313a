"""Faults: what each does to an answer and to the effect behind it, scripts, and seeded tables."""

import pytest

from tests.cells import each
from tests.sandbox.sandbox import Sandbox
from worker.sandbox import Fault, Faults, IncomingRequest
from worker.sandbox.edge.faults import KINDS, FaultKind

SEARCH = IncomingRequest("GET", "/client/v4/accounts/a/email-security/investigate")


def struck(kind: FaultKind) -> tuple[Sandbox, tuple[int, str, float], bool]:
    """Move a message while something goes wrong; return also whether it was moved."""
    sandbox = Sandbox()
    mail = sandbox.world.add_message()
    sandbox.world.faults.script([Fault(kind, seconds=7.0)])
    reply = sandbox.ask("POST", "investigate/move", {"ids": [mail.id], "destination": "JunkEmail"})
    answer = reply.response
    return sandbox, (answer.status, answer.cut, answer.delay), mail.now.folder == "JunkEmail"


@each(
    ("kind", "seen", "moved"),
    [
        ("reset", (0, "before", 0.0), False),
        ("html", (502, "", 0.0), False),
        ("paced", (429, "", 0.0), False),
        ("lost", (200, "after", 0.0), True),
        ("html_after", (502, "", 0.0), True),
        ("cut", (200, "body", 0.0), True),
        ("garbled", (200, "", 0.0), True),
        ("slow", (200, "", 7.0), True),
        ("accepted", (200, "", 0.0), True),
    ],
)
def test_a_fault_strikes_before_or_after_the_effect(kind: FaultKind, seen: tuple[int, str, float], moved: bool) -> None:  # noqa: FBT001 - a column
    sandbox, wire, done = struck(kind)
    assert (wire, done) == (seen, moved)
    assert len(sandbox.world.effects) == moved


def test_an_outage_answers_with_a_page_that_is_not_json() -> None:
    sandbox = Sandbox()
    sandbox.world.faults.script([Fault("html")])
    answer = sandbox.ask("GET", "investigate").response
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.body.startswith(b"<!DOCTYPE html>")


def test_a_garbled_body_is_complete_and_not_json() -> None:
    sandbox = Sandbox(messages=5)
    sandbox.world.faults.script([Fault("garbled")])
    path = SEARCH.path.replace("/a/", f"/{sandbox.world.account}/")
    answer = sandbox.world.handle(IncomingRequest("GET", path, headers={"authorization": "Bearer x"}))
    assert answer.body.endswith(b"<!-- ")


def test_a_script_waits_for_the_requests_it_is_meant_for() -> None:
    sandbox = Sandbox()
    mail = sandbox.world.add_message()
    sandbox.world.faults.script([Fault("html", "POST", "investigate/move", count=2)])
    move = ("POST", "investigate/move", {"ids": [mail.id], "destination": "Inbox"})
    assert sandbox.ask("GET", "investigate").status == 200
    assert [sandbox.ask(*move).status for _ in range(3)] == [502, 502, 200]


def test_a_table_draws_every_kind_and_the_same_for_the_same_seed() -> None:
    def drawn(seed: int) -> list[Fault | None]:
        faults = Faults("hostile", seed=seed)
        return [faults.next(SEARCH) for _ in range(3000)]

    kinds = {fault.kind for fault in drawn(1) if fault}
    assert kinds == KINDS
    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert 500 < sum(fault is not None for fault in drawn(1)) < 1500


def test_only_a_search_is_told_to_wait_by_the_table() -> None:
    faults = Faults("hostile")
    other = IncomingRequest("POST", SEARCH.path)
    assert "accepted" not in {fault.kind for _ in range(2000) if (fault := faults.next(other))}


def test_shares_may_be_ones_own() -> None:
    faults = Faults({"accepted": 1.0})
    assert {fault.kind for _ in range(10) if (fault := faults.next(SEARCH))} == {"accepted"}


def test_no_table_no_fault() -> None:
    assert {Faults().next(SEARCH) for _ in range(100)} == {None}


def test_a_table_or_a_kind_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match="'gentle' is not one of none, rough, hostile"):
        Faults("gentle")
    with pytest.raises(ValueError, match="'fire' is not one of accepted"):
        Fault("fire")  # type: ignore[arg-type]
