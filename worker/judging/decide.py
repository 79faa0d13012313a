"""Deciding: what was said about one event becomes what is to be done about it. Pure: no clock, no network, no store."""

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from worker.language.actions import AnyAction, Keep, Notify
from worker.language.rules import APPROVE, ENFORCE, OBSERVE, OFF, Mode, Proposal

LaneKey = tuple[str, str]
EVERYTHING: LaneKey = ("keep", "")


class Decision(Struct, frozen=True, kw_only=True):
    """What was settled for one action: how far it may go and by which rules; ``fallen`` names what outranked it."""

    action: AnyAction
    mode: Mode
    rules: tuple[str, ...]
    fingerprints: tuple[str, ...]
    disputed: bool = False
    fallen: str = ""


class Settled(Struct, frozen=True, kw_only=True):
    """What a lane is settled to, by which rules; closed to lower priorities while it is in dispute."""

    actions: frozenset[AnyAction]
    rules: frozenset[str]
    disputed: bool


def lower_mode(proposal: Proposal, ceiling: Mode) -> Proposal:
    """Lower a sentence to the ceiling, and one with an action that cannot be undone to a person's approval."""
    irreversible = any(action.irreversible for action in proposal.actions)
    return replace(proposal, mode=min(proposal.mode, ceiling, APPROVE if irreversible else ENFORCE))


def decide(proposals: Iterable[Proposal]) -> tuple[Decision, ...]:
    """Settle what to do about one event.

    Higher priority settles a lane first, and a sentence that opposes a settled lane falls whole. Equals that agree
    merge, and the strongest mode stands; equals that disagree wait for a person. Observing rules settle nothing.
    """
    heard = [proposal for proposal in proposals if proposal.mode is not OFF and proposal.actions]
    decisions = [_make_decision(p, action, p.mode) for p in heard if p.mode is OBSERVE for action in p.actions]
    live = [proposal for proposal in heard if proposal.mode is not OBSERVE]
    settled: dict[LaneKey, Settled] = {}
    for priority in sorted({proposal.priority for proposal in live}, reverse=True):
        speaking: list[Proposal] = []
        for proposal in (p for p in live if p.priority == priority):
            above = _find_opponents(proposal, settled)
            speaking += [] if above else [proposal]
            decisions += [_make_decision(proposal, a, proposal.mode, fallen=above) for a in proposal.actions if above]
        wanted = _settle_lanes(speaking)
        for proposal in speaking:
            in_dispute = any(wanted[lane_of(a)].disputed for a in proposal.actions if not isinstance(a, Notify))
            mode = min(proposal.mode, APPROVE) if in_dispute else proposal.mode
            decisions += [_make_decision(proposal, action, mode, disputed=in_dispute) for action in proposal.actions]
        settled |= wanted
    return _merge_equals(decisions)


def lane_of(action: AnyAction) -> LaneKey:
    """Return what an action settles: a lane of the message, a pattern of a list, or everything."""
    return EVERYTHING if isinstance(action, Keep) else (action.lane, action.on)


def _find_opponents(proposal: Proposal, settled: dict[LaneKey, Settled]) -> str:
    """Name the higher rules that want something else in a lane of this sentence; empty when none does."""
    against: set[str] = set()
    for action in proposal.actions:
        if isinstance(action, Notify):
            continue
        lanes = settled if isinstance(action, Keep) else (lane_of(action), EVERYTHING)
        for above in (settled[lane] for lane in lanes if lane in settled):
            against |= above.rules if above.actions != {action} else set()
    return ", ".join(sorted(against))


def _settle_lanes(speaking: list[Proposal]) -> dict[LaneKey, Settled]:
    """Return what equals want, lane by lane; a Keep disputes every lane that others touch."""
    said = [(lane_of(a), a, p.rule) for p in speaking for a in p.actions if not isinstance(a, Notify)]
    lanes = {lane for lane, _, _ in said}
    keeping = EVERYTHING in lanes and len(lanes) > 1
    return {
        lane: Settled(
            actions=(actions := frozenset(action for on, action, _ in said if on == lane)),
            rules=frozenset(rule for on, _, rule in said if on == lane),
            disputed=keeping or len(actions) > 1,
        )
        for lane in lanes
    }


def _make_decision(
    proposal: Proposal, action: AnyAction, mode: Mode, *, disputed: bool = False, fallen: str = ""
) -> Decision:
    return Decision(
        action=action,
        mode=mode,
        rules=(proposal.rule,),
        fingerprints=(proposal.fingerprint,),
        disputed=disputed,
        fallen=fallen,
    )


def _merge_equals(decisions: list[Decision]) -> tuple[Decision, ...]:
    """Merge equal actions of equal standing; what is only observed, or fell, stays apart from what stands."""
    merged: dict[tuple[AnyAction, bool, str], Decision] = {}
    for decision in decisions:
        key = (decision.action, decision.mode is OBSERVE, decision.fallen)
        before = merged.get(key)
        merged[key] = _merge(before, decision) if before else decision
    return tuple(merged.values())


def _merge(one: Decision, other: Decision) -> Decision:
    strongest = max(one, other, key=lambda decision: decision.mode)
    return replace(
        strongest,
        rules=(*one.rules, *other.rules),
        fingerprints=(*one.fingerprints, *other.fingerprints),
        disputed=one.disputed and other.disputed,
    )
