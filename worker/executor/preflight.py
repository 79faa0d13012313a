"""Preflight: looks at targets before entries are claimed, and ends those that have nothing left to do."""

from collections.abc import Awaitable, Callable, Sequence
from math import inf

from msgspec import Struct, field

from worker.api import Urgency
from worker.errors import NotFound, Rejected, WorkerError
from worker.executor.guard import BlockGuard, NotYet
from worker.executor.hooks import Hooks
from worker.executor.lists import (
    ListReading,
    Opposition,
    OwnLine,
    find_opposition,
    find_own,
    find_related,
    no_addition,
)
from worker.executor.observer import Seen, TargetObserver
from worker.executor.own_acts import by_target, ours
from worker.executor.poison_messages import SENSELESS
from worker.executor.postconditions import deadline, find_added
from worker.executor.preconditions import Advice, advise, base, describe_contradiction
from worker.judging.refusals import ESCALATED, is_escalated
from worker.judging.reviews import asks_for, is_invalid, request_time
from worker.judging.services import AccountServices, Timing
from worker.language.actions import LISTS, Adding, Escalate
from worker.language.policies import Policies
from worker.ledger.entries import FRESH, Claim, Entry, Look, Outcome, Question
from worker.ledger.values import EventKey

LIST_FRESH = 300.0
UNKNOWN_AGAIN = 10.0
TOLD_FOR = 86400.0
"""Seconds for which it is remembered that a contradiction was told; beyond that it is told once more."""
UNREADABLE_AGAIN, UNREADABLE_FOR = 300.0, 3600.0
"""Seconds between looks at a message that only gets answers without sense, and until a person is told."""
SENSELESS_ANSWERS = "the API gives no usable answer about this message"
NO_DOMAINS = "the account's own domains are not known, so nobody can tell whether a block would hit one of them"
UNTOLD = "the API does not tell what was done to this message by others"


class Prepared(Struct):
    """What preparing came to: entries that may be claimed, and those that are dealt with or put off."""

    claims: dict[str, Claim] = field(default_factory=dict)
    remotes: dict[str, str] = field(default_factory=dict)
    """For a removal: the list entry to remove."""
    moots: list[tuple[str, str]] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    done: list[Outcome] = field(default_factory=list)
    """Entries of which a look shows that an earlier attempt came to its effect after all."""
    later: dict[str, float] = field(default_factory=dict)
    """Entries that cannot be looked at now, and when they can."""
    trouble: WorkerError | None = None
    """What keeps some of them from being looked at; the others go on."""

    @property
    def moved(self) -> int:
        """How many entries are dealt with without a request of their own."""
        return len(self.moots) + len(self.questions) + len(self.done)

    def take_advice(self, entry: Entry, advice: Advice, look: Look) -> None:
        """Take down what a look came to."""
        if advice.do == "go":
            self.claims[entry.id] = Claim(entry.id, look)
        elif advice.do == "moot":
            self.moots.append((entry.id, advice.said))
        else:
            self.questions.append(Question(id=entry.id, said=advice.said, shown=advice.shown))

    def take_addition(self, entry: Entry, why: str, against: Opposition | None) -> None:
        """Take down what speaks against a new list entry: of itself, and on a list of the opposite meaning."""
        if against and entry.lane == "block":
            why = why or f"{against.say('let')} through: never blocked"
        if why:
            self.moots.append((entry.id, why))
        elif against and not _was_asked(entry, against):
            said = f"{against.say('block')}: a person decides whether it is let through all the same"
            self.questions.append(Question(id=entry.id, said=said, why="blocked_elsewhere", why_ref=against.ids[0]))
        else:
            self.claims[entry.id] = Claim(entry.id)

    def ask(self, question: Question) -> None:
        """Let an entry wait for a person that was to be claimed."""
        del self.claims[question.id]
        self.questions.append(question)

    def put_off(self, entry: Entry, until: float) -> None:
        """Take an entry up again later that was to be claimed."""
        del self.claims[entry.id]
        self.later[entry.id] = until

    def take_removal(self, entry: Entry, own: OwnLine, again: float) -> None:
        """Take down which list entry is to be removed, or why none is; ``again`` is set when one may still show."""
        if own.remote:
            self.claims[entry.id] = Claim(entry.id)
            self.remotes[entry.id] = own.remote
        elif again and not own.adopted:
            self.later[entry.id] = again
        else:
            self.moots.append((entry.id, own.why))


