"""Judging: sights go to the rules, facts are fetched when a rule touches one, decisions become drafts of entries."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from worker.api import Clock
from worker.errors import Permanent, WorkerError
from worker.judging.decide import Decision, decide, lower_mode
from worker.judging.facts import SHARED, Facts
from worker.language.actions import Keep
from worker.language.base import Noun, Text, Texts
from worker.language.models import Report, Submission
from worker.language.rules import APPROVE, OBSERVE, Mode
from worker.ledger.entries import State
from worker.ledger.values import Broken, Draft, Held, Mishap, Reading, Sight
from worker.observations import message_reading
from worker.rulehost.evaluation import Event, Failure, Said

AGAIN = (60.0, 300.0, 1800.0)
"""Seconds until a held event is tried again; hourly after these."""
HOURLY = 3600.0
GIVEN_UP = 86400.0
AT_ONCE = 8
"""Facts asked for side by side."""
_report, _submission = msgspec.json.Decoder(Report).decode, msgspec.json.Decoder(Submission).decode
NAMING: dict[str, Callable[[bytes], Report | Submission]] = {"Report": _report, "Submission": _submission}
"""What names a message without being one."""


class Rules(Protocol):
    """Where rules live: the child process, or the same judging in this process when days are simulated."""

    async def propose(self, events: Sequence[Event]) -> list[Said]:
        """Return what the rules say about each event."""


class Judged(Struct, frozen=True):
    """What judging some sights came to."""

    drafts: tuple[Draft, ...] = ()
    mishaps: tuple[Mishap, ...] = ()
    broken: tuple[Broken, ...] = ()
    held: tuple[Held, ...] = ()


class People(Noun, frozen=True, kw_only=True):
    """What of a message is written into entries, for people and limits."""

    sender: Text = field(name="from", default="")
    client_recipients: Texts = ()
    subject: Text = ""


class Heard(Struct, frozen=True):
    """What the rules said of some events, and why a fact could not be had for others, by the event's key."""

    said: dict[str, Said]
    problems: dict[str, str]


class Judge:
    """Judges sights of one account."""

    def __init__(self, *, rules: Rules, facts: Facts, clock: Clock, ceiling: Mode, stale: float) -> None:
        """Keep what is handed in; ``stale`` is the age in seconds beyond which a person is asked."""
        self._rules = rules
        self._facts = facts
        self._clock = clock
        self._ceiling = ceiling
        self._stale = stale
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def judge_new(self, sights: Sequence[Sight]) -> Judged:
        """Judge what a page brought; an event that needs a call of its own is held, so that the page need not wait."""
        heard = await self._ask_rules(sights, everything=False)
        now = self._clock.now()
        held = [
            Held(sight=sight, why=why, since=now, tries=0, next_at=now)
            for sight in sights
            if (why := heard.problems.get(sight.key) or self._explain_hold(heard.said[sight.key], sight))
        ]
        apart = {item.sight.key for item in held}
        return self._conclude(heard, {sight: sight.reading for sight in sights if sight.key not in apart}, held)

    async def judge_held(self, held: Sequence[Held]) -> Judged:
        """Judge held events with the facts they ask for; what still cannot be had is held longer, or given up."""
        heard = await self._ask_rules([item.sight for item in held], everything=True)
        subjects: dict[Sight, Reading] = {}
        for sight in (item.sight for item in held if item.sight.key not in heard.problems):
            try:
                subjects[sight] = await self._find_subject(sight, heard.said[sight.key])
            except WorkerError as problem:
                heard.problems[sight.key] = str(problem)
        longer = [self._hold_longer(item, why) for item in held if (why := heard.problems.get(item.sight.key))]
        return self._conclude(heard, subjects, longer)

    async def _ask_rules(self, sights: Sequence[Sight], *, everything: bool) -> Heard:
        """Ask the rules, fetch what they touch, and ask them again, until they have what can be had now."""
        heard = Heard({}, {})
        asking = {sight.key: _make_event(sight) for sight in sights}
        while asking:
            said = await self._rules.propose(list(asking.values()))
            heard.said.update({one.key: one for one in said})
            wanting = [one for one in said if one.asked and (everything or SHARED.keys() >= set(one.asked))]
            informed = await asyncio.gather(*(self._add_facts(asking[one.key], one, heard) for one in wanting))
            asking = {event.key: event for event in informed if event}
        return heard

    async def _add_facts(self, event: Event, said: Said, heard: Heard) -> Event | None:
        """Return the event with the facts it asks for; None, and why, when one cannot be had now."""
        facts = dict(event.facts)
        for name in said.asked:
            try:
                async with self._slots:
                    facts[name] = await self._facts.ask(name, event.raw)
            except WorkerError as problem:
                heard.problems[event.key] = f"{name} could not be had: {problem}"
                return None
        return replace(event, facts=facts)

    def _explain_hold(self, said: Said, sight: Sight) -> str:
        """Say what has to be asked for this event alone before it can be judged; empty when nothing is missing."""
        if said.asked:
            return f"asks for {', '.join(said.asked)}"
        return "looks for the message it names" if _is_about_named_message(sight, said) else ""

    async def _find_subject(self, sight: Sight, said: Said) -> Reading:
        """Return what the effects are to touch: the message itself, or the one that is named."""
        if not _is_about_named_message(sight, said):
            return sight.reading
        try:
            noun = NAMING[sight.reading.thing.kind](sight.reading.raw)
            return message_reading(msgspec.Raw(await self._facts.message_of(noun)), self._clock.now())
        except (msgspec.MsgspecError, ValueError) as problem:
            raise Permanent(f"the message it names cannot be read: {problem}") from None

    def _hold_longer(self, held: Held, why: str) -> Held:
        now = self._clock.now()
        pause = AGAIN[held.tries] if held.tries < len(AGAIN) else HOURLY
        return replace(
            held, why=why, tries=held.tries + 1, next_at=now + pause, last=now + pause > held.since + GIVEN_UP
        )

    def _conclude(self, heard: Heard, subjects: dict[Sight, Reading], held: Sequence[Held]) -> Judged:
        """Turn what was said into drafts, mishaps, and records that rules cannot read."""
        drafts: list[Draft] = []
        mishaps: list[Mishap] = []
        broken: list[Broken] = []
        for sight, subject in subjects.items():
            said = heard.said[sight.key]
            raw = sight.reading.raw
            mishaps += [
                Mishap(
                    rule=f.rule,
                    fingerprint=f.fingerprint,
                    cause=sight.key,
                    problem=_describe_place(f) + f.problem,
                    raw=raw,
                )
                for f in said.failed
            ]
            if said.unreadable:
                broken.append(Broken(raw, said.unreadable))
            decisions = decide(lower_mode(proposal, self._ceiling) for proposal in said.proposals)
            drafts += self._make_drafts(sight, subject, decisions)
        return Judged(tuple(drafts), tuple(mishaps), tuple(broken), tuple(held))

    def _make_drafts(self, sight: Sight, subject: Reading, decisions: Sequence[Decision]) -> list[Draft]:
        """Write down what is to be entered for one event."""
        to_do = [decision for decision in decisions if not isinstance(decision.action, Keep)]
        if not to_do:
            return []
        now = self._clock.now()
        known_at = sight.reading.thing.time if sight.number == 1 else now
        stale = now - known_at > self._stale
        plain = _make_plain(sight, subject, known_at)
        asking = "WORKER_CEILING is approve" if self._ceiling is APPROVE else "the rule asks, or it cannot be undone"
        return [_complete_draft(plain, one, sight.key, subject.thing.id, asking, stale=stale) for one in to_do]


