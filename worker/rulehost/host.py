"""The rule host: runs rules in a child process, so that a rule that hangs or crashes harms no other rule.

The daemon reads rule files and never runs one. When a child hangs or dies, the host starts another one and judges the
page again, without the call that was running.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from msgspec import Struct
from msgspec.structs import replace

from worker.errors import SettingsError, Temporary
from worker.language.rules import OBSERVE, Ask, Proposal, RuleInfo
from worker.rulehost.evaluation import Event, Failure, Said, Skip, is_heard
from worker.rulehost.loader import Sources, read, to_error
from worker.rulehost.process import Child, Patience, Stopped
from worker.rulehost.protocol import PAGE_BYTES, PAGE_EVENTS, EventPage
from worker.rulehost.starting import Launch, start, start_twice
from worker.rulehost.validation import Problem
from worker.rulehost.verdicts import Untrue, describe_asked, list_places, read_verdicts
from worker.walls import SANDBOXES, Sandbox, Standing

PAGE_SECONDS = 20.0
"""Seconds that a page may take at most, whatever its rules do."""
STRIKES, HOUR = 3, 3600.0
"""A rule that stops the child three times within an hour only observes until its code changes; on one page, it is not
asked about the other events any more."""
SPARED = "it stopped the rule process on {} other events of the same page: {}"
UNASKED = "it only observes, and the rule process stopped twice where no rule can be blamed: {}"
CHANGED = "its rules are not those that were loaded from the same files, so a file behaves differently each time"
RESTART_AFTER = 5.0
"""Seconds until the worker tries again to start a child."""
OnCalls = Callable[[str, int, float], None]
"""Is called with the name of a rule, how often it ran on a page, and the seconds that took."""


class Deadlines(NamedTuple):
    """Seconds that one call of a rule may last, and that loading one file may."""

    call: float = 0.5
    load: float = 10.0


class BundleInfo(Struct, frozen=True):
    """The running rules; ``generation`` grows with each bundle that is loaded."""

    generation: int = 0
    fingerprint: str = ""
    rules: tuple[RuleInfo, ...] = ()


class Host:
    """Judges events in a child process; an async context manager that loads the rules and raises RuleError."""

    def __init__(
        self,
        rules: Path,
        *,
        channels: frozenset[str] | None = None,
        deadlines: Deadlines = Deadlines(),  # noqa: B008 (frozen)
        sandbox: Sandbox = SANDBOXES["best-effort"],
        clock: Callable[[], float] = time.monotonic,
        python: str = sys.executable,
        on_calls: OnCalls = lambda *_: None,
    ) -> None:
        """``channels`` have an address; None: that is not checked."""
        self.bundle = BundleInfo()
        self.standing: Standing = {}
        """Which walls stand around the rules, as the newest child said before it was given any."""
        self._folder, self._channels, self._clock = rules, channels, clock
        self._launch, self._deadline, self._on_calls = Launch(python, deadlines.load, sandbox), deadlines.call, on_calls
        self._sources = Sources("", {})
        self._child: Child | None = None
        self._turn = asyncio.Lock()
        self._strikes: dict[str, list[float]] = {}
        self._lowered: set[str] = set()
        self._spared = dict[tuple[str, str], Skip]()

    async def __aenter__(self) -> Self:
        await self.load()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    @property
    def lowered(self) -> frozenset[str]:
        """The running rules that only observe, because they stopped the child too often."""
        return frozenset(rule.name for rule in self.bundle.rules if rule.fingerprint in self._lowered)

    @property
    def pid(self) -> int:
        """The child's process id, 0 while there is none."""
        return self._child.pid if self._child else 0

    async def load(self) -> BundleInfo:
        """Load the folder as it is now; raise RuleError and keep the running rules when it cannot be loaded."""
        sources = read(self._folder, self._channels)
        if self.bundle.generation and sources == self._sources:
            return self.bundle
        child, loaded, self.standing = await start_twice(sources, self._launch)
        if loaded.problems:
            await child.end()
            raise to_error(loaded.problems)
        async with self._turn:
            await self._end()
            self._child, self._sources = child, sources
            self.bundle = BundleInfo(self.bundle.generation + 1, loaded.fingerprint, loaded.rules)
            running = {rule.fingerprint for rule in loaded.rules}
            self._spared = {name: one for name, one in self._spared.items() if one.failure.fingerprint in running}
        return self.bundle

    async def _end(self) -> None:
        """End the child, if there is one."""
        child, self._child = self._child, None
        if child:
            await child.end()

    def is_heard(self, kind: str, disposition: str) -> bool:
        """Return whether any rule that is loaded judges such an event."""
        return is_heard(self.bundle.rules, kind, disposition)

    async def propose(self, events: Sequence[Event]) -> list[Said]:
        """Return what the rules say, one answer per event in the order given.

        A rule that has stopped the child too often on a page asks for a later time for its other events: for these, it
        is not asked again before its code has changed or the worker is started again.
        """
        async with self._turn:
            found = [said for page in split_pages(events) for said in await self._judge_page(page, self._recall(page))]
        return self._apply_lowering([self._hold_spared(said) for said in found])

    def _recall(self, page: Sequence[Event]) -> tuple[Skip, ...]:
        """Return the calls that were not made before, and would stop the child now as others did then."""
        names = [rule.name for rule in self.bundle.rules if rule.fingerprint in self._lowered] if self._spared else ()
        found = (self._spared.get((event.key, name)) for event in page for name in names)
        return tuple(skip for skip in found if skip)

    def _hold_spared(self, said: Said) -> Said:
        """Let rules that were not asked about an event ask to be heard later; nobody waits for what they may want."""
        spared = {one.rule: one for one in said.failed if one.spared}
        if not spared:
            return said
        self._spared.update(((said.key, name), Skip(key=said.key, failure=one)) for name, one in spared.items())
        rules = [rule for rule in self.bundle.rules if rule.name in spared]
        asks = tuple(_ask_later(rule, spared[rule.name].problem) for rule in rules)
        failed = tuple(one for one in said.failed if not one.spared)
        return replace(said, asks=(*said.asks, *asks), failed=failed)

    def _apply_lowering(self, answers: list[Said]) -> list[Said]:
        """Make proposals of lowered rules observe only."""
        if not self._lowered:
            return answers
        return [replace(one, proposals=tuple(self._lower(said) for said in one.proposals)) for one in answers]

    def _lower(self, said: Proposal) -> Proposal:
        """Make a proposal observe only if its rule is lowered."""
        return replace(said, mode=OBSERVE, lowered="stops") if said.fingerprint in self._lowered else said

    async def _judge_page(self, events: Sequence[Event], skip: tuple[Skip, ...] = ()) -> list[Said]:
        """Judge a page, leaving out the calls that stop the child."""
        unexplained: list[Stopped] = []
        while len(unexplained) < 2:  # noqa: PLR2004 (a single stop outside of rules may have any cause, so it is tried again)
            try:
                return await self._ask_child(EventPage(tuple(events), skip))
            except Stopped as stop:
                if self._is_explained(stop, events, skip):
                    skip += _spare(self._blame(stop), events[stop.event], events, skip)
                else:
                    unexplained.append(stop)
        if spared := self._spare_lowered(unexplained[-1], events, skip):
            return await self._judge_page(events, (*skip, *spared))
        if len(events) == 1:
            return [await self._judge_singly(events[0], skip, unexplained[-1])]
        half = len(events) // 2
        return [*await self._judge_page(events[:half], skip), *await self._judge_page(events[half:], skip)]

    def _spare_lowered(self, stop: Stopped, events: Sequence[Event], skip: Sequence[Skip]) -> tuple[Skip, ...]:
        """Return the calls of lowered rules, which are suspected first: looking for another costs many processes."""
        known = {(one.key, one.failure.rule) for one in skip}
        return tuple(
            Skip(key=event.key, failure=replace(_make_failure(rule, UNASKED.format(stop.why)), spared=True))
            for rule in self.bundle.rules
            if rule.fingerprint in self._lowered
            for event in events
            if rule.trigger == event.kind and (event.key, rule.name) not in known
        )

    def _is_explained(self, stop: Stopped, events: Sequence[Event], skip: Sequence[Skip]) -> bool:
        """Tell whether a child can have ended in the call that it noted: a rule can write anything there."""
        if stop.rule >= len(self.bundle.rules) or stop.event >= len(events):
            return False
        noted = events[stop.event].key, self.bundle.rules[stop.rule].name
        return all((one.key, one.failure.rule) != noted for one in skip)

    async def _judge_singly(self, event: Event, skip: Sequence[Skip], stop: Stopped) -> Said:
        """Judge an event by one rule after the other, because nobody knows which of them stops the child."""
        silenced = {one.failure.rule for one in skip if one.key == event.key}
        rules = [rule for rule in self.bundle.rules if rule.trigger == event.kind and rule.name not in silenced]
        others = {rule.name: Skip(key=event.key, failure=_make_failure(rule, stop.why)) for rule in rules}
        try:
            said = [await self._ask_without(event, (*skip, *others.values()), others)]
        except Stopped as again:
            return Said(key=event.key, unreadable=f"the rule process cannot read it: {again.why}")
        for number, rule in enumerate(self.bundle.rules):
            if rule.name in others:
                rest = {name: one for name, one in others.items() if name != rule.name}
                try:
                    said.append(await self._ask_without(event, (*skip, *rest.values()), rest))
                except Stopped as again:
                    guilty = Stopped(again.why, 0, number, again.lines)
                    said.append(Said(key=event.key, failed=(self._blame(guilty),)))
        return _join(event.key, said)

    async def _ask_without(self, event: Event, skip: Sequence[Skip], silenced: Collection[str]) -> Said:
        """Ask about one event, and leave out that some rules were not asked."""
        (said,) = await self._ask_child(EventPage((event,), tuple(skip)))
        return replace(said, failed=tuple(one for one in said.failed if one.rule not in silenced))

    async def _ask_child(self, page: EventPage) -> list[Said]:
        """Ask the child, or a new one; end it on any error, so that no late answer is taken for the next one."""
        if not self._child:
            self._child = await self._restart()
        try:
            frames = await self._child.ask(page, self._find_patience(page), frames=len(page.events))
            return await self._read_frames(frames, page)
        except Untrue as problem:
            stop = self._child.blame(f"its process answered what cannot be: {problem}")
            await self._end()
            raise stop from problem
        except BaseException:
            await self._end()
            raise

    async def _read_frames(self, frames: Sequence[bytes], page: EventPage) -> list[Said]:
        """Return what was said about each event; raise Untrue."""
        rules, said = self.bundle.rules, list[Said]()
        asked = describe_asked(page.events, page.skip, rules, self._sources)
        for frame in frames:
            verdicts = read_verdicts(frame, asked, len(said))
            said += verdicts.said
            for number, (calls, seconds) in verdicts.calls.items():
                self._on_calls(rules[number].name, calls, seconds)
            await asyncio.sleep(0)  # one frame is read quickly, several may not be
        if len(said) < len(page.events):
            raise Untrue("it leaves events out")
        return said

    def _find_patience(self, page: EventPage) -> Patience:
        """Return how long a page may take: the less, the fewer calls there are to make."""
        calls = 1 + len(page.events) * len(self.bundle.rules)
        call = self._deadline
        return Patience(call, max(10 * call, min(PAGE_SECONDS, calls * call)))

    async def _restart(self) -> Child:
        """Start a child with the rules that were running; raise Temporary when that fails."""
        try:
            child, loaded, self.standing = await start(replace(self._sources, judging=True), self._launch)
        except (SettingsError, OSError) as error:
            raise _wait_for_child(error) from None
        if loaded.problems or loaded.rules != self.bundle.rules:
            await child.end()
            raise _wait_for_child(to_error(loaded.problems or [Problem(CHANGED, str(self._folder))]))
        return child

    def _blame(self, stop: Stopped) -> Failure:
        """Count a strike against the rule, and lower it at the third."""
        rule, folder = self.bundle.rules[stop.rule], self._sources.folder
        place = stop.locate(folder)
        now = self._clock()
        strikes = [at for at in self._strikes.get(rule.fingerprint, ()) if now - at < HOUR]
        self._strikes[rule.fingerprint] = [*strikes, now]
        if len(strikes) + 1 >= STRIKES:
            self._lowered.add(rule.fingerprint)
        return _make_failure(rule, stop.why, place if place and place[0] in list_places(self._sources) else None)


