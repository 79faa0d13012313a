"""How people are told of amounts, times and actions."""

from datetime import timedelta

import pytest

from tests.cells import each
from worker import BlockSender, Move, Reclassify
from worker.language.actions import AnyAction
from worker.ledger.values import HeldCause
from worker.wording import count_events, describe_action, format_duration, tell_causes


@each(("seconds", "written"), [(0, "0s"), (0.25, "250ms"), (59.6, "1m"), (3600, "1h"), (93784, "1d 2h")])
def test_a_duration_is_written_in_its_two_largest_units(seconds: float, written: str) -> None:
    assert format_duration(seconds) == written


@pytest.mark.parametrize(
    ("action", "written"),
    [
        (Move("JunkEmail", because="it is bad"), "Move JunkEmail"),
        (BlockSender("a@b.example", for_=timedelta(days=30)), "BlockSender a@b.example EMAIL for 30d"),
        (Reclassify("NONE"), "Reclassify NONE"),
    ],
)
def test_an_action_is_told_with_all_but_its_reason(action: AnyAction, written: str) -> None:
    assert describe_action(action) == written


def test_events_are_counted_by_their_kind_and_each_once() -> None:
    at = "2026-01-05T12:00:00Z"
    causes = [f"{at}/Message/a/1", f"{at}/Message/a/2", f"{at}/Message/b/1", f"{at}/Report/c/1", "end/entry"]
    assert count_events(causes) == "2 messages, 1 report"


def test_each_cause_for_which_events_are_held_is_told_with_how_many_and_since_when() -> None:
    causes = (HeldCause("could not fetch Trace: 500", 3, 280.0), HeldCause("needs Raw", 1, 960.0, is_new=True))
    told = "could not fetch Trace: 500 (3 events, the oldest for 12 min); not tried yet: needs Raw (1 event, for 40 s)"
    assert tell_causes(causes, 1000.0) == told
    assert tell_causes(causes[:1], 1000.0) == "could not fetch Trace: 500"


def test_many_causes_are_told_by_the_first_ones_and_counted() -> None:
    causes = tuple(HeldCause(f"{number} " * 999, number + 1, 900.0 - number) for number in range(9))
    told = tell_causes(causes, 1000.0)
    assert (len(told) < 1100, told.partition("; and ")[2]) == (True, "6 other causes (39 events, the oldest for 108 s)")
