"""Actions: when two are equal, what they are about, and which cannot be undone."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import ValidationError, convert, json
from msgspec.msgpack import decode, encode

from tests.cells import each
from worker import (
    AllowSender,
    BlockSender,
    Disallow,
    Distrust,
    Escalate,
    Keep,
    Move,
    Notify,
    Reclassify,
    Release,
    TrustDomain,
    Unblock,
)
from worker.language.actions import ACTIONS, ENDED_BY, LISTS, Action, Adding, AnyAction, ListAction, Removing

EXAMPLES: tuple[AnyAction, ...] = (
    Move("Inbox"),
    Release(),
    Reclassify("NONE"),
    Escalate("MALICIOUS", submission_id="s1"),
    BlockSender("a@b.example", for_=timedelta(days=3)),
    AllowSender("b.example", "DOMAIN", "trusted", verify=False, for_=timedelta(days=3)),
    TrustDomain("b.example", similarity=False, recent=True),
    Unblock("b.example", "DOMAIN"),
    Disallow("b.example", "DOMAIN"),
    Distrust("b.example"),
    Notify("soc"),
    Keep(),
)


def test_every_action_has_an_example_here() -> None:
    assert [type(one).__name__ for one in EXAMPLES] == list(ACTIONS)


@pytest.mark.slow
@given(st.sampled_from(EXAMPLES), st.sampled_from(EXAMPLES), st.text(), st.text())
def test_reasons_take_no_part_in_equality(one: Action, other: Action, why: str, why_else: str) -> None:
    left = type(one)(**{name: getattr(one, name) for name in one.__struct_fields__} | {"because": why})
    right = type(other)(**{name: getattr(other, name) for name in other.__struct_fields__} | {"because": why_else})
    assert (left == right) == (one is other)
    assert (hash(left) == hash(right)) == (one is other)


@each("action", EXAMPLES)
def test_actions_travel_whole(action: AnyAction) -> None:
    assert decode(encode(action), type=AnyAction) == action


def test_fields_take_part_in_equality() -> None:
    assert Move("Inbox") != Move("JunkEmail")
    assert BlockSender("a.example", "DOMAIN") != Unblock("a.example", "DOMAIN")
    assert AllowSender("a.example") != AllowSender("a.example", verify=False)
    assert Move("Inbox") != "Inbox"
    assert Reclassify("NONE") != Escalate("NONE") != Escalate("NONE", submission_id="s1")


def test_what_older_ledgers_hold_reads_and_is_written_as_ever() -> None:
    held = (
        b'{"type":"BlockSender","pattern":"a@b.example","pattern_type":"EMAIL","for_":"P3D","because":"why"}',
        b'{"type":"Unblock","pattern":"b.example","pattern_type":"DOMAIN","because":""}',
    )
    assert [json.encode(json.decode(line, type=AnyAction)) for line in held] == list(held)


@pytest.mark.parametrize(
    ("made", "removed"),
    [
        (BlockSender("B.example", "DOMAIN"), Unblock("B.example", "DOMAIN")),
        (AllowSender("b.example", "DOMAIN", "trusted", for_=timedelta(days=1)), Disallow("b.example", "DOMAIN")),
        (TrustDomain("b.example", recent=True), Distrust("b.example")),
    ],
    ids=str,
)
def test_a_list_entry_is_taken_back_in_its_own_lane_and_on_its_own_target(made: Adding, removed: Removing) -> None:
    assert made.inverse() == removed
    assert (made.lane, made.on) == (removed.lane, removed.on)


@each(
    ("action", "lane", "target"),
    [
        (Move("Inbox"), "placement", ""),
        (Release(), "placement", ""),
        (Reclassify("NONE"), "verdict", ""),
        (Escalate("MALICIOUS"), "verdict", ""),
        (BlockSender("Bad@Evil.Example"), "block", "EMAIL:bad@evil.example"),
        (Unblock("Evil.Example", "DOMAIN"), "block", "DOMAIN:evil.example"),
        (AllowSender("Good@Fine.Example"), "allow", "EMAIL:good@fine.example"),
        (Disallow("192.0.2.1", "IP"), "allow", "IP:192.0.2.1"),
        (TrustDomain("Fine.Example"), "trust", "DOMAIN:fine.example"),
        (Distrust("Fine.Example"), "trust", "DOMAIN:fine.example"),
        (Notify("soc"), "notice", "soc"),
        (Keep(), "keep", ""),
    ],
)
def test_an_action_names_its_lane_and_its_target(action: Action, lane: str, target: str) -> None:
    assert (action.lane, action.on) == (lane, target)


def test_only_a_purge_cannot_be_taken_back() -> None:
    assert Move("RecoverableItemsPurges").irreversible
    assert not any(action.irreversible for action in EXAMPLES)


@each("pattern", ["", "x" * 1025])
@each("kind", ["BlockSender", "AllowSender", "TrustDomain", "Unblock", "Disallow", "Distrust"])
def test_a_pattern_is_as_long_as_the_list_takes_it(kind: str, pattern: str) -> None:
    told = f"a pattern must have 1 to 1,024 characters, not {len(pattern):,}"
    with pytest.raises(ValueError, match=f"^{told}$"):
        ACTIONS[kind](pattern=pattern)  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match=told):
        convert({"type": kind, "pattern": pattern}, AnyAction)


def test_a_sender_is_allowed_as_acceptable_or_as_trusted_and_as_nothing_else() -> None:
    with pytest.raises(ValidationError):
        convert({"type": "AllowSender", "pattern": "a@b.example", "kind": "exempt"}, AllowSender)


def test_a_domain_is_trusted_in_something() -> None:
    with pytest.raises(ValueError, match="needs similarity=True, recent=True or both"):
        TrustDomain("b.example", similarity=False)


def test_actions_of_one_lane_change_the_same_list_and_the_same_message() -> None:
    lanes = {(kind.lane, kind.list_name, kind.about_message) for kind in ACTIONS.values()}
    assert len(lanes) == len({kind.lane for kind in ACTIONS.values()})
    assert {kind.lane for kind in ACTIONS.values() if issubclass(kind, ListAction)} == set(LISTS)


def test_what_contradicts_an_entry_is_contradicted_by_it() -> None:
    pairs = {(kind.lane, lane) for kind in ACTIONS.values() for lane in kind.opposite}
    assert pairs == {(there, here) for here, there in pairs} != set()


@each("channel", ["", "a b", "../x", "x" * 65, "söc"])
def test_a_channel_is_a_name_that_a_setting_can_have(channel: str) -> None:
    with pytest.raises(ValidationError):
        convert({"type": "Notify", "channel": channel}, Notify)


@each("make", [BlockSender, AllowSender, TrustDomain])
@each("time", [timedelta(0), timedelta(days=-1)])
def test_a_list_entry_lasts_longer_than_no_time(make: type[Adding], time: timedelta) -> None:
    with pytest.raises(ValueError, match=r"for_ must be more than zero, not (0:00:00|-1 day)"):
        make("b.example", for_=time)


@pytest.mark.parametrize("make", [BlockSender, AllowSender, TrustDomain])
def test_a_list_entry_lasts_ten_years_at_most(make: type[Adding]) -> None:
    assert make("b.example", for_=timedelta(days=3653)).for_
    with pytest.raises(ValueError, match="for_ can be ten years at most"):
        make("b.example", for_=timedelta(days=4_000_000))


def test_what_makes_a_list_entry_is_ended_by_its_inverse() -> None:
    made: list[Adding] = [BlockSender("b.example"), AllowSender("b.example"), TrustDomain("b.example")]
    assert {type(one).__name__: type(one.inverse()).__name__ for one in made} == ENDED_BY
