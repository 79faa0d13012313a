"""Preconditions: whether to act on a message that looks so. Pure: no clock, no network, no ledger."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from worker.api.clock import SECOND
from worker.executor.action_log import (
    ActionLogReading,
    describe_lines,
    hand_key,
    is_move_or_release,
    may_have_caused,
    time_of,
    was_shown,
)
from worker.language.actions import Move, Release
from worker.ledger.entries import Entry, Look


class Advice(Struct, frozen=True):
    """What a look before acting comes to: go ahead, nothing to do, or a person decides."""

    do: Literal["go", "moot", "wait"]
    said: str = ""
    shown: tuple[str, ...] = ()
    """Keys of the log's lines that ``said`` tells of."""


GO = Advice("go")


def advise(entry: Entry, look: Look, ours: Sequence[Entry], log: ActionLogReading | None) -> Advice | None:
    """Say whether to act on a message that looks so; None when its action log must be read first.

    ``ours`` are this ledger's other entries about the placement of the message that were ever tried.
    """
    if why := describe_contradiction(entry, look):
        return Advice("moot", why)
    if isinstance(entry.action, Move) and "MOVE" in look.operations and not _was_moved_by_us(entry, ours):
        since = " since the first attempt, and a move is not repeated" if entry.attempts else " by someone else"
        return Advice("moot", "already moved" + since)
    if not _may_be_touched(entry, look, ours):
        return GO
    return None if log is None else _advise_by_log(entry, log, ours)


def describe_contradiction(entry: Entry, look: Look) -> str:
    """Say in what a look contradicts the sight that was judged; empty when it does not."""
    if (judged := _disposition(entry.verdict)) and judged != _disposition(look.verdict):
        return f"the verdict is {_disposition(look.verdict)} now and was {judged} when it was judged"
    if isinstance(entry.action, Move) and look.quarantined:
        return "the message is in quarantine: there is nothing to move"
    if isinstance(entry.action, Release) and not look.quarantined:
        return "the message is not in quarantine (any more)"
    return ""


def base(look: Look, ours: Sequence[Entry]) -> Look:
    """Return what a claim compares with later: a move of ours counts as seen even where this read lags behind it."""
    if "MOVE" in look.operations or not any(isinstance(one.action, Move) for one in ours):
        return look
    return Look(look.at, look.verdict, look.quarantined, (*look.operations, "MOVE"), look.status)


def _disposition(state: str) -> str:
    """Return the verdict of a message's state; empty for what is no such state."""
    verdict, bar, _ = state.partition("|")
    return verdict if bar else ""


def _was_moved_by_us(entry: Entry, ours: Sequence[Entry]) -> bool:
    """Tell whether a MOVE may be our own doing: of an earlier entry, or known at this entry's claim before."""
    known = entry.attempts > 0 and entry.look is not None and "MOVE" in entry.look.operations
    return known or any(isinstance(one.action, Move) for one in ours)


def _may_be_touched(entry: Entry, look: Look, ours: Sequence[Entry]) -> bool:
    """Tell whether operations show that somebody else may have had a hand in it."""
    if entry.approved_by:
        return not {"MOVE", "QUARANTINE_RELEASE"}.isdisjoint(look.operations)
    if not isinstance(entry.action, Move):
        return False
    # One that came to nothing, or whose end nobody knows, explains no release: the log must say whose it was.
    released_by_us = any(isinstance(one.action, Release) and one.state == "done" for one in ours)
    released = "QUARANTINE_RELEASE" in look.operations and not released_by_us
    return released or "MOVE" in look.operations


def _advise_by_log(entry: Entry, log: ActionLogReading, ours: Sequence[Entry]) -> Advice:
    """Judge by who did what, and when: a move by others ends ours, a release by others asks a person once."""
    hands = [
        line for line in log.entries if is_move_or_release(line) and not any(may_have_caused(one, line) for one in ours)
    ]
    moves = [line for line in hands if line.operation == "MOVE"]
    if isinstance(entry.action, Move) and moves:
        return Advice("moot", f"already moved by someone else: {describe_lines(moves)}")
    if entry.approved_by:
        later = [line for line in hands if time_of(line) > _decision_time(entry) and not was_shown(line, entry)]
        return Advice("moot", f"touched since it was decided: {describe_lines(later)}") if later else GO
    if not hands:
        return GO
    return Advice("wait", f"somebody let this mail through: {describe_lines(hands)}", tuple(map(hand_key, hands)))


def _decision_time(entry: Entry) -> float:
    """Return until when hands on an approved entry's message count for nothing: a claim came after the person's word.

    It came after a look, too; what our own attempt did since is no hand of others.
    """
    return max(entry.created_at, entry.claimed_at, entry.answered_at + SECOND) if entry.attempts else entry.created_at
