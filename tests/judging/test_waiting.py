"""What is entered before every rule has answered, and what their answers are worth afterwards."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.judging.test_decide import proposals, says
from worker import APPROVE, ENFORCE, OBSERVE, BlockSender, Keep, Move, Notify
from worker.judging.decide import DecidedAction, decide, lane_of
from worker.judging.waiting import split
from worker.language.rules import Ask, Mode, Proposal

JUNK, BLOCK = Move("JunkEmail"), BlockSender("a@b.example")


def asks(proposal: Proposal) -> Ask:
    """Return what a rule says while it cannot yet say this."""
    names = tuple(type(action).__name__ for action in proposal.actions)
    return Ask(rule=proposal.rule, actions=names, mode=proposal.mode, priority=proposal.priority)


def effects(decided: tuple[DecidedAction, ...]) -> set[object]:
    """Return what is carried out without asking anybody."""
    return {one.action for one in decided if one.mode is ENFORCE and not one.outranked_by}


def test_nobody_waits_for_a_rule_that_cannot_speak_against_them() -> None:
    waiting_for = [asks(says("a", BLOCK, priority=5)), asks(says("b", JUNK, mode=OBSERVE, priority=5))]
    assert split([says("c", JUNK)], waiting_for, ENFORCE) == ((says("c", JUNK),), ())
    assert split([says("c", JUNK, priority=9)], [asks(says("a", Keep()))], ENFORCE)[1] == ()


def test_a_proposal_waits_for_a_rule_of_its_lane_and_for_one_that_may_keep() -> None:
    for against in (says("a", Move("DeletedItems")), says("a", Keep()), says("a", JUNK, mode=APPROVE, priority=3)):
        assert split([says("c", JUNK)], [asks(against)], ENFORCE) == ((), (says("c", JUNK),))


def test_what_waits_keeps_back_what_it_may_outrank() -> None:
    both, below = says("a", JUNK, BLOCK, priority=1), says("b", BlockSender("c@d.example"))
    assert split([both, below], [asks(says("c", Move("Inbox"), priority=2))], ENFORCE) == ((), (both, below))


def test_a_notice_waits_for_nobody() -> None:
    notice = says("a", Notify("soc"))
    assert split([notice], [asks(says("b", Keep(), priority=9))], ENFORCE) == ((notice,), ())


def test_what_would_outrank_something_entered_waits_for_a_person() -> None:
    (late,) = decide([says("late", Move("Inbox"), priority=5)], entered=[says("first", JUNK)])
    assert (late.mode, late.disputed, late.late_for) == (APPROVE, True, ("first",))


def test_what_is_outranked_by_something_entered_falls_and_an_equal_joins() -> None:
    entered = [says("first", JUNK, priority=5)]
    below, same = decide([says("below", Move("Inbox")), says("same", JUNK)], entered=entered)
    assert (below.outranked_by, same.outranked_by, same.mode) == (("first",), (), ENFORCE)


@pytest.mark.slow
@given(proposals, st.sets(st.sampled_from("abcdef")), st.sampled_from([APPROVE, ENFORCE]))
def test_late_answers_come_to_what_all_at_once_would_or_a_person_is_asked(
    said: list[Proposal], late_rules: set[str], ceiling: Mode
) -> None:
    lowered = [one for one in said if one.mode]
    first = [one for one in lowered if one.rule not in late_rules]
    entered, waiting = split(first, [asks(one) for one in lowered if one.rule in late_rules], ceiling)
    rest = [*waiting, *(one for one in lowered if one.rule in late_rules)]
    afterwards = decide(rest, entered)
    asked = any(one.late_for for one in afterwards)
    assert asked or effects(decide(entered)) | effects(afterwards) == effects(decide(lowered))
    assert not asked  # nothing is entered that could be contradicted, as long as nobody's patience ends


@given(proposals, st.sets(st.sampled_from("abcdef")))
def test_nothing_that_opposes_what_was_entered_is_carried_out_unasked(
    said: list[Proposal], late_rules: set[str]
) -> None:
    first = [one for one in said if one.rule not in late_rules]
    standing = [one.action for one in decide(first) if not one.outranked_by and one.mode > OBSERVE]
    late = decide([one for one in said if one.rule in late_rules], first)
    for one in (
        one for one in late if one.mode is ENFORCE and not one.outranked_by and not isinstance(one.action, Notify)
    ):
        assert Keep() not in standing or isinstance(one.action, Keep)
        assert all(one.action == other for other in standing if lane_of(other) == lane_of(one.action))