class Preflight:
    """Looks before acting, for one account."""

    def __init__(self, services: AccountServices, timing: Timing, hooks: Hooks, observer: TargetObserver) -> None:
        """Begin with no contradiction reported."""
        self._account, self._ledger, self._clock = services.account, services.ledger, services.clock
        self._observer, self._settle = observer, timing.settle
        self._policies, self._on_contradiction = hooks.policies, hooks.on_contradiction
        self._guard = BlockGuard(services.client, services.clock, hooks)
        self._told: dict[str, float] = {}
        self._unlisted_since = 0.0
        self._prepare: dict[str, Callable[[Sequence[Entry]], Awaitable[Prepared]]] = {
            "placement": self._messages,
            "verdict": self._verdicts,
            **dict.fromkeys(LISTS, self._lists),
            "notice": self._notices,
        }

    async def prepare(self, entries: Sequence[Entry]) -> Prepared:
        """Look at the targets of entries of one lane, and write down what turned out moot or a person's to decide.

        Raises what the API raises; nothing is concluded then.
        """
        prepared = await self._prepare[entries[0].lane](entries)
        if prepared.trouble and not (prepared.claims or prepared.moved):
            raise prepared.trouble
        now = self._clock.now()
        if prepared.moots:
            await self._ledger.retire(self._account, prepared.moots, now)
        if prepared.done:
            await self._ledger.settle(self._account, prepared.done, now)
        if prepared.questions:
            await self._ledger.postpone(self._account, prepared.questions, now)
        return prepared

    async def _notices(self, entries: Sequence[Entry]) -> Prepared:
        return Prepared(claims={entry.id: Claim(entry.id) for entry in entries})

    async def _messages(self, entries: Sequence[Entry]) -> Prepared:
        """Look at messages; where others may have had a hand in one, read its action log."""
        now = self._clock.now()
        seen = await self._look(entries)
        ours = await self._ours("placement", entries)
        prepared, against = Prepared(trouble=seen.trouble), list[Entry]()
        for entry in sorted(entries, key=self._is_suspected):
            look = seen.looks.get(entry.target)
            if look and _differs(entry, look):
                against.append(entry)
                continue
            self._told.pop(entry.id, None)
            if look is None:
                self._not_found(entry, seen, prepared)
            elif advice := await self._advice(entry, look, ours.get(entry.target, ()), prepared):
                prepared.take_advice(entry, advice, base(look, ours.get(entry.target, ())))
            elif self._observer.senseless_for(entry.target) > UNREADABLE_FOR:
                prepared.questions.append(Question(id=entry.id, said=UNTOLD))
            else:
                prepared.later[entry.id] = now + UNKNOWN_AGAIN
        await self._report_contradictions(against, seen, prepared)
        return prepared

    def _is_suspected(self, entry: Entry) -> bool:
        """Put last what makes no sense: the others show whether it is that message or the API."""
        return self._observer.is_suspected(entry.target)

    async def _look(self, entries: Sequence[Entry]) -> Seen:
        """Look at messages, and anew at those whose remembered look contradicts the sight that was judged.

        Before an approved action nothing remembered counts: people touch mail while they decide about it.
        """
        now = self._clock.now()
        since = {entry.target: inf if entry.approved_by else now - FRESH for entry in entries}
        seen = await self._observer.look(since, Urgency.ACT)
        again = {
            entry.target
            for entry in entries
            if (look := seen.looks.get(entry.target)) and _differs(entry, look) and self._credible_from(entry) <= now
        }
        return seen.and_then(await self._observer.anew(again - seen.readings.keys(), Urgency.ACT))

    def _credible_from(self, entry: Entry) -> float:
        """Return from when on a look may contradict the sight: what began sooner may be older, or lag behind it."""
        return self._told.get(entry.id, entry.created_at) + self._settle

    async def _report_contradictions(self, entries: Sequence[Entry], seen: Seen, prepared: Prepared) -> None:
        """Tell what contradicts the judged sight as news; it ends an entry when it still does a settle time later.

        Most often the news does: it retires what older sights asked for.
        """
        news = [entry for entry in entries if seen.looks[entry.target].at >= self._credible_from(entry)]
        readings = {entry.target: seen.readings[entry.target] for entry in news if entry.target in seen.readings}
        if readings:
            await self._on_contradiction(tuple(readings.values()))
        now = self._clock.now()
        self._told = {id_: at for id_, at in self._told.items() if at > now - TOLD_FOR}
        for entry in entries:
            if entry.target in readings and entry.id in self._told:
                prepared.moots.append((entry.id, describe_contradiction(entry, seen.looks[entry.target])))
                continue
            if entry.target in readings:
                self._told[entry.id] = now
            believed = self._credible_from(entry)
            prepared.later[entry.id] = believed if believed > now else now + UNKNOWN_AGAIN

    async def _advice(self, entry: Entry, look: Look, ours: Sequence[Entry], prepared: Prepared) -> Advice | None:
        """Say what a look comes to, with the action log where that is needed; None when there is no log.

        When the API answers about nobody, no further log is asked for this time.
        """
        if (advice := advise(entry, look, ours, None)) or prepared.trouble:
            return advice
        try:
            log = await self._observer.log(entry.target, Urgency.ACT)
        except NotFound:
            late = self._clock.now() > max(entry.created_at, entry.ready_at) + UNREADABLE_FOR
            return Advice("wait", UNTOLD) if late else None
        except SENSELESS as error:
            prepared.trouble = error
            return None
        return advise(entry, look, ours, log)

    def _not_found(self, entry: Entry, seen: Seen, prepared: Prepared) -> None:
        """Put off what was not seen; what the API does not know a settle time later is gone for good."""
        now, since = self._clock.now(), max(entry.created_at, entry.ready_at)
        lasted = self._observer.senseless_for(entry.target)
        if entry.target in seen.missing and now > since + self._settle:
            prepared.moots.append((entry.id, "the API does not know this message (any more)"))
        elif entry.target in seen.missing:
            prepared.later[entry.id] = now + UNKNOWN_AGAIN
        elif entry.target in seen.unreadable and lasted > UNREADABLE_FOR:
            prepared.questions.append(Question(id=entry.id, said=SENSELESS_ANSWERS))
        elif entry.target in seen.unreadable:
            prepared.later[entry.id] = now + UNREADABLE_AGAIN
        elif seen.trouble:
            prepared.later[entry.id] = now + UNKNOWN_AGAIN

    async def _verdicts(self, entries: Sequence[Entry]) -> Prepared:
        """Look at messages, and whether the verdict was asked for already since they were scanned."""
        prepared = await self._messages(entries)
        asking = [entry for entry in entries if entry.id in prepared.claims]
        escalating = [entry for entry in asking if isinstance(entry.action, Escalate)]
        plain = [entry for entry in asking if entry not in escalating]
        moot = dict.fromkeys(await self._find_asked(plain), "the team has asked for this verdict already")
        moot |= dict.fromkeys([one.id for one in escalating if await self._is_escalated(one)], ESCALATED)
        for id_ in moot:
            del prepared.claims[id_]
        prepared.moots += moot.items()
        return prepared

    async def _find_asked(self, asking: Sequence[Entry]) -> list[str]:
        """Return the entries whose verdict the team has asked for since the scan; what is invalid was not asked."""
        if not asking:
            return []
        first = min(entry.scanned_at for entry in asking)
        asked = await self._observer.read_submissions(first, self._clock.now() - FRESH, Urgency.ACT)
        valid = [one for one in asked.entries if not is_invalid(one)]
        return [
            entry.id
            for entry in asking
            if any(asks_for(one, entry) and request_time(one) > entry.scanned_at for one in valid)
        ]

    async def _is_escalated(self, entry: Entry) -> bool:
        """Look at the user's submission: a person may have escalated it since it was read."""
        event, action = EventKey.parse(entry.cause), entry.action
        if event is None or not isinstance(action, Escalate):
            return False
        found = await self._observer.read_submission(action.submission_id, event.at, Urgency.ACT)
        return found is not None and is_escalated(found)

    async def _lists(self, entries: Sequence[Entry]) -> Prepared:
        """Look at a list, fresh where something is to be removed from it, and at what else the account lists."""
        now, lane = self._clock.now(), entries[0].lane
        fresh = LIST_FRESH if all(isinstance(entry.action, Adding) for entry in entries) else FRESH
        listed = await self._observer.read_list(lane, now - fresh, Urgency.ACT)
        ours = await self._ours(lane, entries)
        against = await self._against([entry for entry in entries if isinstance(entry.action, Adding)])
        adding = any(isinstance(entry.action, Adding) for entry in entries)
        policies = await self._read_policies(lane) if adding else Policies()  # whatever is removed protects nobody
        prepared = Prepared()
        for entry in entries:
            tried = ours.get(entry.target, ())
            if shown := find_added(entry, listed):
                prepared.done.append(shown)
            elif isinstance(entry.action, Adding):
                prepared.take_addition(entry, no_addition(entry, listed, policies, tried), against.get(entry.target))
            else:
                prepared.take_removal(entry, find_own(entry, listed, tried), self._again(listed, tried))
        if lane == "block":
            blocks = [one for one in entries if one.id in prepared.claims and isinstance(one.action, Adding)]
            await self._guard_blocks(blocks, policies, prepared)
        return prepared

    async def _read_policies(self, lane: str) -> Policies:
        """Return the account's own lists; none when nobody could read them for an hour, so that blocks are a person's.

        Raises what the API raises, until then and for everything else.
        """
        try:
            policies = await self._policies()
        except WorkerError:
            self._unlisted_since = self._unlisted_since or self._clock.now()
            if lane != "block" or self._clock.now() - self._unlisted_since < UNREADABLE_FOR:
                raise
            return Policies()
        self._unlisted_since = 0.0
        return policies

    async def _guard_blocks(self, blocks: Sequence[Entry], policies: Policies, prepared: Prepared) -> None:
        """Ask a person about blocks that may hit somebody known; put off those of which that is not known yet."""
        for entry in blocks:
            if not policies.domains and entry.why != "domains_unknown":
                prepared.ask(Question(id=entry.id, said=NO_DOMAINS, why="domains_unknown"))
            elif prepared.trouble:
                prepared.put_off(entry, self._clock.now() + UNKNOWN_AGAIN)
            else:
                await self._guard_block(entry, prepared)

    async def _guard_block(self, entry: Entry, prepared: Prepared) -> None:
        now = self._clock.now()
        try:
            question = await self._guard.find_question(entry)
        except NotYet as turn:
            prepared.put_off(entry, now + turn.after)
        except Rejected:  # the API does not search for this one; when it has grown stale, a person is asked
            prepared.put_off(entry, now + UNREADABLE_AGAIN)
        except WorkerError as problem:
            prepared.trouble = problem
            prepared.put_off(entry, now + UNKNOWN_AGAIN)
        else:
            if question:
                prepared.ask(question)

    def _again(self, listed: ListReading, tried: Sequence[Entry]) -> float:
        """Return when a list is to be looked at again that does not show what we put on it, 0 when it never will.

        What cannot be read may be ours, and a read may lag behind what we have just made.
        """
        if not listed.whole:
            return self._clock.now() + UNREADABLE_AGAIN
        shown = max((deadline(one, self._settle) for one in tried if isinstance(one.action, Adding)), default=0.0)
        return max(shown, self._clock.now() + UNKNOWN_AGAIN) if listed.at < shown else 0.0

    async def _against(self, adding: Sequence[Entry]) -> dict[str, Opposition]:
        """Return what lets through the patterns that are to be blocked, or blocks those that are to be let through.

        The account's own lists are known to whoever blocks, but late: of what is ours there, read it anew. What is only
        ready to be blocked counts too, so that of two that would go at once one sees the other.
        """
        against: dict[str, Opposition] = {}
        blocks = any(entry.lane == "block" for entry in adding)
        targets = sorted({target for entry in adding for target in find_related(entry.target)})
        for lane in adding[0].action.opposite if adding else ():
            tried = by_target(await self._ledger.find_tried(self._account, lane, targets, ready=not blocks))
            if blocks and not tried:
                continue
            listed = await self._observer.read_list(lane, self._clock.now() - LIST_FRESH, Urgency.ACT)
            for entry in adding:
                found = (find_opposition(on, listed, tried.get(on, ())) for on in find_related(entry.target))
                if first := next(filter(None, found), None):
                    against[entry.target] = first
        return against

    async def _ours(self, lane: str, entries: Sequence[Entry]) -> dict[str, list[Entry]]:
        """Return what this ledger tried before in a lane, by target, but for the entries themselves."""
        return await ours(self._ledger, self._account, lane, entries)


def _was_asked(entry: Entry, against: Opposition) -> bool:
    """Tell whether a person let an entry go knowing what stands against it; what was tried once, is not asked again."""
    asked = entry.why == "blocked_elsewhere" and entry.why_ref in against.ids
    return bool(entry.approved_by) and (entry.attempts > 0 or asked)


def _differs(entry: Entry, look: Look) -> bool:
    """Tell whether a look shows another state than the one that was judged, in which there is nothing to do."""
    return look.verdict != entry.verdict and bool(describe_contradiction(entry, look))
