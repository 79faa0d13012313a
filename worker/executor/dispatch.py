"""Dispatch: prepares, claims and sends entries of one kind, batch after batch, and writes down the answers."""

import asyncio
from collections.abc import Collection, Container, Coroutine, Sequence
from math import inf
from typing import Any

from msgspec.structs import replace

from worker.api import Clock, Urgency
from worker.errors import (
    NotEntitled,
    NotFound,
    Paced,
    Permanent,
    Rejected,
    Temporary,
    Unauthorised,
    Unreachable,
    Unsure,
    WorkerError,
)
from worker.executor.action_log import kind_of_failure
from worker.executor.circuit_breaker import PROBE_EVERY, CircuitBreaker
from worker.executor.deferral import Deferral
from worker.executor.handlers import (
    HANDLERS,
    MOVES,
    NOTICES,
    Handler,
    Reply,
    Resources,
    answer_all,
    batches,
    find_handler,
)
from worker.executor.hooks import Hooks
from worker.executor.notices import describe_end
from worker.executor.observer import TargetObserver
from worker.executor.preflight import Preflight
from worker.executor.verifier import Verifier
from worker.judging.services import AccountServices, Timing
from worker.ledger.cascade import is_end
from worker.ledger.entries import FINAL, FRESH, Answered, Claim, Entry, is_accepted
from worker.ledger.records import NewRecord
from worker.ledger.values import EventKey

KINDS = {handler: [kind.__name__ for kind in HANDLERS if HANDLERS[kind] is handler] for handler in HANDLERS.values()}
REFUSALS = 20
"""Refusals in a row after which a batch is no longer halved: then it is not one bad entry that is wrong."""
LONG_WAIT = 1.0
"""Seconds of waiting for a turn beyond which nothing is claimed: entries gather, and looks would grow old."""
LONGEST_PAUSE = 60.0
REFUSED_AGAIN = 1.0
"""Seconds until an entry that could not be claimed is looked at again, if it is still ready then."""