def _wait_for_child(error: Exception) -> Temporary:
    return Temporary(f"cannot start the rule process again: {error}", after=RESTART_AFTER)


def _ask_later(rule: RuleInfo, why: str) -> Ask:
    return Ask(rule=rule.name, actions=rule.actions, mode=OBSERVE, priority=rule.priority, stopped=why)


def _make_failure(rule: RuleInfo, why: str, place: tuple[str, int] | None = None) -> Failure:
    file, line = place or (rule.file, rule.line)
    return Failure(rule=rule.name, fingerprint=rule.fingerprint, problem=why, file=file, line=line)


def _join(key: str, said: Sequence[Said]) -> Said:
    """Make one answer of what several rules said about an event, each by itself."""
    return Said(
        key=key,
        proposals=tuple(each for one in said for each in one.proposals),
        asks=tuple(each for one in said for each in one.asks),
        failed=tuple(each for one in said for each in one.failed),
    )


def _spare(failure: Failure, event: Event, page: Sequence[Event], skip: Sequence[Skip]) -> tuple[Skip, ...]:
    """Return the calls to skip: the one that stopped the child, and from the third on a page those about all others."""
    stopped = {event.key, *(one.key for one in skip if one.failure.rule == failure.rule and not one.failure.spared)}
    this = Skip(key=event.key, failure=failure)
    if len(stopped) < STRIKES:
        return (this,)
    other = replace(failure, problem=SPARED.format(len(stopped), failure.problem), spared=True)
    return (this, *(Skip(key=one.key, failure=other) for one in page if one.key not in stopped))


def split_pages(events: Sequence[Event]) -> Iterator[list[Event]]:
    """Split events into pages that fit a frame."""
    page: list[Event] = []
    size = 0
    for event in events:
        weight = len(event.raw) + sum(map(len, event.facts.values()))
        if page and (len(page) == PAGE_EVENTS or size + weight > PAGE_BYTES):
            yield page
            page, size = [], 0
        page.append(event)
        size += weight
    if page:
        yield page
