"""What may not be concluded from readings of which a part is missing."""

from msgspec.structs import replace

from tests.test_proof import BLOCK, SETTLE, T, entry, line, listed, log, look, state_of, submission
from worker.actions import Reclassify, Unblock
from worker.models import LogEntry
from worker.proof import Asked, Listed, judge_block, judge_move, judge_reclassify, judge_unblock

DAY = 86_400.0


def timeless(status: str) -> LogEntry:
    return replace(line(0, status=status), completed_at=None)


def test_a_logged_move_that_tells_no_time_may_be_since_the_request_so_it_is_not_repeated() -> None:
    late = look(500)
    assert state_of(judge_move(entry(), late, log(500), SETTLE)) == "ready"
    assert state_of(judge_move(entry(), late, log(500, timeless("OK")), SETTLE)) == "done"
    assert state_of(judge_move(entry(), late, log(500, timeless("busy")), SETTLE)) == "failed"


def test_a_block_list_that_cannot_be_read_whole_says_yes_but_not_no() -> None:
    block, ours = entry(BLOCK), (listed("worker E1 lookalike"),)
    assert state_of(judge_block(block, Listed(T + 500, ours, whole=False), SETTLE)) == "done"
    assert judge_block(block, Listed(T + 500, (), whole=False), SETTLE) is None
    assert judge_block(block, Listed(T + 500, (listed("by hand"),), whole=False), SETTLE) is None
    assert state_of(judge_block(block, Listed(T + 21 + DAY, (), whole=False), SETTLE)) == "waiting"


def test_an_unblock_is_not_done_while_a_part_of_the_list_cannot_be_read() -> None:
    unblock, block = entry(Unblock(pattern="ada@c0rp.example")), entry(BLOCK, "done", remote="L1")
    assert judge_unblock(unblock, Listed(T + 500, (), whole=False), (block,), SETTLE) is None
    assert state_of(judge_unblock(unblock, Listed(T + 500, (), whole=True), (block,), SETTLE)) == "done"
    assert state_of(judge_unblock(unblock, Listed(T + 21 + DAY, (), whole=False), (block,), SETTLE)) == "waiting"


def test_a_submission_that_cannot_be_read_for_a_day_leaves_an_unanswered_request_to_a_person() -> None:
    asking = entry(Reclassify(expected_disposition="SPAM"))
    assert judge_reclassify(asking, Asked(T + DAY, (), whole=False), SETTLE) is None
    found = judge_reclassify(asking, Asked(T + 21 + DAY, (), whole=False), SETTLE)
    assert found is not None
    assert (found.state, "cannot be read" in found.said) == ("waiting", True)


def test_a_submission_that_names_no_zone_was_made_in_utc() -> None:
    made = submission(5)
    assert made.requested_at is not None
    bare = replace(made, requested_at=made.requested_at.replace(tzinfo=None))
    asking = entry(Reclassify(expected_disposition="SPAM"))
    assert state_of(judge_reclassify(asking, Asked(T + 10, (bare,)), SETTLE)) == "done"