class Dispatcher:
    """Carries out what is ready of one account."""

    def __init__(
        self,
        services: AccountServices,
        timing: Timing,
        hooks: Hooks,
        *,
        observer: TargetObserver,
        preflight: Preflight,
        verifier: Verifier,
    ) -> None:
        """Begin with nothing put off."""
        self._account, self._ledger, self._budget = services.account, services.ledger, services.budget
        self._resources = Resources(services.client, hooks.notify, services.clock)
        self._observer, self._preflight, self._verifier = observer, preflight, verifier
        self._standing, self._busy = hooks.standing, hooks.is_reading
        self._timeout, self._gather_notices = timing.timeout, timing.gather_notices
        self._metrics = services.observer
        self._held: dict[str, float] = {}
        self._gathering: dict[str, float] = {}
        self._pauses: dict[str, tuple[float, int]] = {}
        self._deferral = Deferral(services.clock)
        self._circuit = CircuitBreaker(services.clock)
        self.stopping = False
        self.began = inf
        """Since when this process follows the account, in API time: what is older had been waiting for it."""
        self.problems: dict[str, str] = {}
        """What keeps a kind from being carried out now, in a sentence."""

    @property
    def _clock(self) -> Clock:
        return self._resources.clock

    @property
    def resume(self) -> float:
        """When something put off is to be taken up again, in API time."""
        return self._deferral.resume

    # -- what is due --------------------------------------------------------------------------------------------------

    async def due(self, but: Collection[Handler] = ()) -> dict[Handler, list[Entry]]:
        """Return what is to be carried out now, by how it is sent; the rest was put off until ``resume``.

        ``but`` are handlers that have something in hand.
        """
        self._deferral.begin()
        if self.stopping or self._deferral.put_off(self._clock.now() + self._wait()):
            return {}
        now = self._clock.now()
        self._held = {id_: until for id_, until in self._held.items() if until > now}
        by_handler: dict[Handler, list[Entry]] = {}
        waiting = await self._ready(now, but)
        for entry in waiting:
            handler = find_handler(entry)
            if handler not in but and not self._deferral.put_off(
                max(self._held.get(entry.id, 0.0), self._pause_end(handler.queue))
            ):
                by_handler.setdefault(handler, []).append(entry)
        self._forgive({handler.queue for handler in (*but, *map(find_handler, waiting))})
        ready = {handler: self._take_full_batches(handler, entries) for handler, entries in by_handler.items()}
        chosen = {handler: self._leave_refused(handler, entries) for handler, entries in ready.items()}
        return {handler: entries[: handler.round] for handler, entries in chosen.items() if entries}

    def _leave_refused(self, handler: Handler, entries: list[Entry]) -> list[Entry]:
        """Leave out what is not tried while all mailboxes refuse."""
        chosen = self._circuit.choose(entries) if handler is MOVES else entries
        if entries and not chosen:
            self._deferral.put_off(self._circuit.next_probe)
        return chosen

    def _forgive(self, busy: Container[str]) -> None:
        """Drop the problem of a queue of which nothing is left that could have it."""
        for queue in [queue for queue in self.problems if queue not in busy]:
            if not self._deferral.put_off(self._pause_end(queue)):
                del self.problems[queue]

    async def _ready(self, now: float, but: Container[Handler]) -> list[Entry]:
        """Return what is ready, handler by handler, so that a long queue of one does not hide the others."""
        ready: list[Entry] = []
        if not self._deferral.is_due(await self._ledger.next_claim(self._account)):
            return ready
        past = self._clock.past()
        due = await self._ledger.due_kinds(self._account, now, past)
        for handler, kinds in KINDS.items():
            if handler not in but and not due.isdisjoint(kinds):
                ready += await self._ledger.due(self._account, now, handler.round, kinds, past=past)
        return ready

    def _wait(self) -> float:
        """Return for how long a request would wait for its turn; 0 when that is short."""
        wait = self._budget.estimate_wait(Urgency.ACT)
        return wait if wait > LONG_WAIT else 0.0

    def _pause_end(self, queue: str) -> float:
        return self._pauses.get(queue, (0.0, 0))[0]

    def _take_full_batches(self, handler: Handler, entries: Sequence[Entry]) -> list[Entry]:
        """Leave out batches that are not full and may wait for more."""
        if handler.is_for_notices:
            return self._take_due_notices(entries)
        if not handler.gathers or not self._busy():
            return list(entries)
        whole: list[Entry] = []
        for batch in batches(handler, entries):
            if len(batch) == handler.size or not self._deferral.put_off(
                min(e.created_at for e in batch) + handler.gathers
            ):
                whole += batch
        return whole

    def _take_due_notices(self, entries: Sequence[Entry]) -> list[Entry]:
        """Let notices of one channel and rule wait for each other from the first one on."""
        now, lasts = self._clock.now(), self._gather_notices
        groups = {NOTICES.group(entry): now for entry in entries} | self._gathering
        late = {NOTICES.group(entry) for entry in entries}
        late = {group for group in late if not self._deferral.put_off(groups[group] + lasts)}
        self._gathering = {group: at for group, at in groups.items() if group not in late and at + 2 * lasts > now}
        return [entry for entry in entries if NOTICES.group(entry) in late or entry.attempts]

    # -- one kind -----------------------------------------------------------------------------------------------------

    async def act(self, handler: Handler, entries: Sequence[Entry]) -> int:
        """Prepare entries of one kind, then claim and send batch after batch; return how many moved on.

        What was looked at too long ago when its turn comes is left for the next time, and looked at again.
        """
        try:
            prepared = await self._preflight.prepare(entries)
        except (Temporary, Permanent, Unsure) as error:
            self._pause(handler, error)
            return 0
        self.problems.pop(handler.queue, None)
        if prepared.trouble:
            self.problems[handler.queue] = str(prepared.trouble)
        self._held |= prepared.later
        moved = prepared.moved
        for batch in batches(handler, [entry for entry in entries if entry.id in prepared.claims]):
            now = self._clock.now()
            if self.stopping or self._deferral.put_off(max(now + self._wait(), self._pause_end(handler.queue))):
                break
            claims = [claim for entry in batch if _fresh(claim := prepared.claims[entry.id], now)]
            claimed = await self._ledger.claim(self._account, claims, self._standing(), now, now + self._timeout)
            self._held |= {claim.id: now + REFUSED_AGAIN for claim in claims}
            if claimed:
                told = await self._summarise_outcomes(handler, claimed)
                await self._deliver(handler, [_with(entry, prepared.remotes, told) for entry in claimed])
            moved += len(claims)
            if handler is MOVES and self._circuit.is_open:
                break
        return moved

    async def _summarise_outcomes(self, handler: Handler, notices: Sequence[Entry]) -> dict[str, str]:
        """Return what notices are to say of how the rest of their decision ended, by its item."""
        if not handler.is_for_notices:
            return {}
        told: dict[str, list[str]] = {}
        for entry in await self._ledger.list_decided(self._account, {notice.item for notice in notices}):
            if entry.state in FINAL or is_accepted(entry):
                told.setdefault(entry.item, []).append(describe_end(entry))
        return {item: "; ".join(sorted(said)) for item, said in told.items()}

    async def _deliver(self, handler: Handler, entries: Sequence[Entry]) -> None:
        """Send claimed entries; a refused batch is halved until what is wrong with it stands alone."""
        parts, why, next_at, refusals = [list(entries)], "stopped before it was sent", 0.0, 0
        try:
            while parts:
                part = parts.pop()
                try:
                    reply = await handler.send(self._resources, part)
                except (Rejected, NotFound) as refusal:
                    refusals += 1
                    if len(part) > 1:
                        parts += [part[len(part) // 2 :], part[: len(part) // 2]]
                        if refusals < REFUSALS:
                            continue
                        why, next_at = await self._give_way(handler, refusal)
                        return
                    # Whoever sends mail chooses which senders are listed: that words are refused is no failing lane.
                    fault = "" if part[0].action.list_name else fault_of(refusal)
                    said = str(refusal) if fault else f"refused when it was sent alone: {refusal}"
                    reply = Reply(answer_all(self._resources, part, "failed", said, fault=fault))
                except (Unreachable, Paced, Unauthorised, NotEntitled) as error:
                    # Nothing was done, and with a better credential all of it can be: it is put off, not given up.
                    parts.append(part)
                    why, next_at = str(error), self._pause(handler, error)
                    return
                except Permanent as error:
                    reply = Reply(answer_all(self._resources, part, "failed", str(error), fault=fault_of(error)))
                except WorkerError as error:
                    reply = Reply(answer_all(self._resources, part, "unsure", str(error)))
                except BaseException:
                    reply = Reply(answer_all(self._resources, part, "unsure", "stopped while sending"))
                    await self._write(handler, part, reply)
                    raise
                refusals = 0 if reply.answers[0].state == "sent" else refusals
                await self._write(handler, part, await self._weigh(part, reply) if handler is MOVES else reply)
        finally:
            rest = [entry for part in parts for entry in part]
            if rest:  # provably not carried out: no byte of these has left
                await self._write(
                    handler, rest, Reply(answer_all(self._resources, rest, "ready", why, next_at=next_at))
                )

    async def _give_way(self, handler: Handler, refusal: WorkerError) -> tuple[str, float]:
        """Leave a kind alone that is refused as a whole; return why, and until when."""
        if handler is MOVES:
            before = self._circuit.is_open
            self._circuit.open(f"{REFUSALS} requests in a row were refused", str(refusal))
            await self._record_circuit(before)
        return str(refusal), self._pause(handler, refusal)

    async def _weigh(self, moves: Sequence[Entry], reply: Reply) -> Reply:
        """Note what mailboxes answered; while all of them refuse, what was refused is put off and not given up."""
        answer, before = reply.answers[0], self._circuit.is_open
        if answer.state == "sent" and not answer.why:
            self._circuit.note_success(moves)
        elif answer.state == "failed":
            self._circuit.note_refusal(moves, answer.said)
        await self._record_circuit(before)
        if answer.state != "failed" or not self._circuit.is_open:
            return reply
        self.problems[MOVES.queue] = self._circuit.why
        again = self._clock.now() + PROBE_EVERY
        return Reply(answer_all(self._resources, moves, "ready", self._circuit.why, next_at=again))

    async def _record_circuit(self, was_open: bool) -> None:  # noqa: FBT001 (what it was before)
        """Record when mail is not moved any more, and when it is again."""
        if self._circuit.is_open == was_open:
            return
        said = {"in_lane": "placement", "because": self._circuit.why}
        record = NewRecord("circuit closed", said) if was_open else NewRecord("circuit opened", said)
        await self._ledger.write(self._account, [record], self._clock.now())

    async def _write(self, handler: Handler, entries: Sequence[Entry], reply: Reply) -> None:
        """Write down what came of sending, whatever happens meanwhile."""
        if entries[0].action.list_name:
            self._observer.forget_listed(entries[0].lane)
        if any(answer.state == "sent" for answer in reply.answers):
            self._pauses.pop(handler.queue, None)
            self.problems.pop(handler.queue, None)
        first = self._clock.now() + self._verifier.delay
        reached = {entry.id: entry.reached_by for entry in entries}
        answers = [
            replace(
                one,
                next_at=one.next_at or (0.0 if one.state == "ready" else first),
                at=max(one.at, reached[one.id]) if one.state == "unsure" else one.at,
            )
            for one in reply.answers
        ]
        await unbroken(self._record(entries, answers, reply))

    async def _record(self, entries: Sequence[Entry], answers: Sequence[Answered], reply: Reply) -> None:
        now = self._clock.now()
        await self._ledger.answer(self._account, answers, now, tuple(self._budget.count_spent()))
        await self._verifier.settle_answered(reply.outcomes)
        self._measure(entries, answers, reply, now)

    def _measure(self, entries: Sequence[Entry], answers: Sequence[Answered], reply: Reply, now: float) -> None:
        """Report what was answered, and what these answers prove by themselves."""
        known = {entry.id: entry for entry in entries}
        for answer in answers:
            if answer.state == "sent":
                entry = known[answer.id]
                self._metrics.on_answer(_time_to_answer(entry, now))
                self._measure_action(entry, now)
        for outcome in reply.outcomes:
            if outcome.state == "done":
                self._metrics.on_proof(0.0)

    def _measure_action(self, entry: Entry, now: float) -> None:
        """Report how long it took to act, unless that was not ours: for old mail, people, and ends of list entries."""
        seconds = _time_to_answer(entry, now)
        if seconds is not None and entry.known_at >= self.began and not entry.approved_by and not is_end(entry):
            self._metrics.on_action(self._account, type(entry.action).__name__, seconds)

    def _pause(self, handler: Handler, error: WorkerError) -> float:
        """Leave a kind alone for a while, longer each time; return until when."""
        self.problems[handler.queue] = str(error)
        asked = error.after if isinstance(error, Temporary) else 0.0
        tries = self._pauses.get(handler.queue, (0.0, 0))[1] + 1
        until = self._clock.now() + max(asked, min(LONGEST_PAUSE, 2.0 ** min(tries, 6)))
        self._pauses[handler.queue] = until, tries
        return until


def fault_of(error: Permanent) -> str:
    """Return what is equal for refusals of one kind."""
    if isinstance(error, Rejected):
        return f"Rejected {error.status}: {kind_of_failure([error.reason])}"
    return type(error).__name__


def _fresh(claim: Claim, now: float) -> bool:
    return claim.look is None or claim.look.at >= now - FRESH


def _time_to_answer(entry: Entry, now: float) -> float | None:
    """Return how long after its event could be seen an entry was answered, None when nobody knows.

    Only the first sight of a thing is as old as the thing; a later one was found whenever a poll came by.
    """
    key = EventKey.parse(entry.cause)
    return max(0.0, now - entry.known_at) if key and key.number == 1 else None


def _with(entry: Entry, remotes: dict[str, str], told: dict[str, str]) -> Entry:
    """Give a claimed entry what was found out for sending it."""
    return replace(entry, remote=remotes.get(entry.id, entry.remote), said=told.get(entry.item, ""))


async def unbroken(work: Coroutine[Any, Any, None]) -> None:
    """Finish this even when cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
