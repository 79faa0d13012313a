"""The announcer: calls people, on a channel, to what waits for them, and once more before it lapses.

What a channel took is marked in the ledger afterwards: a crash between the two repeats one announcement and loses none.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

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
        self._announced: dict[tuple[object, ...], float] = {}
        self._gathering: frozenset[tuple[object, ...]] = frozenset()
        self._unheard = 0

    async def step(self) -> float:
        """Announce what nobody was told of yet; return the seconds until the next turn."""
        account, now, again_after = self._terms.account, self._clock.now(), AGAIN * self._terms.lapse
        if not self._deliveries.names:
            self._unheard = await self._ledger.count_undecided(account)
            return EVERY
        if self._deliveries.are_paused:  # all that waits would be read for nothing
            self._unheard = await self._ledger.count_unannounced(account, now, again_after)
            return EVERY
        waiting = await self._ledger.list_unannounced(account, now, again_after)
        self._begin_turn(waiting)
        self._unheard = 0
        for alike in group(waiting):
            await self._announce(alike)
        return EVERY

    def explain_unheard(self) -> str:
        """Say how many decisions wait without anybody knowing, and what to do; empty when there are none."""
        if not self._unheard:
            return ""
        waits = f"{count(self._unheard, 'decision')} {'waits' if self._unheard == 1 else 'wait'} for a person"
        failing = ", ".join(sorted(self._deliveries.failing))
        why = f"channel {failing} does not take announcements: check its address" if failing else SET_ONE
        return f"account {self._terms.account}: {waits}, and nobody is told: {why}"

    async def _announce(self, alike: Group) -> None:
        """Announce a group on every channel of its rules that has not taken it yet, and mark what all have taken."""
        channels = self._choose_channels(alike.rules)
        for channel in channels:
            if (channel, *alike.name) not in self._gathering:
                await self._announce_on(channel, alike)
        heard = [entry for entry in alike.entries if self._is_heard(entry, channels)]
        await self._ledger.mark_announced(heard, self._clock.now())
        if not self._deliveries.failing.isdisjoint(channels):
            self._unheard += len({entry.item for entry in alike.entries} - {entry.item for entry in heard})

    async def _announce_on(self, channel: str, alike: Group) -> None:
        """Announce what a channel has not taken of a group."""
        for new in group(entry for entry in alike.entries if _telling(entry) not in self._taken[channel]):
            if await self._deliveries.deliver(channel, announce(new, self._terms)):
                self._taken[channel].update(map(_telling, new.entries))
                self._announced[channel, *alike.name] = self._clock.monotonic()

    def _choose_channels(self, rules: Iterable[str]) -> tuple[str, ...]:
        """Return where people are told: the channel for approvals, else those of the rules, else all."""
        names, known = self._deliveries.names, self._find_rules()
        if APPROVALS in names:
            return (APPROVALS,)
        own = {channel for rule in rules if rule in known for channel in known[rule].channels}
        return tuple(sorted(own & names or names))

    def _is_heard(self, entry: Waiting, channels: Iterable[str]) -> bool:
        return all(_telling(entry) in self._taken[channel] for channel in channels)

    def _begin_turn(self, waiting: Iterable[Waiting]) -> None:
        """Forget who has taken what is marked or decided by now, and see of what people were told a moment ago."""
        left, now = set(map(_telling, waiting)), self._clock.monotonic()
        for taken in self._taken.values():
            taken.intersection_update(left)
        self._announced = {spot: at for spot, at in self._announced.items() if now - at < self._gather}
        self._gathering = frozenset(self._announced)


def _telling(entry: Waiting) -> Telling:
    return entry.id, entry.waits_since, entry.is_told_again
