"""Deciding: turn the proposals about one event into what to do. Pure: no clock, no network, no ledger."""

from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from worker.language.actions import AnyAction, Keep, Notify
from worker.language.rules import APPROVE, ENFORCE, OBSERVE, OFF, Mode, Proposal

LaneKey = tuple[str, str]
EVERYTHING: LaneKey = ("keep", "")


class DecidedAction(Struct, frozen=True, kw_only=True):
    """One action with what was decided about it: its mode, its rules, and the rules that outranked it."""

    action: AnyAction
    mode: Mode
    rules: tuple[str, ...]
    fingerprints: tuple[str, ...]
    irreversible: bool = False
    """Whether this action, or another one of its proposal, cannot be undone."""
    disputed: bool = False
    outranked_by: tuple[str, ...] = ()
    late_for: tuple[str, ...] = ()
    """Rules whose wish was entered before this one was heard, and would have been outranked or disputed by it."""


class Settled(Struct, frozen=True, kw_only=True):
    """The actions and rules that settled a lane; while it is disputed, lower priorities cannot settle it either."""

    actions: frozenset[AnyAction]
    rules: frozenset[str]
    disputed: bool


def lower_mode(proposal: Proposal, ceiling: Mode) -> Proposal:
    """Lower a proposal to the ceiling, and to APPROVE when it has an action that cannot be undone.

    What only informs changes nothing that a person would have to approve, so it leaves under a ceiling of APPROVE.
    """
    if ceiling is APPROVE and all(isinstance(action, Notify) for action in proposal.actions):
        return proposal
    mode = min(proposal.mode, ceiling, APPROVE if _is_irreversible(proposal) else ENFORCE)
    return replace(proposal, mode=mode, lowered="ceiling" if ceiling < proposal.mode else proposal.lowered)


def _is_irreversible(proposal: Proposal) -> bool:
    return any(action.irreversible for action in proposal.actions)


def decide(proposals: Iterable[Proposal], entered: Sequence[Proposal] = ()) -> tuple[DecidedAction, ...]:
    """Decide what to do about one event.

    The highest priority settles its lanes first; a proposal that opposes a settled lane is dropped whole. Equal
    proposals of one priority merge, and the strongest mode stands; those that disagree wait for a person. Rules that
    only observe settle nothing. What would outrank or dispute something that was ``entered`` already, before it was
    heard, waits for a person.
    """
    before = _find_standing(entered)
    wanted = [proposal for proposal in proposals if proposal.mode is not OFF and proposal.actions]
    decided = [_decide_action(p, action, p.mode) for p in wanted if p.mode is OBSERVE for action in p.actions]
    live = [proposal for proposal in wanted if proposal.mode is not OBSERVE]
    settled: dict[LaneKey, Settled] = {}
    for priority in sorted({proposal.priority for proposal in live}, reverse=True):
        decided += _decide_equals([p for p in live if p.priority == priority], settled, before)
    return _merge_equals(decided)


def _find_standing(entered: Sequence[Proposal]) -> list[Proposal]:
    """Return the proposals that stand among those that were entered."""
    if not entered:
        return []
    rules = {rule for one in decide(entered) if not one.outranked_by for rule in one.rules}
    return [proposal for proposal in entered if proposal.rule in rules and proposal.mode is not OBSERVE]


def _decide_equals(
    equals: list[Proposal], settled: dict[LaneKey, Settled], before: Sequence[Proposal]
) -> list[DecidedAction]:
    """Decide about proposals of one priority, and add the lanes that they settle."""
    decided: list[DecidedAction] = []
    standing: list[Proposal] = []
    stronger = _settle_lanes([one for one in before if one.priority > equals[0].priority])
    weaker = _settle_lanes([one for one in before if one.priority <= equals[0].priority])
    for proposal in equals:
        above = _find_opponents(proposal, settled) or _find_opponents(proposal, stronger)
        standing += [] if above else [proposal]
        decided += [_decide_action(proposal, a, proposal.mode, outranked_by=above) for a in proposal.actions if above]
    lanes = _settle_lanes(standing)
    for proposal in standing:
        late_for = _find_opponents(proposal, weaker)
        in_dispute = any(lanes[lane_of(a)].disputed for a in proposal.actions if not isinstance(a, Notify))
        mode = min(proposal.mode, APPROVE) if in_dispute or late_for else proposal.mode
        decided += [
            _decide_action(proposal, action, mode, disputed=in_dispute or bool(late_for), late_for=late_for)
            for action in proposal.actions
        ]
    settled |= lanes
    return decided


def lane_of(action: AnyAction) -> LaneKey:
    """Return what an action settles: a lane of the message, a pattern on a list, or everything."""
    return EVERYTHING if isinstance(action, Keep) else (action.lane, action.on)


def _find_opponents(proposal: Proposal, settled: dict[LaneKey, Settled]) -> tuple[str, ...]:
    """Return the rules of higher priority that want something else in a lane of this proposal."""
    against: set[str] = set()
    for action in proposal.actions:
        if isinstance(action, Notify):
            continue
        lanes = settled if isinstance(action, Keep) else (lane_of(action), EVERYTHING)
        for above in (settled[lane] for lane in lanes if lane in settled):
            against |= above.rules if above.actions != {action} else set()
    return tuple(sorted(against))


def _settle_lanes(equals: list[Proposal]) -> dict[LaneKey, Settled]:
    """Return what proposals of one priority want, by lane; a Keep disputes every other lane."""
    wanted = [(lane_of(a), a, p.rule) for p in equals for a in p.actions if not isinstance(a, Notify)]
    lanes = {lane for lane, _, _ in wanted}
    keeping = EVERYTHING in lanes and len(lanes) > 1
    return {
        lane: Settled(
            actions=(actions := frozenset(action for on, action, _ in wanted if on == lane)),
            rules=frozenset(rule for on, _, rule in wanted if on == lane),
            disputed=keeping or len(actions) > 1,
        )
        for lane in lanes
    }


def _decide_action(
    proposal: Proposal,
    action: AnyAction,
    mode: Mode,
    *,
    disputed: bool = False,
    outranked_by: tuple[str, ...] = (),
    late_for: tuple[str, ...] = (),
) -> DecidedAction:
    return DecidedAction(
        action=action,
        mode=mode,
        rules=(proposal.rule,),
        fingerprints=(proposal.fingerprint,),
        irreversible=_is_irreversible(proposal),
        disputed=disputed,
        outranked_by=outranked_by,
        late_for=late_for,
    )


def _merge_equals(decided: list[DecidedAction]) -> tuple[DecidedAction, ...]:
    """Merge equal actions, but not observed or outranked ones with those that stand.

    Nor a notice that may leave with one that waits until a person has decided.
    """
    merged: dict[tuple[AnyAction, Mode, tuple[str, ...]], DecidedAction] = {}
    for one in decided:
        key = (one.action, one.mode if isinstance(one.action, Notify) else min(one.mode, APPROVE), one.outranked_by)
        before = merged.get(key)
        merged[key] = _merge(before, one) if before else one
    return tuple(merged.values())


def _merge(one: DecidedAction, other: DecidedAction) -> DecidedAction:
    strongest = max(one, other, key=lambda decided: decided.mode)
    return replace(
        strongest,
        rules=(*one.rules, *other.rules),
        fingerprints=(*one.fingerprints, *other.fingerprints),
        disputed=one.disputed and other.disputed,
    )
