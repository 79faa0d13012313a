"""The fields of what is read: remembered across restarts, and told with those who need them when they have gone."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from worker.daemon.usage import find_judged, find_users, is_own
from worker.intake.sources import Source
from worker.judging.presence import MISSED, Loss
from worker.judging.services import AccountServices
from worker.judging.watches import GroupWatch
from worker.language.rules import RuleInfo
from worker.ledger.presence import Return, encode
from worker.ledger.values import Absence
from worker.telemetry import Log
from worker.wording import count

EVERY = 10.0
"""Seconds between two times that the ledger is told."""
ADVICE = "run worker check --live, and update the worker; after 7 days it counts as given up"


class MissingField(NamedTuple):
    """A field that has gone, and whether anybody needs it."""

    about: str
    says: str
    is_needed: bool


class Needs(NamedTuple):
    """Who may need a field now: the rules that are loaded, and the sources that are read for them."""

    rules: Sequence[RuleInfo]
    sources: Sequence[Source]


class Fields:
    """Remembers which fields the records of an account have, and lets what was judged without one be judged again."""

    def __init__(
        self, services: AccountServices, watches: Sequence[GroupWatch], find_needs: Callable[[], Needs], log: Log
    ) -> None:
        """Begin without a memory; it is in the ledger."""
        self._find_needs = find_needs
        self._account, self._ledger, self._clock = services.account, services.ledger, services.clock
        self._watches, self._log = watches, log
        self._begun, self._kept = False, ""
        self._missed = Counter[str]()

    async def recall(self) -> None:
        """Go on with what the ledger remembers."""
        memories = await self._ledger.read_presence(self._account)
        for watch in self._watches:
            watch.recall(memories)
        self._begun, self._kept, self._missed = True, self._encode(), self._count_missed()

    async def keep(self) -> float:
        """Let the ledger remember, and what has lacked a field that is back be judged again.

        Give up what has been gone for long. Return the seconds until the next time.
        """
        if not self._begun:
            await self.recall()
        for field in [field for watch in self._watches for field in watch.forget_lost(self._clock.now())]:
            self._log.warning("a field is given up: it has been missing for 7 days", field=field)
        await self._see_to_returns()
        await self._remember()
        return EVERY

    async def keep_missed(self) -> None:
        """Let the ledger remember at once that more records lack what is usual: the process may end any time."""
        if self._begun and not self._count_missed() <= self._missed:
            await self._remember()

    async def _remember(self) -> None:
        now, missed = self._encode(), self._count_missed()
        if now != self._kept:
            await self._ledger.keep_presence(self._account, now)
        self._kept, self._missed = now, missed

    def _count_missed(self) -> Counter[str]:
        """Count by field the records in a row that lack what was usual, as far as that makes a difference."""
        return Counter(
            {
                f"{group} {kind} {path}": min(track.missed, MISSED)
                for watch in self._watches
                for group, memory in watch.memories.items()
                for kind, known in (("there", memory.there), ("filled", memory.filled))
                for path, track in known.items()
                if track.usual_at and track.missed
            }
        )

    async def _see_to_returns(self) -> None:
        """Let be judged again what was judged while a field was missing that is back, where it is judged by that."""
        now, needs = self._clock.now(), self._find_needs()
        returns = [(watch, path, one) for watch in self._watches for path, one in watch.list_returns(now).items()]
        for source in needs.sources if returns else ():
            if ended := [_describe_absence(source.kind, *one) for one in returns if _concerns(source, needs, *one)]:
                await self._ledger.end_absences(self._account, source.name, source.stride, ended, now)
                fields = ", ".join(dict.fromkeys(one.field for one in ended))
                self._log.info("what was judged without a field is judged again", source=source.name, field=fields)
        for watch, path, _ in returns:
            watch.forget_returns([path])

    def _encode(self) -> str:
        return encode({group: one for watch in self._watches for group, one in watch.memories.items()})


def _concerns(source: Source, needs: Needs, watch: GroupWatch, path: str, _: Return) -> bool:
    """Tell whether what a source brings is judged by a field of what is watched."""
    return source.kind in find_judged(needs.rules, watch.kind, path)


def _describe_absence(kind: str, watch: GroupWatch, path: str, missing: Return) -> Absence:
    """Say when a field was missing; one of a fact or a list has its name before it."""
    name = path if watch.kind == kind else f"{watch.kind}.{path}"
    return Absence(kind=kind, field=name, start=missing.start, end=missing.end)


def find_missing(watch: GroupWatch, name: str, rules: Iterable[RuleInfo], now: float) -> Iterator[MissingField]:
    """Yield each field that has gone from a source or a fact of this name."""
    rules = tuple(rules)
    for loss in watch.find_losses(now):
        users, own = find_users(rules, watch.kind, loss.path), is_own(watch.kind, loss.path)
        needing = " and ".join(filter(None, ("the worker itself" * own, ", ".join(users))))
        says = f"{name}: {describe_loss(loss)}, which {needing or 'no rule'} needs: {ADVICE}"
        yield MissingField(f"{name} {loss.group} {loss.path}", says, bool(needing))


def describe_loss(loss: Loss) -> str:
    """Say which field has gone, from how many records, and since when."""
    called = "" if loss.path == loss.written else f" (in rules: {loss.path})"
    what = "null" if loss.is_null else "missing"
    since = datetime.fromtimestamp(loss.since, UTC)
    lately = f"in the last {count(loss.missed, 'record', 'records')} of {loss.group} that were looked at"
    return f"{loss.written}{called} is {what} {lately}, since {since:%Y-%m-%d %H:%M} UTC, and was there before"
