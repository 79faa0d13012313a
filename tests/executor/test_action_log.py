"""Lines of an action log: equal ones have one key, and failures of one kind one fault."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.executor.test_postconditions import entry, line
from worker.executor.action_log import describe_lines, hand_key, kind_of_failure, was_shown


@pytest.mark.slow
@given(st.lists(st.text()))
def test_every_failure_has_a_kind(statuses: list[str]) -> None:
    assert kind_of_failure(statuses)


@pytest.mark.parametrize("other", ["mailbox ada@corp.example is full", "mailbox b@corp.example is full 17"])
def test_the_same_failure_of_another_message_is_of_one_kind(other: str) -> None:
    assert kind_of_failure([other]) == kind_of_failure(["mailbox x@y.example is full"])
    assert kind_of_failure([other]) != kind_of_failure(["no integration"])


def test_a_line_has_the_same_key_each_time_it_is_read_and_no_other_has_it() -> None:
    one = line(1, folder="Inbox", by="ann@corp.example")
    others = [
        line(2, folder="Inbox", by="ann@corp.example"),
        replace(one, folder="JunkEmail"),
        replace(one, status="x"),
    ]
    assert hand_key(one) == hand_key(replace(one, status="OK"))
    assert hand_key(one) not in map(hand_key, others)


def test_what_a_service_did_is_told_and_does_not_change_the_key_of_a_line() -> None:
    one = line(1, by="auto")
    auto = replace(one, service="auto-move", success=True)
    assert "by auto through auto-move at" in describe_lines([auto])
    assert hand_key(auto) == hand_key(one)


@given(st.text(), st.booleans() | st.none())
def test_a_key_does_not_depend_on_what_only_newer_apis_tell(status: str, success: bool | None) -> None:  # noqa: FBT001
    one = line(1, status=status)
    assert hand_key(replace(one, success=success)) == hand_key(one)


def test_a_person_knows_the_lines_that_were_shown_and_all_before_a_time() -> None:
    early, late = line(-100), line(100)
    assert was_shown(late, entry(shown=(hand_key(late),)))
    assert not was_shown(late, entry(shown=(hand_key(early),)))
    assert was_shown(early, entry(shown_before=entry().claimed_at))
    assert not was_shown(late, entry(shown_before=entry().claimed_at))
