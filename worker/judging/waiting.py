"""Waiting for answers: what may be entered while some rules cannot answer yet. Pure."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from worker.language.actions import ACTIONS
from worker.language.rules import OBSERVE, Ask, Mode, Proposal

KEEP, NOTICE = "keep", "notice"


class Voice(NamedTuple):
    """Somebody who may still speak about an event: how strongly, and about which lanes."""

    priority: int
    lanes: frozenset[str]

    def may_oppose(self, proposal: Proposal) -> bool:
        """Tell whether what is said with this voice may outrank or dispute a proposal."""
        about = list_lanes(type(action).__name__ for action in proposal.actions)
        meets = about & self.lanes or KEEP in self.lanes or (KEEP in about and self.lanes)
        return bool(about and meets) and self.priority >= proposal.priority


def split(
    proposals: Sequence[Proposal], asks: Iterable[Ask], ceiling: Mode
) -> tuple[tuple[Proposal, ...], tuple[Proposal, ...]]:
    """Return what may be entered now, and what waits because of what rules that asked may still say.

    What waits has a voice itself: nothing that it may outrank goes before it.
    """
    voices = [_give_voice(ask.priority, ask.actions) for ask in asks if min(ask.mode, ceiling) > OBSERVE]
    free, late = list(proposals), list[Proposal]()
    while found := [one for one in free if _is_opposable(one, voices)]:
        free = [one for one in free if one not in found]
        late += found
        voices += [_give_voice(one.priority, [type(action).__name__ for action in one.actions]) for one in found]
    return tuple(free), tuple(one for one in proposals if one in late)


def _is_opposable(proposal: Proposal, voices: Iterable[Voice]) -> bool:
    return proposal.mode > OBSERVE and any(voice.may_oppose(proposal) for voice in voices)


def _give_voice(priority: int, actions: Iterable[str]) -> Voice:
    return Voice(priority, list_lanes(actions))


def list_lanes(actions: Iterable[str]) -> frozenset[str]:
    """Return the lanes of actions, by their names; notices oppose nothing, and nothing opposes them."""
    return frozenset(ACTIONS[name].lane for name in actions) - {NOTICE}
