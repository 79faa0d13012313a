"""What may be concluded from what the API shows."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.cells import each
from worker.executor.action_log import ActionLogReading, hand_key
from worker.executor.lists import ListReading
from worker.executor.postconditions import (
    TeamSubmissions,
    deadline,
    judge_adding,
    judge_missing,
    judge_move,
    judge_notice,
    judge_reclassify,
    judge_release,
    judge_request_log,
    next_look,
    steps,
    wants_log,
)
from worker.executor.preconditions import advise, base
from worker.language.actions import Adding, AllowSender, AnyAction, BlockSender, Move, Reclassify, Release, TrustDomain
from worker.language.models import LogEntry, Submission
from worker.language.rules import ENFORCE
from worker.ledger.entries import FOLLOWS, OPEN, Entry, Look, Outcome, State

T = 1_790_000_000.0
SETTLE = 120.0
ID = "4Njp3P0STMz2c02Q-2026-09-21T12:00:00-12345678"
JUNK = Move(destination="JunkEmail")
BLOCK = BlockSender(pattern="Ada@C0rp.example")
PLAIN = Look(T - 10, "MALICIOUS|delivered")


def entry(action: AnyAction = JUNK, state: State = "unsure", **fields: object) -> Entry:
    given_ = {
        "look": PLAIN, "verdict": "MALICIOUS|delivered", "recipients": ("a@corp.example",), "attempts": 1,
        "created_at": T - 60, "claimed_at": T, "reached_by": T + 20, "answered_at": T if state == "sent" else 0.0,
        "target": action.on or ID,
    } | fields  # fmt: skip
    plain = Entry(
        id="E1", account="a", lane=action.lane, target="", cause="c", action=action, state=state, mode=ENFORCE,
        rules=("lookalike",), fingerprints=("f",), because="", item="i",
    )  # fmt: skip
    return replace(plain, **given_)


TWO_COPIES = entry(recipients=("a@corp.example", "b@corp.example"))


def look(after: float, *operations: str, **fields: object) -> Look:
    return replace(PLAIN, at=T + after, operations=operations, **fields)


def line(
    after: float, operation: str = "MOVE", folder: str = "JunkEmail", status: str = "OK", by: str = "us"
) -> LogEntry:
    return LogEntry(
        operation=operation,
        completed_at=datetime.fromtimestamp(T + after, UTC),
        status=status,
        folder=folder,
        requested_by=by,
    )


def log(after: float, *lines: LogEntry) -> ActionLogReading:
    return ActionLogReading(T + after, lines)


def state_of(outcome: Outcome | None) -> State | None:
    return outcome.state if outcome else None


# -- before acting ----------------------------------------------------------------------------------------------------


@each(
    ("action", "seen", "does"),
    [
        (JUNK, PLAIN, "go"),
        (JUNK, replace(PLAIN, quarantined=True), "moot"),
        (JUNK, replace(PLAIN, verdict="SPAM|delivered"), "moot"),
        (JUNK, replace(PLAIN, operations=("MOVE",)), "moot"),
        (JUNK, replace(PLAIN, operations=("PREVIEW", "SUBMISSION")), "go"),
        (Release(), PLAIN, "moot"),
        (Release(), replace(PLAIN, quarantined=True), "go"),
        (Reclassify(expected_disposition="SPAM"), replace(PLAIN, operations=("MOVE",)), "go"),
    ],
)
def test_a_look_decides_before_any_call(action: AnyAction, seen: Look, does: str) -> None:
    advice = advise(entry(action, "ready", attempts=0, look=None), seen, (), None)
    assert advice is not None
    assert advice.do == does


@pytest.mark.parametrize(
    ("operation", "status", "does"),
    [
        ("QUARANTINE_RELEASE", "failed: mailbox full", "go"),
        ("QUARANTINE_RELEASE", "done by hand", "wait"),
        ("MOVE", "move_failed", "go"),
        ("MOVE", "whatever this means", "moot"),
    ],
)
def test_what_others_failed_to_do_touched_nothing(operation: str, status: str, does: str) -> None:
    others = log(5, line(-300, operation, folder="", status=status, by="an analyst"))
    advice = advise(entry(JUNK, "ready", attempts=0), look(5, "QUARANTINE_RELEASE"), (), others)
    assert advice is not None
    assert advice.do == does


@pytest.mark.parametrize(("status", "success", "does"), [("done", False, "go"), ("it failed over", True, "moot")])
def test_where_the_log_tells_of_success_its_words_do_not_count(status: str, does: str, *, success: bool) -> None:
    others = log(5, replace(line(-300, status=status, by="auto"), success=success))
    advice = advise(entry(JUNK, "ready", attempts=1, look=look(-10, "MOVE")), look(5, "MOVE"), (), others)
    assert advice is not None
    assert advice.do == does


def test_a_report_has_no_verdict_to_compare() -> None:
    advice = advise(entry(JUNK, "ready", verdict="2026-09-21T12:00:00Z"), PLAIN, (), None)
    assert advice is not None
    assert advice.do == "go"


def test_a_release_by_a_person_makes_a_move_wait_with_the_log() -> None:
    mine = entry(JUNK, "ready", attempts=0)
    seen = look(5, "QUARANTINE_RELEASE")
    assert advise(mine, seen, (), None) is None
    advice = advise(mine, seen, (), log(5, line(-300, "QUARANTINE_RELEASE", folder="", by="an analyst")))
    assert advice is not None
    assert advice.do == "wait"
    assert "an analyst" in advice.said


def test_our_own_release_is_nobody_else() -> None:
    released = entry(Release(), "done", claimed_at=T - 301, answered_at=T - 300, reached_by=T - 281, id="E0")
    advice = advise(entry(JUNK, "ready", attempts=0), look(5, "QUARANTINE_RELEASE"), (released,), None)
    assert advice is not None
    assert advice.do == "go"


def test_our_own_release_before_an_approved_move_is_nobody_else() -> None:
    released = entry(Release(), "done", claimed_at=T - 31, answered_at=T - 30, reached_by=T - 11, id="E0")
    approved = entry(JUNK, "ready", attempts=0, approved_by="ada")
    advice = advise(
        approved, look(5, "QUARANTINE_RELEASE"), (released,), log(5, line(-30, "QUARANTINE_RELEASE", folder=""))
    )
    assert advice is not None
    assert advice.do == "go"


def test_our_own_earlier_move_is_told_from_others_by_the_log() -> None:
    before = entry(
        Move(destination="DeletedItems"), "done", claimed_at=T - 301, answered_at=T - 300, reached_by=T - 281, id="E0"
    )
    mine, seen = entry(JUNK, "ready", attempts=0), look(5, "MOVE")
    ours = line(-300, folder="DeletedItems")
    assert advise(mine, seen, (before,), None) is None
    alone = advise(mine, seen, (before,), log(5, ours))
    meddled = advise(mine, seen, (before,), log(5, ours, line(-100, folder="Inbox", by="an analyst")))
    elsewhere = advise(mine, seen, (before,), log(5, line(-300, folder="Inbox", by="an analyst")))
    assert [one.do for one in (alone, meddled, elsewhere) if one] == ["go", "moot", "moot"]


def test_a_message_that_had_moved_at_the_first_claim_is_judged_by_its_log_at_the_second() -> None:
    second = entry(JUNK, "ready", attempts=1, look=look(-10, "MOVE"))
    assert advise(second, look(200, "MOVE"), (), None) is None


def test_a_move_since_the_first_attempt_is_not_repeated() -> None:
    advice = advise(entry(JUNK, "ready", attempts=1), look(200, "MOVE"), (), None)
    assert advice is not None
    assert advice.do == "moot"
    assert "first attempt" in advice.said


@pytest.mark.parametrize(("after", "shown", "does"), [(-90, False, "go"), (-30, False, "moot"), (-30, True, "go")])
def test_an_approved_entry_is_moot_when_touched_since_and_not_shown(after: float, does: str, *, shown: bool) -> None:
    touched = line(after, "QUARANTINE_RELEASE", folder="", by="an analyst")
    approved = entry(JUNK, "ready", attempts=0, approved_by="ada", shown=(hand_key(touched),) if shown else ())
    advice = advise(approved, look(5, "QUARANTINE_RELEASE"), (), log(5, touched))
    assert advice is not None
    assert advice.do == does


def test_a_read_that_lags_behind_our_own_move_does_not_make_the_next_one_look_done() -> None:
    before = entry(Move(destination="DeletedItems"), "done", id="E0")
    assert "MOVE" in base(PLAIN, (before,)).operations
    assert base(PLAIN, (entry(Release(), "done"),)) == PLAIN


# -- moves ------------------------------------------------------------------------------------------------------------


def test_a_move_shown_since_the_claim_is_done() -> None:
    outcome = judge_move(entry(), look(3, "MOVE"), None, SETTLE)
    assert outcome is not None
    assert (outcome.state, outcome.proof) == ("done", "seen")


def test_no_is_said_only_by_a_late_look_and_a_late_log() -> None:
    late = 22 + SETTLE
    assert judge_move(entry(), look(late - 1), log(late + 1), SETTLE) is None
    assert judge_move(entry(), look(late), None, SETTLE) is None
    assert judge_move(entry(), look(late), log(late - 1), SETTLE) is None
    assert state_of(judge_move(entry(), look(late), log(late), SETTLE)) == "ready"


@each(
    ("lines", "recipients", "state"),
    [
        ((line(1),), 1, "done"),
        ((line(-1.9),), 1, "done"),
        ((line(-30),), 1, "ready"),
        ((line(1, folder="Inbox"),), 1, "moot"),
        ((line(1, status="ErrorItemNotFound"),), 1, "failed"),
        ((line(1), line(1, status="ErrorServerBusy"), line(1)), 3, "failed"),
        ((line(1, status="ErrorServerBusy"), line(60)), 1, "done"),
        ((line(1, "PREVIEW"),), 1, "ready"),
    ],
)
def test_the_action_log_since_the_claim_decides(lines: tuple[LogEntry, ...], recipients: int, state: State) -> None:
    moved = entry(look=look(-10, "MOVE"), recipients=("a@corp.example",) * recipients)
    assert state_of(judge_move(moved, None, log(200, *lines), SETTLE)) == state


def test_what_an_earlier_entry_of_ours_did_a_moment_before_is_not_this_ones() -> None:
    before = entry(Move(destination="DeletedItems"), "done", claimed_at=T - 1, answered_at=T - 0.9, id="E0")
    mine, both = entry(look=look(-0.5, "MOVE")), (line(-1, folder="DeletedItems"), line(0.1))
    assert judge_move(mine, None, log(1, both[0]), SETTLE, (before,)) is None
    assert state_of(judge_move(mine, None, log(1, *both), SETTLE, (before,))) == "done"
    assert state_of(judge_move(mine, None, log(1, both[0]), SETTLE)) == "moot"


def test_without_a_delivery_status_a_move_that_is_shown_proves_several_copies_only_once_the_log_had_its_time() -> None:
    shown = look(150, "MOVE")
    assert judge_move(TWO_COPIES, shown, None, SETTLE) is None
    assert judge_move(TWO_COPIES, shown, log(3), SETTLE) is None
    assert state_of(judge_move(TWO_COPIES, shown, log(150), SETTLE)) == "done"
    assert state_of(judge_move(TWO_COPIES, shown, log(3, line(1), line(1, status="busy")), SETTLE)) == "failed"
    assert state_of(judge_move(TWO_COPIES, look(3, "MOVE", status=("moved",)), None, SETTLE)) == "done"


def test_a_partial_move_tells_how_many_and_why() -> None:
    three = entry(recipients=("a", "b", "c"))
    outcome = judge_move(three, None, log(3, line(1), line(1, status="busy\x1b[2J"), line(1)), SETTLE)
    assert outcome is not None
    assert outcome.said == "2 of 3 moved; busy\\u001B[2J"


def test_the_log_is_asked_for_only_where_a_search_cannot_tell() -> None:
    sent = entry(state="sent", why="answer_unclear")
    assert wants_log(entry(look=look(-10, "MOVE")), None, T, SETTLE)
    assert wants_log(entry(), look(3, "MOVE", status=("move_failed",)), T + 3, SETTLE)
    assert wants_log(entry(), look(150), T + 150, SETTLE)
    assert not wants_log(entry(), look(150, "MOVE"), T + 150, SETTLE)
    assert not wants_log(TWO_COPIES, look(150, "MOVE", status=("moved",)), T + 150, SETTLE)
    assert wants_log(TWO_COPIES, look(3, "MOVE"), T + 3, SETTLE)
    assert not wants_log(entry(), look(3), T + 3, SETTLE)
    assert not wants_log(entry(), None, T + 3, SETTLE)
    assert wants_log(sent, look(10), T + 10, SETTLE)
    assert not wants_log(sent, look(3), T + 3, SETTLE)


# -- the other kinds --------------------------------------------------------------------------------------------------


def test_a_release_is_done_when_nothing_is_quarantined_and_never_repeated_in_part() -> None:
    held, late = look(3, quarantined=True), look(142, quarantined=True)
    sent = entry(Release())
    assert state_of(judge_release(sent, look(3), SETTLE)) == "done"
    assert judge_release(sent, held, SETTLE) is None
    assert state_of(judge_release(sent, late, SETTLE)) == "ready"
    assert state_of(judge_release(sent, replace(late, status=("delivered", "quarantined")), SETTLE)) == "waiting"


def submission(after: float, **fields: object) -> Submission:
    plain = Submission(
        submission_id="S1", requested_at=datetime.fromtimestamp(T + after, UTC), type="Team",
        requested_disposition="SPAM", original_postfix_id="4Njp3P0STMz2c02Q",
    )  # fmt: skip
    return replace(plain, **fields)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fields", "proves"),
    [
        ({}, True),
        ({"type": "User"}, False),
        ({"requested_disposition": "NONE"}, False),
        ({"original_postfix_id": "x"}, False),
        ({"requested_at": None}, False),
    ],
)
def test_only_the_teams_request_for_this_mail_and_verdict_proves(fields: dict[str, object], *, proves: bool) -> None:
    asking = entry(Reclassify(expected_disposition="SPAM"))
    found = judge_reclassify(asking, TeamSubmissions(T + 1, (submission(-0.9, **fields),)), SETTLE)
    assert (found is not None and (found.state, found.review) == ("sent", "accepted")) is proves
    assert judge_reclassify(asking, TeamSubmissions(T + 1, (submission(-30),)), SETTLE) is None


def test_an_unanswered_request_is_repeated_late_and_an_accepted_one_never() -> None:
    asking, none = entry(Reclassify(expected_disposition="SPAM")), 22 + 5 * SETTLE
    sent = entry(Reclassify(expected_disposition="SPAM"), "sent")
    assert judge_reclassify(asking, TeamSubmissions(T + none - 1, ()), SETTLE) is None
    assert state_of(judge_reclassify(asking, TeamSubmissions(T + none, ()), SETTLE)) == "ready"
    assert judge_reclassify(sent, TeamSubmissions(T + 86_399, ()), SETTLE) is None
    assert state_of(judge_reclassify(sent, TeamSubmissions(T + 86_400, ()), SETTLE)) == "failed"


@each(
    ("change", "proves"),
    [
        ({}, True),
        ({"success": False}, True),
        ({"submission_id": ""}, False),
        ({"submission_id": "S9"}, False),
        ({"requested_disposition": "NONE"}, False),
        ({"operation": "MOVE"}, False),
    ],
)
def test_a_line_of_the_log_that_names_a_submission_proves_the_request(
    change: dict[str, object], *, proves: bool
) -> None:
    asking = entry(Reclassify(expected_disposition="SPAM"))
    named = replace(line(1, "RECLASSIFY", folder=""), requested_disposition="SPAM", submission_id="S1")
    found = judge_request_log(asking, log(9, replace(named, **change)), taken={"S9"})
    assert (found is not None and (found.review, found.remote, found.proof) == ("accepted", "S1", "log")) is proves
    assert judge_request_log(asking, log(9, replace(named, completed_at=line(-60).completed_at))) is None


def test_a_notice_without_an_answer_goes_out_again() -> None:
    assert judge_notice(entry(state="sent")).state == "done"
    assert judge_notice(entry(state="unsure")).state == "ready"


def test_a_message_that_is_gone_fails_its_entry_late() -> None:
    assert judge_missing(entry(), T + 141, SETTLE) is None
    assert state_of(judge_missing(entry(), T + 142, SETTLE)) == "failed"


# -- always -----------------------------------------------------------------------------------------------------------

ACTIONS: list[AnyAction] = [
    JUNK,
    Release(),
    Reclassify(expected_disposition="SPAM"),
    BLOCK,
    AllowSender("ada@c0rp.example"),
    TrustDomain("c0rp.example"),
]


@given(st.sampled_from(ACTIONS), st.sampled_from(["sent", "unsure"]), st.floats(0, 200_000), st.floats(0.05, 120))
def test_the_next_look_is_always_later_and_never_skips_the_moment_that_may_say_no(
    action: AnyAction, state: State, after: float, delay: float
) -> None:
    one, now = entry(action, state), T + after
    at = next_look(one, now, SETTLE, delay)
    assert at > now
    assert at <= deadline(one, SETTLE) or now >= deadline(one, SETTLE)


@given(
    st.sampled_from(["sent", "unsure"]),
    st.sampled_from(["done", "failed", "moot", "ready", "waiting", "unsure", "sent"]),
)
def test_every_finding_is_reached_by_steps_of_the_table(state: State, found: State) -> None:
    path = steps(state, Outcome(id="E1", state=found))
    for step in path:
        assert step.state == state or step.state in FOLLOWS[state] or (state, found) == ("unsure", "sent")
        state = step.state
    assert state == found


@given(
    st.sampled_from(ACTIONS), st.floats(0, 1000), st.lists(st.sampled_from(["MOVE", "QUARANTINE_RELEASE"]), max_size=2),
    st.floats(0, 1000),
    st.lists(st.builds(line, st.floats(-100, 1000), status=st.sampled_from(["OK", "busy"])), max_size=2),
)  # fmt: skip
def test_nothing_is_ever_tried_again_before_it_may_be(
    action: AnyAction, looked: float, operations: list[str], logged: float, lines: list[LogEntry]
) -> None:
    one = entry(action)
    seen, record = look(looked, *operations, quarantined=isinstance(action, Release)), log(logged, *lines)
    found = (
        judge_release(one, seen, SETTLE) if isinstance(action, Release)
        else judge_adding(one, ListReading(T + looked, ()), SETTLE) if isinstance(action, Adding)
        else judge_reclassify(one, TeamSubmissions(T + looked, ()), SETTLE) if isinstance(action, Reclassify)
        else judge_move(one, seen, record, SETTLE)
    )  # fmt: skip
    if found and found.state in OPEN:
        assert T + looked >= deadline(one, SETTLE)
        assert not any(at.completed_at and at.completed_at.timestamp() >= T for at in lines) or action != JUNK
