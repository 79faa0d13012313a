"""The announcer: calls people, on channels, to what waits for them, and once more before it lapses.

Channels have turns of their own, so that one that hangs delays no other.

What a channel took is marked in the ledger afterwards: a crash between the two repeats one announcement and loses none.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from worker.api import Clock
from worker.audit.announcements import Group, Terms, announce, group
from worker.audit.deliveries import Deliveries
from worker.language.rules import RuleInfo
from worker.ledger.ledger import Ledger
from worker.ledger.waiting import Waiting
from worker.wording import count

APPROVALS = "approvals"
"""The channel on which everything is announced, where it has an address."""
EVERY = 5.0
AGAIN = 0.75
"""The part of the time until it lapses after which people are told once more."""
SET_ONE = "set WORKER_NOTIFY_APPROVALS to the address of a channel"

NOBODY = ""
"""Stands for a channel where none has an address."""

Likeness = tuple[tuple[str, ...], str, bool]
"""What groups have in common that wait for each other."""
Telling = tuple[str, float, bool]
"""An entry, since when it waits, and whether people are told of it again."""


class Announcer:
    """Announces what waits for a person in one account."""

    def __init__(
        self,
        ledger: Ledger,
        deliveries: Deliveries,
        *,
        find_rules: Callable[[], Mapping[str, RuleInfo]],
        clock: Clock,
        terms: Terms,
        gather: float,
    ) -> None:
        """``find_rules`` returns the rules as they are now; what is alike is gathered for ``gather`` seconds."""
        self._ledger, self._deliveries, self._find_rules = ledger, deliveries, find_rules
        self._clock, self._terms, self._gather = clock, terms, gather
        self._taken: dict[str, set[Telling]] = defaultdict(set)
        self._announced: dict[str, dict[Likeness, float]] = defaultdict(dict)
        self._unheard: dict[str, int] = {}

    @property
    def orders(self) -> tuple[str, ...]:
        """The channels, each of which has turns of its own; without any, one that only counts."""
        return tuple(sorted(self._deliveries.names)) or (NOBODY,)

    async def step(self) -> float:
        """Take one turn of every channel, side by side; return the seconds until the next."""
        return min(await asyncio.gather(*map(self.take_turn, self.orders)))

    async def take_turn(self, channel: str) -> float:
        """Announce on a channel what it has not taken yet; return the seconds until its next turn."""
        account, now, again_after = self._terms.account, self._clock.now(), AGAIN * self._terms.lapse
        if channel == NOBODY:
            self._unheard[channel] = await self._ledger.count_undecided(account)
        elif self._deliveries.is_paused(channel):  # all that waits would be read for nothing
            self._unheard[channel] = await self._ledger.count_unannounced(account, now, again_after)
        else:
            await self._announce(channel, await self._ledger.list_unannounced(account, now, again_after))
        return EVERY

    def explain_unheard(self) -> str:
        """Say how many decisions wait without anybody knowing, and what to do; empty when there are none."""
        unheard = max(self._unheard.values(), default=0)
        if not unheard:
            return ""
        waits = f"{count(unheard, 'decision')} {'waits' if unheard == 1 else 'wait'} for a person"
        failing = self._deliveries.failing
        why = "; ".join(failing[channel] for channel in sorted(failing)) or SET_ONE
        return f"account {self._terms.account}: {waits}, and nobody is told: {why}"

    async def _announce(self, channel: str, waiting: Sequence[Waiting]) -> None:
        """Announce what waits on a channel, group by group, and mark what all channels have taken that are to."""
        gathering, untaken = self._begin_turn(channel, waiting), set[str]()
        for alike in group(waiting):
            channels = self._choose_channels(alike.rules)
            if channel not in channels:
                continue
            if alike.name not in gathering:
                await self._announce_group(channel, alike)
            heard = [entry for entry in alike.entries if self._is_heard(entry, channels)]
            await self._ledger.mark_announced(heard, self._clock.now())
            untaken |= {entry.item for entry in alike.entries if _telling(entry) not in self._taken[channel]}
        self._unheard[channel] = len(untaken) if channel in self._deliveries.failing else 0

    async def _announce_group(self, channel: str, alike: Group) -> None:
        """Announce what a channel has not taken of a group."""
        for new in group(entry for entry in alike.entries if _telling(entry) not in self._taken[channel]):
            if await self._deliveries.deliver(channel, announce(new, self._terms)):
                self._taken[channel].update(map(_telling, new.entries))
                self._unheard[channel] = 0
                self._announced[channel][alike.name] = self._clock.monotonic()

    def _choose_channels(self, rules: Iterable[str]) -> tuple[str, ...]:
        """Return where people are told: the channel for approvals, else those of the rules, else all."""
        names, known = self._deliveries.names, self._find_rules()
        if APPROVALS in names:
            return (APPROVALS,)
        own = {channel for rule in rules if rule in known for channel in known[rule].channels}
        return tuple(sorted(own & names or names))

    def _is_heard(self, entry: Waiting, channels: Iterable[str]) -> bool:
        return all(_telling(entry) in self._taken[channel] for channel in channels)

    def _begin_turn(self, channel: str, waiting: Iterable[Waiting]) -> frozenset[Likeness]:
        """Forget what a channel has taken that is marked or decided by now; return of what it told a moment ago."""
        left, now = set(map(_telling, waiting)), self._clock.monotonic()
        self._taken[channel].intersection_update(left)
        told = self._announced[channel]
        self._announced[channel] = {name: at for name, at in told.items() if now - at < self._gather}
        return frozenset(self._announced[channel])


def _telling(entry: Waiting) -> Telling:
    return entry.id, entry.waits_since, entry.is_told_again
