"""The judge: hears the rules about sights, decides, and drafts entries; who cannot answer yet is heard again."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from worker.api import Clock
from worker.errors import Permanent, WorkerError
from worker.judging.answers import list_answers, list_held
from worker.judging.decide import DecidedAction, decide, lower_mode
from worker.judging.facts import Facts
from worker.judging.hearing import Heard, Hearing, Rules, explain
from worker.judging.people import People, read_people
from worker.judging.refusals import address, refuse
from worker.judging.waiting import split
from worker.language.actions import BlockSender, Keep
from worker.language.models import URGENT, Report, Submission
from worker.language.reading import read
from worker.language.rules import APPROVE, OBSERVE, Mode
from worker.ledger.crowding import UNHEARD
from worker.ledger.doubts import BlockDoubt, find_doubt
from worker.ledger.entries import Draft, State, Why
from worker.ledger.values import Broken, Held, Judgement, Mishap, Pending, Reading, RuleAnswer, RuleTable, Sight
from worker.observations import read_message
from worker.rulehost.evaluation import Failure, Said

AGAIN = (60.0, 300.0, 1800.0)
"""Seconds until a held event is judged again; hourly after these."""
FIELD_AGAIN = (300.0, 1500.0)
"""The same of one that waits for nothing but fields: its record is read again before."""
HOURLY = 3600.0
GIVEN_UP = 86400.0
PATIENCE = 300.0
"""Seconds for which what is wanted of malicious mail waits for rules that cannot answer yet."""
ATTEMPT = 20.0
"""Seconds that facts of such mail have at least when they are fetched."""
NAMING: dict[str, type[Report | Submission]] = {"Report": Report, "Submission": Submission}
"""Events that name a message without being one."""
NAMED = "needs the message it names"


class Judged(Struct, frozen=True):
    """The result of judging some sights."""

    drafts: tuple[Draft, ...] = ()
    mishaps: tuple[Mishap, ...] = ()
    broken: tuple[Broken, ...] = ()
    held: tuple[Held, ...] = ()
    judgements: tuple[Judgement, ...] = ()
    rule_table: RuleTable = RuleTable()

    @property
    def decisions(self) -> int:
        """How many decisions the drafts are: what a person would approve or refuse as one counts once."""
        return len({draft.item for draft in self.drafts})


class Judge:
    """Judges the sights of one account."""

    def __init__(self, *, rules: Rules, facts: Facts, clock: Clock, ceiling: Mode, stale: float) -> None:
        """``stale`` is the age in seconds beyond which a person must approve."""
        self._hearing, self._facts, self._clock = Hearing(rules, facts), facts, clock
        self._ceiling, self._stale = ceiling, stale

    async def judge_new(self, sights: Sequence[Sight], *, is_crowded: bool = False) -> Judged:
        """Judge the sights of a page; rules that need an API call are heard later, so that the page need not wait.

        While too many events are held for more, nothing that is wanted of malicious mail waits for such rules.
        """
        heard, now = await self._hearing.hear(sights, everything=False), self._clock.now()
        spoken_of = (sight for sight in sights if not heard.said[sight.key].is_nothing)
        waits = partial(Held, why="", since=now, tries=0, next_at=now, patient=not is_crowded)
        return self._settle_all([waits(sight=sight) for sight in spoken_of], heard)

    async def judge_unheard(self, items: Sequence[Held]) -> Judged:
        """Judge sights that could not be held, for the rules that have not answered."""
        heard = await self._hearing.hear([item.sight for item in items], everything=False)
        return self._settle_all(
            [_add_entered(item, heard.said[item.sight.key], self._ceiling) for item in items], heard
        )

    def _settle_all(self, items: Sequence[Held], heard: Heard) -> Judged:
        """Settle what is judged of a page; what is about a message that an event names waits for that message."""
        naming = {item.sight.key: NAMED for item in items if _is_about_named_message(item, heard.said[item.sight.key])}
        return add_up([self._settle(item, heard, item.sight.reading, naming) for item in items], heard.rule_table)

    async def judge_held(self, item: Held) -> Judged:
        """Judge a held event for the rules that have not answered; hold it longer if they still cannot, or give up."""
        heard, problems = await self._hear_held(item), dict[str, str]()
        subject = item.sight.reading
        try:
            subject = await self._find_subject(item, heard.said[item.sight.key])
        except WorkerError as problem:
            problems[item.sight.key] = str(problem)
        return add_up([self._settle(self._try_again(item), heard, subject, problems)], heard.rule_table)

    async def _hear_held(self, item: Held) -> Heard:
        """Hear the rules with all facts; without them if what is wanted of malicious mail may not wait any longer."""
        try:
            async with asyncio.timeout(self._find_patience(item)):
                return await self._hearing.hear([item.sight], everything=True)
        except TimeoutError:
            return await self._hearing.hear([item.sight], everything=False)

    def _find_patience(self, item: Held) -> float | None:
        """Return for how many seconds facts of an event may be waited for; None for any time."""
        urgent = item.pending.late and item.sight.reading.verdict in URGENT
        return max(ATTEMPT, item.since + PATIENCE - self._clock.now()) if urgent else None

    async def _find_subject(self, item: Held, said: Said) -> Reading:
        """Return the message that the actions are about: the event itself, or the message it names."""
        if not _is_about_named_message(item, said):
            return item.sight.reading
        try:
            noun = read(NAMING[item.sight.reading.thing.kind], item.sight.reading.raw)
            return read_message(msgspec.Raw(await self._facts.find_message(noun)), self._clock.now())
        except (msgspec.MsgspecError, ValueError) as problem:
            raise Permanent(f"the message it names cannot be read: {problem}") from None

    def _try_again(self, held: Held) -> Held:
        """Count one more attempt, and say when the next one is due, or that this was the last."""
        now, pauses = self._clock.now(), FIELD_AGAIN if _waits_for_fields(held.pending) else AGAIN
        at = now + (pauses[held.tries] if held.tries < len(pauses) else HOURLY)
        urgent = held.pending.late and held.sight.reading.verdict in URGENT and now < held.since + PATIENCE
        return replace(
            held,
            tries=held.tries + 1,
            next_at=min(at, held.since + PATIENCE) if urgent else at,
            last=at > held.since + GIVEN_UP,
        )

    def _settle(self, item: Held, heard: Heard, subject: Reading, problems: Mapping[str, str]) -> Judged:
        """Decide about an event by what has been said up to now; who has not answered is heard again later."""
        said = _leave_out_answered(item, heard.said[item.sight.key])
        mishaps = _make_mishaps(item.sight, said.failed)
        if said.unreadable and item.tries:
            return self._hold_longer(item, subject, said.unreadable)
        if said.unreadable:
            broken = (_give_up_reading(item.sight.reading, said.unreadable),)
            return Judged(broken=broken, judgements=_judge(item, list_answers(said, (), (), ())))
        if problem := problems.get(item.sight.key):  # without the message, nothing can be entered about it
            waits = replace(item, why=problem)
            asked = (self._ask_person(waits, subject, _name_rules(said)),) if item.last else ()
            return Judged(drafts=asked, held=(waits,), judgements=_judge(item, list_held(said.proposals)))
        wanted = [*item.pending.late, *(lower_mode(proposal, self._ceiling) for proposal in said.proposals)]
        free, late = split(wanted, said.asks, self._ceiling)
        if self._has_waited(item):
            free, late = tuple(wanted), ()
        decided = decide(free, item.pending.entered)
        drafts = self._make_drafts(item.sight, subject, decided)
        judgements = _judge(item, list_answers(said, wanted, late, decided))
        if not said.asks:
            return Judged(drafts=drafts, mishaps=mishaps, judgements=judgements)
        why = explain(said.asks, heard.missing[item.sight.key])
        pending = Pending(asks=said.asks, entered=(*item.pending.entered, *free), late=late)
        waits = replace(item, why=why, pending=pending)
        asked = (self._ask_person(waits, subject, _name_rules(said)),) if item.last else ()
        return Judged(drafts=(*drafts, *asked), mishaps=mishaps, held=(waits,), judgements=judgements)

    def _hold_longer(self, item: Held, subject: Reading, why: str) -> Judged:
        """Hold an event that the rules cannot be given now; what some wanted before waits no longer for that."""
        pending = item.pending
        free = pending.late if self._has_waited(item) else ()
        drafts = self._make_drafts(item.sight, subject, decide(free, pending.entered))
        left = replace(pending, entered=(*pending.entered, *free), late=() if free else pending.late)
        waits, rules = replace(item, why=why, pending=left), tuple(ask.rule for ask in pending.asks)
        asked = (self._ask_person(waits, subject, rules),) if item.last else ()
        judgements = _judge(item, (RuleAnswer(result="unreadable"),)) if item.last else ()
        return Judged(drafts=(*drafts, *asked), held=(waits,), judgements=judgements)

    def _has_waited(self, item: Held) -> bool:
        """Tell whether what rules want of an event waits no longer for those that have not answered."""
        urgent = item.sight.reading.verdict in URGENT
        return item.last or (urgent and (not item.patient or self._clock.now() >= item.since + PATIENCE))

    def _ask_person(self, item: Held, subject: Reading, rules: tuple[str, ...]) -> Draft:
        """Put an event before a person that rules could not judge in a day."""
        return replace(
            _make_common(item.sight, subject, read_people(subject), item.since),
            state="waiting",
            mode=APPROVE,
            target=subject.thing.id,
            rules=rules,
            fingerprints=("",) * len(rules),
            because="look at it yourself: not every rule could judge it",
            why_waiting=item.why,
            item=f"{item.sight.key}{UNHEARD}",
        )

    def _make_drafts(self, sight: Sight, subject: Reading, decided: Sequence[DecidedAction]) -> tuple[Draft, ...]:
        """Make a draft of each action that was decided about one event; keeping needs none."""
        to_do = [one for one in decided if not isinstance(one.action, Keep)]
        if not to_do:
            return ()
        now, people, submission = self._clock.now(), read_people(subject), _read_submission(sight.reading)
        known_at = sight.known_at or (sight.reading.thing.time if sight.number == 1 else now)
        common = replace(_make_common(sight, subject, people, known_at), again=bool(sight.lacked))
        stale, drafts = now - known_at > self._stale, list[Draft]()
        for one in to_do:
            refusal = refuse(one.action, submission, subject, sent_in=people.is_phish_submission)
            addressed = replace(one, action=address(one.action, submission))
            draft = _complete_draft(common, addressed, subject.thing.id)
            draft = replace(draft, authenticated=people.name_proof(draft.target), met=people.met)
            state, why, said = _choose_state(one, self._ceiling, refusal, find_doubt(draft), stale=stale)
            drafts.append(replace(draft, state=state, why=why, why_waiting=said))
        return tuple(drafts)


def _waits_for_fields(pending: Pending) -> bool:
    """Tell whether an event waits for nothing but fields that could not be read."""
    return bool(pending.fields) and not any(ask.facts or ask.stopped for ask in pending.asks)


def _give_up_reading(reading: Reading, problem: str) -> Broken:
    """Return a record that no rule can be given, although the daemon itself could read what it needs."""
    thing = reading.thing
    return Broken(reading.raw, problem, id=thing.id, start=thing.time, end=thing.time)


def add_up(judged: Sequence[Judged], rule_table: RuleTable) -> Judged:
    """Return several results as one."""
    return Judged(
        drafts=tuple(draft for one in judged for draft in one.drafts),
        mishaps=tuple(mishap for one in judged for mishap in one.mishaps),
        broken=tuple(record for one in judged for record in one.broken),
        held=tuple(item for one in judged for item in one.held),
        judgements=tuple(judgement for one in judged for judgement in one.judgements),
        rule_table=rule_table,
    )


def _judge(item: Held, answers: tuple[RuleAnswer, ...]) -> tuple[Judgement, ...]:
    """Return what goes on record of a sight; when it was held before, what it waited for is over even in silence."""
    return (Judgement(item.sight, answers),) if answers or item.tries or item.pending.asks else ()


def _add_entered(item: Held, said: Said, ceiling: Mode) -> Held:
    """Add to what waits for some rules what the others say, which was entered when the event was seen."""
    waited = {ask.rule for ask in item.pending.asks}
    entered = tuple(lower_mode(one, ceiling) for one in said.proposals if one.rule not in waited)
    return replace(item, pending=replace(item.pending, entered=entered))


def _leave_out_answered(item: Held, said: Said) -> Said:
    """Leave out rules whose answer counts already; before anything was entered, that of every rule is new."""
    if not item.pending.asks:
        return said
    waited = {ask.rule for ask in item.pending.asks}
    return replace(
        said,
        proposals=tuple(one for one in said.proposals if one.rule in waited),
        asks=tuple(one for one in said.asks if one.rule in waited),
        failed=tuple(one for one in said.failed if one.rule in waited),
    )


def _name_rules(said: Said) -> tuple[str, ...]:
    """Return the rules that have not answered, or whose answer nothing can come of."""
    return tuple(dict.fromkeys([*(ask.rule for ask in said.asks), *(one.rule for one in said.proposals)]))


def _make_mishaps(sight: Sight, failures: Sequence[Failure]) -> tuple[Mishap, ...]:
    """Return the failures of rules on one event as the ledger keeps them."""
    return tuple(
        Mishap(
            rule=failure.rule,
            fingerprint=failure.fingerprint,
            cause=sight.key,
            problem=_describe_place(failure) + failure.problem,
            raw=sight.reading.raw,
        )
        for failure in failures
    )


def _read_submission(event: Reading) -> Submission | None:
    """Return the submission that an event is; None for anything else, and for what cannot be read."""
    if event.thing.kind != "Submission" or event.submission is not None:
        return event.submission
    try:
        return read(Submission, event.raw)  # an event that an earlier version has set aside
    except ValueError:
        return None


def _make_common(sight: Sight, subject: Reading, people: People, known_at: float) -> Draft:
    """Return a draft with the fields that all drafts of one event share."""
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


def _complete_draft(common: Draft, decided: DecidedAction, message: str) -> Draft:
    """Complete a draft with one action."""
    action = decided.action
    name = f"{common.cause}#{decided.rules[0]}"
    return replace(
        common,
        lane=action.lane,
        target=action.on or message,
        action=action,
        mode=decided.mode,
        rules=decided.rules,
        fingerprints=decided.fingerprints,
        because=f"outranked by {', '.join(decided.outranked_by)}: {action.because}"
        if decided.outranked_by
        else action.because,
        item=f"dispute/{name}" if decided.disputed else name,
        item_kind="dispute" if decided.disputed else "decision",
        item_of=common.cause if decided.disputed else "",
    )


def _choose_state(
    decided: DecidedAction, ceiling: Mode, refusal: str, doubt: BlockDoubt | None, *, stale: bool
) -> tuple[State, Why, str]:
    """Return the state in which an action is entered, and why it waits or has nothing to do.

    ``refusal`` says why it would be in vain, if it would.
    """
    if decided.outranked_by or refusal:
        return "moot", "", "" if decided.outranked_by else refusal
    if decided.mode is OBSERVE:
        return "observed", "", ""
    if why := _find_question(decided, ceiling, stale=stale):
        said = QUESTIONS[why].format(late_for=", ".join(decided.late_for))
        return "waiting", why, f"{said}; {doubt.said}" if doubt else said
    return ("waiting", doubt.why, doubt.said) if doubt else ("ready", "", "")


QUESTIONS: dict[Why, str] = {
    "ceiling": "WORKER_CEILING is approve",
    "rule_asks": "the rule's mode is APPROVE",
    "irreversible": "this move cannot be undone",
    "with_irreversible": "it belongs to a move that cannot be undone",
    "disputed": "rules of equal priority want different things",
    "late": "what rule {late_for} wants was entered before this rule could answer",
    "stale": "older than WORKER_STALE when it became known",
}
"""What people are told of each reason to ask them."""


def _find_question(decided: DecidedAction, ceiling: Mode, *, stale: bool) -> Why:
    """Return why a person has to be asked about an action; empty when nobody has."""
    if decided.disputed:
        return "late" if decided.late_for else "disputed"
    if decided.mode is not APPROVE:
        return "stale" if stale else ""
    if ceiling is APPROVE:
        return "ceiling"
    if decided.action.irreversible:
        return "irreversible"
    return "with_irreversible" if decided.irreversible else "rule_asks"


def _describe_place(failure: Failure) -> str:
    """Say where in its file a rule failed; empty when that is unknown."""
    return f"{failure.file}:{failure.line}: " if failure.file else ""


def _is_about_named_message(item: Held, said: Said) -> bool:
    """Return whether an event that names a message has proposals about that message, or about who wrote it."""
    wanted = (action for proposal in (*item.pending.late, *said.proposals) for action in proposal.actions)
    about = (action.about_message or isinstance(action, BlockSender) for action in wanted)
    return item.sight.reading.thing.kind in NAMING and any(about)