def _read_people(subject: Reading) -> People:
    """Say who a message is from and to; what makes no sense there is left out, for it is only shown and counted."""
    try:
        return PEOPLE.get(subject.thing.kind, _read_nobody)(subject.raw)
    except ValueError:
        return People()


def _read_nobody(_: bytes) -> People:
    return People()


def _read_report_people(raw: bytes) -> People:
    """Say who the mail of a report is from and to, and what the report calls it."""
    report = _report(raw)
    return People(sender=report.fields.sender, client_recipients=report.fields.to, subject=report.title)


PEOPLE: dict[str, Callable[[bytes], People]] = {
    "Message": msgspec.json.Decoder(People).decode,
    "Report": _read_report_people,
    "Submission": lambda raw: People(subject=_submission(raw).subject),
}


def _make_plain(sight: Sight, subject: Reading, known_at: float) -> Draft:
    """Return what all drafts of one event have in common."""
    people = _read_people(subject)
    return Draft(
        lane="keep",
        target="",
        cause=sight.key,
        action=Keep(),
        mode=OBSERVE,
        state="observed",
        rules=(),
        fingerprints=(),
        because="",
        item="",
        verdict=subject.state,
        sender=people.sender[:320],
        recipients=tuple([address[:320] for address in people.client_recipients[:50]]),
        subject=people.subject[:200],
        scanned_at=subject.thing.time,
        known_at=known_at,
    )


def _complete_draft(plain: Draft, decision: Decision, key: str, message: str, asking: str, *, stale: bool) -> Draft:
    """Complete a draft for one decision."""
    action = decision.action
    state, why = _choose_state(decision, asking, stale=stale)
    sentence = f"{key}#{decision.rules[0]}"
    return replace(
        plain,
        lane=action.lane,
        target=action.on or message,
        action=action,
        mode=decision.mode,
        state=state,
        why_waiting=why,
        rules=decision.rules,
        fingerprints=decision.fingerprints,
        because=f"outranked by {decision.fallen}: {action.because}" if decision.fallen else action.because,
        item=f"dispute/{sentence}" if decision.disputed else sentence,
    )


def _choose_state(decision: Decision, asking: str, *, stale: bool) -> tuple[State, str]:
    """Return the state in which a decision is entered, and why it waits if it does."""
    if decision.fallen:
        return "moot", ""
    if decision.mode is OBSERVE:
        return "observed", ""
    if decision.disputed:
        return "waiting", "rules of equal priority want different things"
    if decision.mode is APPROVE:
        return "waiting", asking
    return ("waiting", "older than WORKER_STALE when it became known") if stale else ("ready", "")


def _describe_place(failure: Failure) -> str:
    """Say where in its file a rule failed, when that is known."""
    return f"{failure.file}:{failure.line}: " if failure.file else ""


def _is_about_named_message(sight: Sight, said: Said) -> bool:
    """Tell whether an event that is not a message itself leads to effects on one."""
    wanted = (action for proposal in said.proposals for action in proposal.actions)
    return sight.reading.thing.kind in NAMING and any(action.about_message for action in wanted)


def _make_event(sight: Sight) -> Event:
    return Event(key=sight.key, kind=sight.reading.thing.kind, raw=sight.reading.raw)
