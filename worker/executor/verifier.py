"""Verifier: looks at entries that were sent, or may have been, until the API shows what became of them."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import get_args

from worker.api import Urgency
from worker.api.bodies import MessageAction
from worker.errors import NotFound, Permanent, Temporary, Unsure, WorkerError
from worker.executor.deferral import Deferral
from worker.executor.observer import SINGLES, Seen, TargetObserver
from worker.executor.own_acts import ours
from worker.executor.poison_messages import SENSELESS
from worker.executor.postconditions import (
    deadline,
    had_moved,
    judge_adding,
    judge_missing,
    judge_move,
    judge_notice,
    judge_reclassify,
    judge_release,
    judge_removing,
    judge_request_log,
    judge_silence,
    next_look,
    steps,
    wants_log,
    wants_request_log,
)
from worker.judging.services import AccountServices, Timing
from worker.language.actions import Action, Adding, Move, Notify, Reclassify, Release, Removing
from worker.ledger.entries import Entry, Look, Outcome, is_accepted

FIRST_DELAY, SHORTEST_DELAY = 2.0, 0.05
HEAD = 60.0
"""Seconds after its scan for which a message is certain to be read again by the next polls, without a call of ours."""
POLLS = 10.0
"""Seconds after an answer within which the polls are left to show it."""
PATIENCE = 5.0
"""Seconds for which proof waits for more to prove while a source is in the middle of reading."""
PAUSE = 5.0
AT_ONCE = 250
"""Outcomes written in one transaction: many thousands may be found by one search, and memory is to stay flat."""
TOGETHER = 1.0
"""Seconds by which a look may be early when others are due."""

Found = tuple[list[Outcome], list[Entry]]
"""What was found, and of which entries nothing could be said yet; the others have their turn in the next round."""


class Verifier:
    """Finds proof for one account. ``delay`` is the learned time, in seconds, after which an act is shown."""

    def __init__(
        self, services: AccountServices, timing: Timing, observer: TargetObserver, busy: Callable[[], bool]
    ) -> None:
        """``busy`` tells whether more will want proof in a moment: together it takes fewer calls."""
        self._account, self._ledger, self._clock = services.account, services.ledger, services.clock
        self._observer, self._settle, self._busy = observer, timing.settle, busy
        self._metrics = services.observer
        self._paused: dict[type[Action], float] = {}
        self.problems: dict[str, str] = {}
        """What keeps a kind from being proved now, in a sentence."""
        self.delay = min(FIRST_DELAY, timing.settle)
        self._deferral = Deferral(services.clock)
        self._prove: dict[type[Action], Callable[[Sequence[Entry]], Awaitable[Found]]] = {
            Move: self._moves,
            Release: self._releases,
            Reclassify: self._verdicts,
            **dict.fromkeys(get_args(Adding), self._additions),
            **dict.fromkeys(get_args(Removing), self._removals),
            Notify: self._notices,
        }

    @property
    def resume(self) -> float:
        """When something put off is to be taken up again, in API time."""
        return self._deferral.resume

    async def step(self) -> int:
        """Look for proof of everything due; return of how many entries something was found."""
        self._deferral.begin()
        due = await self._due()
        moved = 0
        for kind, prove in self._prove.items():
            entries = [entry for entry in due if isinstance(entry.action, kind)]
            if not entries or self._deferral.put_off(self._paused.get(kind, 0.0)):
                continue
            try:
                outcomes, silent = await prove(entries)
            except (Temporary, Permanent, Unsure) as error:
                self._pause(kind, error)
                continue
            if self._paused.get(kind, 0.0) <= self._clock.now():  # nor was a part of it in trouble
                self.problems.pop(_proof_of(kind), None)
            await self._write(entries, outcomes, silent)
            moved += len(outcomes)
        if due and not moved:
            self._deferral.is_due(await self._ledger.next_look(self._account))
        return moved

    def _pause(self, kind: type[Action], problem: WorkerError) -> None:
        """Say what keeps a kind from being proved, and leave it alone for a moment."""
        self.problems[_proof_of(kind)] = str(problem)
        self._paused[kind] = self._clock.now() + PAUSE

    async def _due(self) -> tuple[Entry, ...]:
        """Return what is due, and with it what will be in a moment: it can share a search."""
        first = await self._ledger.next_look(self._account)
        if first is None or self._deferral.put_off(first):
            return ()
        return await self._ledger.open(self._account, self._clock.now() + TOGETHER)

    async def settle_answered(self, outcomes: Sequence[Outcome]) -> None:
        """Write what the answers themselves have proved of entries that were just sent."""
        await self._settle_all([steps("sent", outcome) for outcome in outcomes])

    async def _write(self, entries: Sequence[Entry], outcomes: Sequence[Outcome], silent: Sequence[Entry]) -> None:
        """Write what was found, and for the others when to look again."""
        now = self._clock.now()
        states = {entry.id: entry.state for entry in entries}
        later = [
            Outcome(id=one.id, state=one.state, said=one.said, next_at=next_look(one, now, self._settle, self.delay))
            for one in silent
        ]
        await self._settle_all([*(steps(states[one.id], one) for one in outcomes), *((one,) for one in later)])
        self._measure(entries, outcomes, now)

    def _measure(self, entries: Sequence[Entry], outcomes: Sequence[Outcome], now: float) -> None:
        """Report how long proof took of what had been answered; how long Cloudflare decides is no matter of proof."""
        answered = {one.id: one.answered_at for one in entries if one.state == "sent" and not is_accepted(one)}
        for outcome in outcomes:
            if (outcome.state == "done" or outcome.review == "accepted") and outcome.id in answered:
                self._metrics.on_proof(max(0.0, now - answered[outcome.id]))

    async def _settle_all(self, paths: Sequence[tuple[Outcome, ...]]) -> None:
        """Settle each outcome by its steps, all first steps together."""
        now = self._clock.now()
        for number in (0, 1):
            step = [path[number] for path in paths if len(path) > number]
            for first in range(0, len(step), AT_ONCE):
                await self._ledger.settle(self._account, step[first : first + AT_ONCE], now)

    # -- one kind after the other -------------------------------------------------------------------------------------

    async def _moves(self, entries: Sequence[Entry]) -> Found:
        """Moves: what the polls have shown, else one search for what was moved, else a late look and the action log."""
        outcomes, rest = self._free(entries, lambda entry, look: judge_move(entry, look, None, self._settle))
        rest = self._patiently(rest)
        looks, missing, rest = await self._looks(rest, "MOVED")
        again = [entry for entry in rest if had_moved(entry)]
        before = await ours(self._ledger, self._account, "placement", again) if again else {}
        silent: list[Entry] = []
        logs = 0
        for entry in sorted(rest, key=lambda entry: self._observer.is_suspected(entry.target)):
            look, log = looks.get(entry.target), None
            gone = entry.target in missing
            if not gone and wants_log(entry, look, self._clock.now(), self._settle):
                if (logs := logs + 1) > SINGLES:
                    self._deferral.put_off(self._clock.now() + SHORTEST_DELAY)
                    continue
                try:
                    log = await self._observer.log(entry.target, Urgency.PROVE)
                except NotFound:
                    gone = True
                except SENSELESS as error:  # what was found of others counts all the same
                    self._pause(Move, error)
                    break
            found = (
                self._judge_missing(entry)
                if gone
                else judge_move(entry, look, log, self._settle, before.get(entry.target, ()))
            )
            self._sort(entry, found, outcomes, silent)
            self._learn(entry, found, look)
        return outcomes, silent

    async def _releases(self, entries: Sequence[Entry]) -> Found:
        """Releases: what the polls have shown, else one search for what was released, else a late look."""
        outcomes, rest = self._free(entries, lambda entry, look: judge_release(entry, look, self._settle))
        rest = self._patiently(rest)
        looks, missing, rest = await self._looks(rest, "QUARANTINE_RELEASED")
        silent: list[Entry] = []
        for entry in rest:
            look = looks.get(entry.target)
            shown = judge_release(entry, look, self._settle) if look else None
            found = self._judge_missing(entry) if entry.target in missing else shown
            self._sort(entry, found, outcomes, silent)
            self._learn(entry, found, look)
        return outcomes, silent

    async def _verdicts(self, entries: Sequence[Entry]) -> Found:
        """Requests for another verdict: one reading of the team's submissions since the first claim.

        Before one counts as never made, its message's action log may name it.
        """
        if self._deferral.put_off(min(min(entry.next_at + POLLS, deadline(entry, self._settle)) for entry in entries)):
            return [], []
        reaching = min(entry.claimed_at for entry in entries) - 1
        asked = await self._observer.read_submissions(reaching, _since(entries), Urgency.PROVE)
        tried = await ours(self._ledger, self._account, "verdict", [entry for entry in entries if not entry.remote])
        outcomes, silent, logs = list[Outcome](), list[Entry](), 0
        for entry in entries:
            taken = {one.remote for one in tried.get(entry.target, ())}
            found = judge_reclassify(entry, asked, self._settle, taken)
            if wants_request_log(found):
                if (logs := logs + 1) > SINGLES:
                    self._deferral.put_off(self._clock.now() + SHORTEST_DELAY)
                    continue
                try:
                    found = await self._ask_log(entry, taken) or found
                except SENSELESS as error:
                    self._pause(Reclassify, error)
                    break
            self._sort(entry, found, outcomes, silent)
        return outcomes, silent

    async def _ask_log(self, entry: Entry, taken: Collection[str]) -> Outcome | None:
        """Ask the action log whether it names a request; raises what the API raises while it may be so for all."""
        try:
            log = await self._observer.log(entry.target, Urgency.PROVE)
        except NotFound:
            return None
        return judge_request_log(entry, log, taken) if log is not None else None

    async def _additions(self, entries: Sequence[Entry]) -> Found:
        listed = await self._observer.read_list(entries[0].lane, _since(entries), Urgency.PROVE)
        return self._sort_all((entry, judge_adding(entry, listed, self._settle)) for entry in entries)

    async def _removals(self, entries: Sequence[Entry]) -> Found:
        listed = await self._observer.read_list(entries[0].lane, _since(entries), Urgency.PROVE)
        tried = await ours(self._ledger, self._account, entries[0].lane, entries)
        return self._sort_all(
            (entry, judge_removing(entry, listed, tried.get(entry.target, ()), self._settle)) for entry in entries
        )

    async def _notices(self, entries: Sequence[Entry]) -> Found:
        return self._sort_all((entry, judge_notice(entry)) for entry in entries)

    # -- what they have in common -------------------------------------------------------------------------------------

    def _free(
        self, entries: Sequence[Entry], judge: Callable[[Entry, Look], Outcome | None]
    ) -> tuple[list[Outcome], list[Entry]]:
        """Judge by what was read since the claim anyway; return what that proves, and the entries it does not."""
        known = self._observer.recall({entry.target: entry.claimed_at for entry in entries})
        outcomes, rest = list[Outcome](), list[Entry]()
        for entry in entries:
            found = judge(entry, known[entry.target]) if entry.target in known else None
            if found and found.state == "done":
                outcomes.append(found)
                self._learn(entry, found, known[entry.target])
            else:
                rest.append(entry)
        return outcomes, rest

    def _patiently(self, entries: Sequence[Entry]) -> list[Entry]:
        """Leave out what the next polls will show without a call, and while more is coming what can wait for it."""
        now = self._clock.now()
        waits = {
            entry.id: until
            for entry in entries
            if entry.state == "sent" and (until := self._patience(entry)) > now and now < deadline(entry, self._settle)
        }
        for entry in entries:
            if entry.id in waits:
                self._deferral.put_off(min(waits[entry.id], deadline(entry, self._settle)))
        return [entry for entry in entries if entry.id not in waits]

    def _patience(self, entry: Entry) -> float:
        """Return until when it is cheaper to wait than to ask."""
        polled = entry.answered_at + POLLS if entry.answered_at - entry.scanned_at < HEAD else 0.0
        return max(polled, entry.next_at + PATIENCE if self._busy() else 0.0)

    async def _looks(
        self, entries: Sequence[Entry], action: MessageAction
    ) -> tuple[dict[str, Look], frozenset[str], list[Entry]]:
        """Look at messages: early ones only among those to which it was done, late ones however they are now.

        Returns the looks, the messages that are gone, and the entries whose turn it was.
        """
        now = self._clock.now()
        late = {entry.target: at for entry in entries if (at := deadline(entry, self._settle)) <= now}
        early = [entry.target for entry in entries if entry.target not in late]
        looks = await self._observer.search_touched(early, action) if early else {}
        seen = await self._observer.look(late, Urgency.PROVE) if late else Seen({})
        if seen.trouble:
            self._pause(type(entries[0].action), seen.trouble)
        looks |= seen.looks
        unasked = late.keys() - looks.keys() - seen.missing - seen.unreadable
        turn = [entry for entry in entries if entry.target not in unasked]
        if len(turn) < len(entries):
            self._deferral.put_off(self._clock.now() + SHORTEST_DELAY)
        return looks, seen.missing, turn

    def _judge_missing(self, entry: Entry) -> Outcome | None:
        return judge_missing(entry, self._clock.now(), self._settle)

    def _sort_all(self, found: Iterable[tuple[Entry, Outcome | None]]) -> Found:
        outcomes, silent = list[Outcome](), list[Entry]()
        for entry, outcome in found:
            self._sort(entry, outcome, outcomes, silent)
        return outcomes, silent

    def _sort(self, entry: Entry, found: Outcome | None, outcomes: list[Outcome], silent: list[Entry]) -> None:
        found = found or judge_silence(entry, self._observer.senseless_for(entry.target))
        if found is None:
            silent.append(entry)
        else:
            outcomes.append(found)

    def _learn(self, entry: Entry, found: Outcome | None, look: Look | None) -> None:
        """Ask sooner next time when it was shown at once, later when it was not."""
        if found is None or found.proof != "seen" or look is None or entry.answered_at < entry.claimed_at:
            return
        age = max(0.0, look.at - entry.answered_at)
        longer = self.delay + (age - self.delay) / 2
        self.delay = min(
            self._settle, max(SHORTEST_DELAY, longer if age > 2 * self.delay else min(age, self.delay * 0.9))
        )


def _proof_of(kind: type[Action]) -> str:
    return f"proof of {kind.__name__}"


def _since(entries: Sequence[Entry]) -> float:
    """Return from when on a reading serves all these entries: each was due by then."""
    return max(max(entry.next_at, entry.claimed_at) for entry in entries)
