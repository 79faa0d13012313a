"""What submissions say of requests for another verdict: each ends in exactly one way, whatever the API shows."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.cells import each
from tests.executor.test_postconditions import T, entry, submission
from worker.judging.reviews import LONGEST_ID, NEVER, find_request, follow, judge_review
from worker.language.actions import Escalate, Reclassify
from worker.language.models import DISPOSITIONS, AskedDisposition, Submission
from worker.ledger.entries import FINAL, Entry, Outcome, Review

SPAM, BAD = Reclassify("SPAM"), Reclassify("MALICIOUS")
OPEN = ("", "pending", "In review", "completed", "invalidated", "valid")
INVALID = ("invalid", "Invalid", "INVALID_SUBMISSION", " invalid  submission ")


def after(one: Entry, outcome: Outcome) -> Entry:
    """Return an entry as the ledger keeps it after an outcome."""
    return replace(one, state=outcome.state, review=outcome.review, remote=outcome.remote or one.remote)


def decided(status: str, disposition: str, wanted: str = "SPAM") -> Review:
    return judge_review(Submission(submission_id="1", status=status, outcome_disposition=disposition), wanted)


@each("status", [*OPEN, *INVALID])
def test_what_was_asked_for_is_granted_whatever_the_status_says(status: str) -> None:
    assert decided(status, "SPAM") == decided(status, "MALICIOUS-BEC", "MALICIOUS") == "granted"
    assert decided(status, "MALICIOUS", "MALICIOUS") == decided(status, "NONE", "NONE") == "granted"


@pytest.mark.parametrize("status", INVALID)
def test_a_status_that_says_so_is_invalid(status: str) -> None:
    assert decided(status, "") == decided(status, "NONE") == "invalid"


@each("status", OPEN)
def test_a_status_that_nobody_knows_is_open_until_a_verdict_comes(status: str) -> None:
    assert decided(status, "") == "accepted"
    assert decided(status, "NONE") == decided(status, "MALICIOUS-BEC") == decided(status, "NEW") == "rejected"


Row = tuple[str, str, str]
rows = st.tuples(
    st.sampled_from([*OPEN, *INVALID]) | st.text(max_size=9),
    st.sampled_from(["", "", "", *DISPOSITIONS]),
    st.sampled_from(["unreviewed", "reviewed", "escalated"]),
)


def first_decision(history: list[Row], wanted: str) -> Review:
    """Say how a request ends that is shown so, one row after the other, and then for ever as in the last one."""
    found = [decided(status, disposition, wanted) for status, disposition, _ in history]
    return next((review for review in found if review != "accepted"), "never_decided")


@pytest.mark.slow
@given(st.lists(rows, min_size=1, max_size=7), st.sampled_from(["MALICIOUS", "SPAM", "NONE"]), st.booleans())
def test_every_history_of_a_submission_ends_in_exactly_one_review(
    history: list[Row],
    wanted: AskedDisposition,
    answered: bool,  # noqa: FBT001
) -> None:
    one, ends = entry(Reclassify(wanted), "sent" if answered else "unsure"), list[Outcome]()
    times = [T + 600 + 3600 * hour for hour in range(len(history))]
    for (status, disposition, customer), at in zip([*history, history[-1]], [*times, T + NEVER], strict=True):
        shown = submission(1, requested_disposition=wanted, status=status, outcome_disposition=disposition)
        for outcome in follow([one] if one.state not in FINAL else [], [replace(shown, customer_status=customer)], at):
            one = after(one, outcome)
            ends += [outcome] if one.state in FINAL else []
    (end,) = ends
    assert end.review == first_decision(history, wanted)
    assert (end.state, end.fault) == ("done" if end.review == "granted" else "failed", "")


def test_the_end_is_told_in_the_words_of_the_api_made_harmless() -> None:
    shown = submission(1, status="completed", outcome="no \x1b[2J threat", outcome_disposition="NONE")
    (outcome,) = follow([entry(SPAM, "sent")], [shown], T + 5)
    assert outcome.said == "rejected: completed; no \\u001B[2J threat; NONE"


def test_what_is_accepted_is_said_once_and_looked_at_when_it_is_given_up() -> None:
    one = entry(SPAM, "sent")
    (outcome,) = follow([one], [submission(1)], T + 5)
    assert (outcome.review, outcome.remote, outcome.next_at) == ("accepted", "S1", T + NEVER)
    assert list(follow([after(one, outcome)], [submission(1)], T + 9)) == []


def test_thirty_days_go_by_the_time_that_is_handed_in() -> None:
    one = entry(SPAM, "sent", review="accepted", remote="S1")
    assert list(follow([one], [submission(1)], T + NEVER - 1)) == []
    (outcome,) = follow([one], [submission(1, status="pending")], T + NEVER)
    assert (outcome.review, outcome.said) == ("never_decided", "not decided within 30 days: pending")


def test_a_request_is_known_by_its_id_once_that_is_known() -> None:
    one = entry(SPAM, "sent", remote="S2")
    assert find_request(one, [submission(1), submission(9, submission_id="S2", type="User")]) is not None
    assert find_request(one, [submission(1)]) is None
    long = submission(1, submission_id="x" * 999)
    assert find_request(entry(SPAM, "sent", remote="x" * LONGEST_ID), [long]) is long


def test_one_submission_is_the_request_of_one_entry() -> None:
    first, second = submission(1), submission(2, submission_id="S2")
    both = [entry(SPAM, "sent"), entry(SPAM, "sent", id="E2")]
    assert [one.remote for one in follow(both, [second, first], T + 5)] == ["S1", "S2"]
    assert [one.remote for one in follow(both, [second, first], T + 5, taken=["S1"])] == ["S2"]


def test_a_request_that_tells_no_time_is_nobodys() -> None:
    assert list(follow([entry(SPAM, "sent")], [submission(1, requested_at=None)], T + 5)) == []
    early = datetime.fromtimestamp(T - 3, UTC)
    assert list(follow([entry(BAD, "sent")], [submission(1, requested_at=early)], T + 5)) == []


# -- what a user submitted --------------------------------------------------------------------------------------------

UP = Escalate("SPAM", submission_id="U1")
USERS = submission(-60, submission_id="U1", type="User", customer_status="unreviewed")


@pytest.mark.parametrize(
    ("users", "request_"),
    [
        (USERS, submission(5, submission_id="S2", escalated_submission_id="U1")),
        (replace(USERS, escalated_submission_id="S2"), submission(5, submission_id="S2")),
    ],
)
def test_the_request_that_escalates_is_known_by_the_one_that_names_the_other(
    users: Submission, request_: Submission
) -> None:
    found = find_request(entry(UP, "sent"), [submission(1), users, request_])
    assert found is request_
    assert find_request(entry(UP, "sent"), [submission(1), USERS]) == submission(1)


def test_an_escalation_is_accepted_when_the_users_submission_is_escalated() -> None:
    one, escalated = entry(UP, "unsure"), replace(USERS, customer_status="escalated")
    assert list(follow([one], [USERS], T + 5)) == []
    (outcome,) = follow([one], [escalated], T + 5)
    assert (outcome.state, outcome.review, outcome.remote) == ("sent", "accepted", "")
    one = after(one, outcome)
    assert list(follow([one], [escalated], T + 6)) == []
    (outcome,) = follow([one], [escalated, submission(1, outcome_disposition="SPAM")], T + 7)
    assert (outcome.review, outcome.remote) == ("granted", "S1")


def test_what_cloudflare_found_in_the_users_submission_decides_nothing() -> None:
    analysed = replace(USERS, customer_status="escalated", status="completed", outcome_disposition="NONE")
    (outcome,) = follow([entry(UP, "sent")], [analysed], T + 5)
    assert outcome.review == "accepted"
