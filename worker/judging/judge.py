"""The judge: asks the rules about sights, fetches the facts they use, and drafts entries from the decisions."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
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
from worker.language.reading import read
from worker.language.rules import APPROVE, OBSERVE, Mode
from worker.ledger.entries import Draft, State
from worker.ledger.values import Broken, Held, Mishap, Reading, Sight
from worker.observations import read_message
from worker.rulehost.evaluation import Event, Failure, Said

AGAIN = (60.0, 300.0, 1800.0)
"""Seconds until a held event is judged again; hourly after these."""
HOURLY = 3600.0
GIVEN_UP = 86400.0
AT_ONCE = 8
"""Facts fetched at the same time."""
NAMING: dict[str, type[Report | Submission]] = {"Report": Report, "Submission": Submission}
"""Events that name a message without being one."""


class Rules(Protocol):
    """Whatever runs the rules: the rule host, or an evaluation in this process in simulations."""

    async def propose(self, events: Sequence[Event]) -> list[Said]:
        """Return what the rules say about each event."""


class Judged(Struct, frozen=True):
    """The result of judging some sights."""

    drafts: tuple[Draft, ...] = ()
    mishaps: tuple[Mishap, ...] = ()
    broken: tuple[Broken, ...] = ()
    held: tuple[Held, ...] = ()


class People(Noun, frozen=True, kw_only=True):
    """The fields of a message that entries keep, for people and for limits."""

    sender: Text = field(name="from", default="")
    client_recipients: Texts = ()
    subject: Text = ""


class Heard(Struct, frozen=True):
    """By the key of an event: what the rules said about it, and why a fact could not be fetched."""

    said: dict[str, Said]
    problems: dict[str, str]


class Judge:
    """Judges the sights of one account."""

    def __init__(self, *, rules: Rules, facts: Facts, clock: Clock, ceiling: Mode, stale: float) -> None:
        """``stale`` is the age in seconds beyond which a person must approve."""
        self._rules = rules
        self._facts = facts
        self._clock = clock
        self._ceiling = ceiling
        self._stale = stale
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def judge_new(self, sights: Sequence[Sight]) -> Judged:
        """Judge the sights of a page; one that needs an API call of its own is held, so that the page need not wait."""
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
        """Judge held events with the facts they need; when one cannot be fetched, hold its event longer or give up."""
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
        """Ask the rules, fetch the facts they use, and ask again, until they have what can be fetched now."""
        heard = Heard({}, {})
        asking = {sight.key: _make_event(sight) for sight in sights}
        while asking:
            said = await self._rules.propose(list(asking.values()))
            heard.said.update({one.key: one for one in said})
            wanting = [one for one in said if one.asked and (everything or SHARED.keys() >= set(one.asked))]
            informed = await asyncio.gather(*(self._add_facts(asking[one.key], one, heard) for one in wanting))
            asking = {event.key: event for event in informed if event}
        if everything:
            unread = {key: why for key, said in heard.said.items() if (why := _describe_unread(said))}
            heard.problems.update(unread)
        return heard

    async def _add_facts(self, event: Event, said: Said, heard: Heard) -> Event | None:
        """Return the event with the facts it needs; when one cannot be fetched, return None and note why."""
        facts, unread = dict(event.facts), dict(event.unread)
        for name in said.asked:
            try:
                async with self._slots:
                    facts[name], unread[name] = await self._facts.ask(name, event.raw)
            except WorkerError as problem:
                heard.problems[event.key] = f"could not fetch {name}: {problem}"
                return None
        return replace(event, facts=facts, unread=unread)

    def _explain_hold(self, said: Said, sight: Sight) -> str:
        """Say which API call this event needs before it can be judged; empty for none."""
        if said.asked:
            return f"needs {', '.join(said.asked)}"
        named = "needs the message it names" if _is_about_named_message(sight, said) else ""
        return _describe_unread(said) or named

    async def _find_subject(self, sight: Sight, said: Said) -> Reading:
        """Return the message that the actions are about: the event itself, or the message it names."""
        if not _is_about_named_message(sight, said):
            return sight.reading
        try:
            noun = read(NAMING[sight.reading.thing.kind], sight.reading.raw)
            return read_message(msgspec.Raw(await self._facts.find_message(noun)), self._clock.now())
        except (msgspec.MsgspecError, ValueError) as problem:
            raise Permanent(f"the message it names cannot be read: {problem}") from None

    def _hold_longer(self, held: Held, why: str) -> Held:
        now = self._clock.now()
        pause = AGAIN[held.tries] if held.tries < len(AGAIN) else HOURLY
        return replace(
            held, why=why, tries=held.tries + 1, next_at=now + pause, last=now + pause > held.since + GIVEN_UP
        )

    def _conclude(self, heard: Heard, subjects: dict[Sight, Reading], held: Sequence[Held]) -> Judged:
        """Turn the answers of rules into drafts, mishaps, and records that rules cannot read."""
        drafts: list[Draft] = []
        mishaps: list[Mishap] = []
        broken: list[Broken] = []
        for sight, subject in subjects.items():
            said = heard.said[sight.key]
            mishaps += _make_mishaps(sight, said.failed)
            if said.unreadable:
                broken.append(Broken(sight.reading.raw, said.unreadable))
            decisions = decide(lower_mode(proposal, self._ceiling) for proposal in said.proposals)
            drafts += self._make_drafts(sight, subject, decisions)
        return Judged(tuple(drafts), tuple(mishaps), tuple(broken), tuple(held))

    def _make_drafts(self, sight: Sight, subject: Reading, decisions: Sequence[Decision]) -> list[Draft]:
        """Make a draft of each decision about one event; keeping needs none."""
        to_do = [decision for decision in decisions if not isinstance(decision.action, Keep)]
        if not to_do:
            return []
        now = self._clock.now()
        known_at = sight.reading.thing.time if sight.number == 1 else now
        common = _make_common(sight, subject, known_at)
        stale = now - known_at > self._stale
        return [
            _complete_draft(common, one, subject.thing.id, *_choose_state(one, self._ceiling, stale=stale))
            for one in to_do
        ]


def _describe_unread(said: Said) -> str:
    """Name the fields that could not be read, and the rules that wait for them; empty when none does."""
    return "; ".join(f"rule {ask.rule} uses {', '.join(ask.unread)}, unread" for ask in said.asks if ask.unread)


def _make_mishaps(sight: Sight, failures: Sequence[Failure]) -> list[Mishap]:
    """Return the failures of rules on one event as the ledger keeps them."""
    return [
        Mishap(
            rule=failure.rule,
            fingerprint=failure.fingerprint,
            cause=sight.key,
            problem=_describe_place(failure) + failure.problem,
            raw=sight.reading.raw,
        )
        for failure in failures
    ]


def _read_people(subject: Reading) -> People:
    """Return sender, recipients and subject; empty when they cannot be read, since they are only shown and counted."""
    try:
        return PEOPLE.get(subject.thing.kind, _read_nobody)(subject.raw)
    except ValueError:
        return People()


def _read_nobody(_: bytes) -> People:
    return People()


def _read_report_people(raw: bytes) -> People:
    """Return sender and recipients of the mail that a report is about, and the report's title."""
    report = read(Report, raw)
    return People(sender=report.fields.sender, client_recipients=report.fields.to, subject=report.title)


