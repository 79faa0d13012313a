"""The verbs: what makes two of them equal, what they are about, and what nobody can take back."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import ValidationError, convert
from msgspec.msgpack import decode, encode

from worker import BlockSender, Keep, Move, Notify, Reclassify, Release, Unblock
from worker.actions import ACTIONS, Action, AnyAction

EXAMPLES: tuple[AnyAction, ...] = (
    Move("Inbox"),
    Release(),
    Reclassify("NONE"),
    BlockSender("a@b.example", for_=timedelta(days=3)),
    Unblock("b.example", "DOMAIN"),
    Notify("soc"),
    Keep(),
)


def test_every_action_has_an_example_here() -> None:
    assert [type(one).__name__ for one in EXAMPLES] == list(ACTIONS)


@given(st.sampled_from(EXAMPLES), st.sampled_from(EXAMPLES), st.text(), st.text())
def test_reasons_take_no_part_in_equality(one: Action, other: Action, why: str, why_else: str) -> None:
    left = type(one)(**{name: getattr(one, name) for name in one.__struct_fields__} | {"because": why})
    right = type(other)(**{name: getattr(other, name) for name in other.__struct_fields__} | {"because": why_else})
    assert (left == right) == (one is other)
    assert (hash(left) == hash(right)) == (one is other)


@pytest.mark.parametrize("action", EXAMPLES, ids=str)
def test_actions_travel_whole(action: AnyAction) -> None:
    assert decode(encode(action), type=AnyAction) == action


def test_fields_take_part_in_equality() -> None:
    assert Move("Inbox") != Move("JunkEmail")
    assert BlockSender("a.example", "DOMAIN") != Unblock("a.example", "DOMAIN")
    assert Move("Inbox") != "Inbox"


@pytest.mark.parametrize(
    ("action", "lane", "target"),
    [
        (Move("Inbox"), "placement", ""),
        (Release(), "placement", ""),
        (Reclassify("NONE"), "verdict", ""),
        (BlockSender("Bad@Evil.Example"), "block", "EMAIL:bad@evil.example"),
        (Unblock("Evil.Example", "DOMAIN"), "block", "DOMAIN:evil.example"),
        (Notify("soc"), "notice", "soc"),
        (Keep(), "keep", ""),
    ],
)
def test_an_action_names_its_lane_and_its_target(action: Action, lane: str, target: str) -> None:
    assert (action.lane, action.on) == (lane, target)


def test_only_a_purge_cannot_be_taken_back() -> None:
    assert Move("RecoverableItemsPurges").irreversible
    assert not any(action.irreversible for action in EXAMPLES)


@pytest.mark.parametrize("pattern", ["", "x" * 1025])
def test_a_pattern_is_as_long_as_the_list_takes_it(pattern: str) -> None:
    with pytest.raises(ValidationError):
        convert({"type": "BlockSender", "pattern": pattern}, BlockSender)


@pytest.mark.parametrize("channel", ["", "a b", "../x", "x" * 65, "söc"])
def test_a_channel_is_a_name_that_a_setting_can_have(channel: str) -> None:
    with pytest.raises(ValidationError):
        convert({"type": "Notify", "channel": channel}, Notify)


@pytest.mark.parametrize("time", [timedelta(0), timedelta(days=-1)])
def test_a_block_lasts_longer_than_no_time(time: timedelta) -> None:
    with pytest.raises(ValueError, match=r"a block that lasts .* makes no sense"):
        BlockSender("a@b.example", for_=time)


def test_a_block_lasts_ten_years_at_most() -> None:
    assert BlockSender("a@b.example", for_=timedelta(days=3653)).for_
    with pytest.raises(ValueError, match="ten years at most"):
        BlockSender("a@b.example", for_=timedelta(days=4_000_000))
