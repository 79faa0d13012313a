"""Hearing: asks the rules about events, and fetches the facts they use, until they have what can be had now."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from worker.errors import WorkerError
from worker.judging.facts import SHARED, Facts
from worker.language.rules import Ask
from worker.ledger.values import RuleTable, Sight
from worker.rulehost.evaluation import Event, Said
from worker.rulehost.host import BundleInfo

AT_ONCE = 32
"""Facts fetched at the same time: the budget paces them, and a few that hang must not keep the others waiting."""
UNREAD = "which cannot be read: that is read again by itself, or at once by `worker held retry`; update the worker"


class Rules(Protocol):
    """Whatever runs the rules: the rule host, or an evaluation in this process in simulations."""

    @property
    def bundle(self) -> BundleInfo:
        """The rules that are loaded."""

    def is_heard(self, kind: str, disposition: str) -> bool:
        """Return whether any of them judges such an event."""

    async def propose(self, events: Sequence[Event]) -> list[Said]:
        """Return what the rules say about each event."""


class Heard(Struct, frozen=True):
    """By the key of an event: what the rules said about it, and which facts could not be fetched and why."""

    said: dict[str, Said]
    missing: dict[str, dict[str, str]]
    rule_table: RuleTable = RuleTable()
    """The rules that were asked; nobody knows them when others were loaded meanwhile."""


class Hearing:
    """Asks the rules of one account."""

    def __init__(self, rules: Rules, facts: Facts) -> None:
        """Facts are fetched a few at a time."""
        self._rules, self._facts = rules, facts
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def hear(self, sights: Sequence[Sight], *, everything: bool) -> Heard:
        """Return what the rules say; without ``everything`` only with facts that cost no call of an event's own."""
        bundle, asking = self._rules.bundle, {sight.key: _make_event(sight) for sight in self._choose_heard(sights)}
        heard = Heard({sight.key: Said(key=sight.key) for sight in sights}, defaultdict(dict))
        while asking:
            said = await self._rules.propose(list(asking.values()))
            heard.said.update({one.key: one for one in said})
            wanted = {one.key: [fact for fact in one.asked if everything or fact in SHARED] for one in said}
            more = [self._add_facts(asking[key], facts, heard.missing[key]) for key, facts in wanted.items() if facts]
            asking = {event.key: event for event in await asyncio.gather(*more) if event}
        table = RuleTable(bundle.fingerprint, bundle.rules) if self._rules.bundle is bundle else RuleTable()
        return replace(heard, rule_table=table)

    def _choose_heard(self, sights: Sequence[Sight]) -> Iterator[Sight]:
        """Yield what some rule hears: most mail is clean, and few rules hear that."""
        verdicts = {sight.reading.verdict for sight in sights}
        heard = {verdict for verdict in verdicts if self._rules.is_heard("Message", verdict)}
        return (one for one in sights if one.reading.thing.kind != "Message" or one.reading.verdict in heard)

    async def _add_facts(self, event: Event, wanted: Sequence[str], missing: dict[str, str]) -> Event | None:
        """Return the event with the facts that could be fetched; None when none could, and note why not."""
        facts, unread, mended = dict(event.facts), dict(event.unread), dict(event.mended)
        for name in (name for name in wanted if name not in missing):
            try:
                async with self._slots:
                    facts[name], unread[name], mended[name] = await self._facts.ask(name, event.raw)
            except WorkerError as problem:
                missing[name] = str(problem)
        return replace(event, facts=facts, unread=unread, mended=mended) if len(facts) > len(event.facts) else None


def explain(asks: Sequence[Ask], missing: Mapping[str, str]) -> str:
    """Say what rules wait for, and what is in the way."""
    facts = dict.fromkeys(fact for ask in asks for fact in ask.facts)
    needed = [name for name in facts if name not in missing]
    return "; ".join(
        [
            *([f"needs {', '.join(sorted(needed))}"] if needed else []),
            *(f"could not fetch {name}: {missing[name]}" for name in sorted(facts) if name in missing),
            *(f"rule {ask.rule} uses {', '.join(ask.unread)}, {UNREAD}" for ask in asks if ask.unread),
            *(f"rule {ask.rule} has to be mended: {ask.stopped}" for ask in asks if ask.stopped),
        ]
    )


def _make_event(sight: Sight) -> Event:
    return Event(key=sight.key, kind=sight.reading.thing.kind, raw=sight.reading.raw)