PEOPLE: dict[str, Callable[[bytes], People]] = {
    "Message": partial(read, People),
    "Report": _read_report_people,
    "Submission": lambda raw: People(subject=read(Submission, raw).subject),
}


def _make_common(sight: Sight, subject: Reading, known_at: float) -> Draft:
    """Return a draft with the fields that all drafts of one event share."""
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


def _complete_draft(common: Draft, decision: Decision, message: str, state: State, why: str) -> Draft:
    """Complete a draft with one decision."""
    action = decision.action
    sentence = f"{common.cause}#{decision.rules[0]}"
    return replace(
        common,
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
        item_kind="dispute" if decision.disputed else "decision",
        item_of=common.cause if decision.disputed else "",
    )


def _choose_state(decision: Decision, ceiling: Mode, *, stale: bool) -> tuple[State, str]:
    """Return the state in which a decision is entered, and why it waits if it does."""
    if decision.fallen:
        return "moot", ""
    if decision.mode is OBSERVE:
        return "observed", ""
    if decision.disputed:
        return "waiting", "rules of equal priority want different things"
    if decision.mode is APPROVE:
        return "waiting", _explain_approval(decision, ceiling)
    return ("waiting", "older than WORKER_STALE when it became known") if stale else ("ready", "")


def _explain_approval(decision: Decision, ceiling: Mode) -> str:
    """Say why a person has to approve a decision."""
    if ceiling is APPROVE:
        return "WORKER_CEILING is approve"
    if decision.action.irreversible:
        return "this move cannot be undone"
    return "it belongs to a move that cannot be undone" if decision.irreversible else "the rule's mode is APPROVE"


def _describe_place(failure: Failure) -> str:
    """Say where in its file a rule failed; empty when that is unknown."""
    return f"{failure.file}:{failure.line}: " if failure.file else ""


def _is_about_named_message(sight: Sight, said: Said) -> bool:
    """Return whether an event that names a message has proposals about that message."""
    wanted = (action for proposal in said.proposals for action in proposal.actions)
    return sight.reading.thing.kind in NAMING and any(action.about_message for action in wanted)


def _make_event(sight: Sight) -> Event:
    return Event(key=sight.key, kind=sight.reading.thing.kind, raw=sight.reading.raw)
