"""What may not be concluded from readings of which a part is missing."""

from msgspec.structs import replace

from tests.executor.test_postconditions import SETTLE, T, entry, line, log, look, state_of, submission
from worker.executor.postconditions import TeamSubmissions, judge_move, judge_reclassify
from worker.language.actions import Reclassify
from worker.language.models import LogEntry

DAY = 86_400.0


def timeless(status: str) -> LogEntry:
    return replace(line(0, status=status), completed_at=None)


def test_a_logged_move_that_tells_no_time_may_be_since_the_request_so_it_is_not_repeated() -> None:
    late = look(500)
    assert state_of(judge_move(entry(), late, log(500), SETTLE)) == "ready"
    assert state_of(judge_move(entry(), late, log(500, timeless("OK")), SETTLE)) == "done"
    assert state_of(judge_move(entry(), late, log(500, timeless("busy")), SETTLE)) == "failed"


def test_a_submission_that_cannot_be_read_for_a_day_leaves_an_unanswered_request_to_a_person() -> None:
    asking = entry(Reclassify(expected_disposition="SPAM"))
    assert judge_reclassify(asking, TeamSubmissions(T + DAY, (), whole=False), SETTLE) is None
    found = judge_reclassify(asking, TeamSubmissions(T + 21 + DAY, (), whole=False), SETTLE)
    assert found is not None
    assert (found.state, "cannot be read" in found.said) == ("waiting", True)


def test_a_submission_that_names_no_zone_was_made_in_utc() -> None:
    made = submission(5)
    assert made.requested_at is not None
    bare = replace(made, requested_at=made.requested_at.replace(tzinfo=None))
    asking = entry(Reclassify(expected_disposition="SPAM"))
    assert state_of(judge_reclassify(asking, TeamSubmissions(T + 10, (bare,)), SETTLE)) == "sent"
