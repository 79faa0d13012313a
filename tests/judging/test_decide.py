"""Decisions: the laws of a pure function."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker import APPROVE, ENFORCE, OBSERVE, OFF, AllowSender, BlockSender, Keep, Move, Notify, Reclassify, Release
from worker.judging.decide import decide, lane_of, lower_mode
from worker.language.actions import AnyAction
from worker.language.rules import Mode, Proposal

actions: st.SearchStrategy[AnyAction] = st.sampled_from(
    [
        Move("JunkEmail"),
        Move("DeletedItems"),
        Release(),
        Reclassify("NONE"),
        BlockSender("a@b.example"),
        BlockSender("c@d.example"),
        AllowSender("a@b.example"),
        AllowSender("a@b.example", kind="trusted"),
        Notify("soc"),
        Keep(),
    ]
)


def says(rule: str, *actions: AnyAction, mode: Mode = ENFORCE, priority: int = 0) -> Proposal:
    return Proposal(rule=rule, actions=actions, mode=mode, priority=priority, fingerprint=f"of {rule}")


proposals = st.lists(
    st.builds(
        says,
        st.sampled_from("abcdef"),
        actions,
        actions,
        mode=st.sampled_from(Mode),
        priority=st.integers(0, 2),
    ),
    max_size=6,
    unique_by=lambda proposal: proposal.rule,
)


def test_rules_that_agree_are_one_decision_and_the_strongest_mode_stands() -> None:
    (one,) = decide([says("a", Move("JunkEmail"), mode=APPROVE), says("b", Move("JunkEmail"))])
    assert (one.mode, one.rules, one.fingerprints) == (ENFORCE, ("a", "b"), ("of a", "of b"))


def test_the_reason_of_the_strongest_is_kept() -> None:
    (one,) = decide(
        [says("a", Move("JunkEmail", because="weak"), mode=APPROVE), says("b", Move("JunkEmail", because="strong"))]
    )
    assert one.action.because == "strong"


def test_equals_that_disagree_both_wait_for_a_person() -> None:
    decided = decide([says("a", Move("JunkEmail"), Notify("soc")), says("b", Release())])
    assert {one.action for one in decided} == {Move("JunkEmail"), Notify("soc"), Release()}
    assert all(one.mode is APPROVE and one.disputed for one in decided)


def test_an_exemption_outranks_the_whole_proposal() -> None:
    decided = decide([says("a", BlockSender("a@b.example"), Notify("soc")), says("gate", Keep(), priority=100)])
    assert {(one.action, one.outranked_by) for one in decided} == {
        (Keep(), ()),
        (BlockSender("a@b.example"), ("gate",)),
        (Notify("soc"), ("gate",)),
    }


def test_a_lower_proposal_that_wants_the_same_stands_beside_the_higher() -> None:
    (one,) = decide([says("a", Move("JunkEmail")), says("b", Move("JunkEmail"), priority=1)])
    assert one.rules == ("b", "a")
    assert one.outranked_by == ()


def test_blocks_of_two_senders_do_not_dispute() -> None:
    decided = decide([says("a", BlockSender("a@b.example")), says("b", BlockSender("c@d.example"))])
    assert {one.mode for one in decided} == {ENFORCE}


def test_keep_among_equals_is_a_dispute() -> None:
    decided = decide([says("a", Move("JunkEmail")), says("b", Keep())])
    assert all(one.disputed for one in decided)


def test_an_observing_rule_settles_nothing() -> None:
    decided = decide([says("a", Release(), mode=OBSERVE, priority=9), says("b", Move("JunkEmail"))])
    assert {(one.action, one.mode) for one in decided} == {
        (Release(), OBSERVE),
        (Move("JunkEmail"), ENFORCE),
    }


def test_a_rule_that_is_off_is_not_heard() -> None:
    assert decide([says("a", Release(), mode=OFF)]) == ()


def test_a_purge_is_lowered_to_approval_with_its_whole_proposal() -> None:
    purge = says("a", Move("RecoverableItemsPurges"), Notify("soc"))
    assert lower_mode(purge, ENFORCE).mode is APPROVE
    assert lower_mode(says("a", Move("DeletedItems")), ENFORCE).mode is ENFORCE


def test_the_ceiling_lowers_and_never_raises() -> None:
    assert lower_mode(says("a", Release()), OBSERVE).mode is OBSERVE
    assert lower_mode(says("a", Release(), mode=OBSERVE), ENFORCE).mode is OBSERVE


@pytest.mark.parametrize(
    ("said", "mode"),
    [
        ((Notify("soc"),), ENFORCE),
        ((Notify("soc"), Notify("helpdesk")), ENFORCE),
        ((Move("JunkEmail"), Notify("soc")), APPROVE),
        ((Keep(), Notify("soc")), APPROVE),
    ],
)
def test_the_ceiling_approve_lets_go_what_only_informs(said: tuple[AnyAction, ...], mode: Mode) -> None:
    assert lower_mode(says("a", *said), APPROVE).mode is mode
    assert lower_mode(says("a", *said, mode=APPROVE), APPROVE).mode is APPROVE
    assert lower_mode(says("a", *said), OBSERVE).mode is OBSERVE


def test_a_notice_does_not_wait_for_the_approval_of_another_rule_s_action() -> None:
    decided = decide([says("a", Move("JunkEmail"), Notify("soc"), mode=APPROVE), says("b", Notify("soc"))])
    assert {(one.action, one.mode, one.rules) for one in decided} == {
        (Move("JunkEmail"), APPROVE, ("a",)),
        (Notify("soc"), APPROVE, ("a",)),
        (Notify("soc"), ENFORCE, ("b",)),
    }


@pytest.mark.slow
@given(proposals)
def test_no_lane_is_ever_settled_twice(said: list[Proposal]) -> None:
    standing = [d for d in decide(said) if d.mode is ENFORCE and not d.outranked_by and d.action.lane != "notice"]
    lanes = [lane_of(one.action) for one in standing]
    assert len(lanes) == len(set(lanes))
    assert not (("keep", "") in lanes and len(lanes) > 1)


@pytest.mark.slow
@given(proposals.flatmap(lambda said: st.tuples(st.just(said), st.permutations(said))))
def test_the_order_of_the_rules_does_not_matter(both: tuple[list[Proposal], list[Proposal]]) -> None:
    one, other = decide(both[0]), decide(both[1])
    assert {(d.action, d.mode, d.outranked_by, frozenset(d.rules)) for d in one} == {
        (d.action, d.mode, d.outranked_by, frozenset(d.rules)) for d in other
    }


@pytest.mark.slow
@given(proposals)
def test_every_proposal_heard_is_accounted_for(said: list[Proposal]) -> None:
    spoken = {(p.rule, action) for p in said if p.mode is not OFF for action in p.actions}
    assert spoken == {(rule, d.action) for d in decide(said) for rule in d.rules}


@pytest.mark.slow
@given(proposals)
def test_nothing_goes_further_than_the_strongest_rule_behind_it(said: list[Proposal]) -> None:
    modes = {proposal.rule: proposal.mode for proposal in said}
    for one in decide(said):
        assert one.mode <= max(modes[rule] for rule in one.rules)
