"""A whole day in one process: time, the wire, commits and chance are handed in, so a seed replays it exactly.

The day is lived in several lives of the worker. Each ends by a kill at some step of some task; the mailbox, the ledger
and the day go on. What came of it is judged by the mailbox alone.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from random import Random
from typing import NamedTuple, TypeVar
from urllib.parse import unquote

from sqlalchemy import Connection

from tests.ledger.memory import in_memory
from tests.support import open_mail
from tests.virtual import Dead, VirtualLoop
from worker import AllowSender, BlockSender, Message, Move, Reclassify, Release, TrustDomain
from worker.api import ApiClock, Budget, Client, Request, Response
from worker.daemon.loops import build_loops
from worker.errors import Permanent, Temporary, Unreachable, Unsure
from worker.intake.slices import Pace
from worker.intake.sources import Messages
from worker.judging.facts import Facts
from worker.judging.services import AccountServices, Timing
from worker.language.actions import AnyAction
from worker.language.reading import read
from worker.language.rules import ENFORCE, Limit, Proposal, RuleInfo
from worker.ledger.db.runner import SyncRunner
from worker.ledger.entries import Standing
from worker.ledger.ledger import Ledger
from worker.rulehost.evaluation import Event, Said
from worker.rulehost.host import BundleInfo
from worker.sandbox import ACCOUNT, Faults, IncomingRequest, SandboxOptions, World
from worker.sandbox.account.mail import Mail
from worker.telemetry import Metrics

T = TypeVar("T")
DAWN = 1_767_225_600.0
"""Midnight of the first of January 2026, as seconds since the epoch."""
DAY = 86_400.0
EVENING = 4 * 3600.0
"""Quiet hours after the day: no more mail, faults or kills, but time to prove and to find what is late."""
SETTLE = 120.0
LABEL = "authorization"
TAKEN_OVER, REGULAR = 0.2, "mina.roth@customer.example"
"""The share of waves with which suspicious mail comes from an account that wrote clean mail three days before."""
NEW_DOMAINS = 0.3
"""The share of waves with which somebody writes from a domain of his own, which is trusted for a while."""


class Life(NamedTuple):
    """When a life of the worker ends: at a step, or, when that is 0, at a time."""

    until: float
    dies_at_step: int
    pause: float


class Rules:
    """The rules of the day, in this process: what they want can be said of a message without asking them."""

    bundle = BundleInfo()

    def is_heard(self, kind: str, disposition: str) -> bool:  # noqa: ARG002 (as the daemon asks)
        """Judge every event."""
        return True

    async def propose(self, events: Sequence[Event]) -> list[Said]:
        """Judge each event."""
        return [Said(key=event.key, proposals=tuple(self._said(event))) for event in events]

    def _said(self, event: Event) -> list[Proposal]:
        if event.kind != "Message":
            return []
        return [_proposal(name, actions) for name, actions in wanted(read(Message, event.raw)).items()]


def wanted(message: Message) -> dict[str, tuple[AnyAction, ...]]:
    """Say what the rules of the day want of a message: this is also what the day is judged by."""
    said: dict[str, tuple[AnyAction, ...]] = {}
    if message.final_disposition == "MALICIOUS" and not message.is_quarantined:
        said["malicious_mail"] = (Move("DeletedItems"),)
    if message.is_quarantined and message.domain == "partner.example":
        said["partner_release"] = (Release(), Reclassify("NONE"), AllowSender(message.sender))
    if message.final_disposition == "SUSPICIOUS":
        said["suspicious_sender"] = (BlockSender(message.sender),)
    if message.final_disposition == "SPOOF":
        said["trusted_for_a_while"] = (TrustDomain(message.domain, for_=timedelta(hours=2)),)
    return said


INFO = {
    name: RuleInfo(
        name=name,
        file="day.py",
        line=1,
        doc=name,
        trigger="Message",
        facts=(),
        actions=(),
        mode=ENFORCE,
        limit=Limit(100_000),
        priority=0,
        dispositions=None,
        fingerprint="of the day",
    )
    for name in ("malicious_mail", "partner_release", "suspicious_sender", "trusted_for_a_while")
}


def _proposal(name: str, actions: tuple[AnyAction, ...]) -> Proposal:
    return Proposal(rule=name, actions=actions, mode=ENFORCE, priority=0, fingerprint="of the day")


class Wire:
    """The way to the mailbox: takes time, breaks as the mailbox says, and is silent after a kill."""

    def __init__(self, world: World, loop: VirtualLoop, rng: Random, unheard: Counter[str]) -> None:
        """``unheard`` counts the requests for another verdict that the mailbox did not carry out, by message."""
        self._world, self._loop, self._rng, self._unheard = world, loop, rng, unheard

    async def send(self, request: Request) -> Response:
        """Carry a request there and its answer back."""
        await asyncio.sleep(self._rng.uniform(0.01, 0.5))
        self._loop.alive()
        before = len(self._world.effects)
        answer = self._world.handle(
            IncomingRequest(
                method=request.method,
                path="/client/v4" + unquote(request.path),
                query=tuple(request.query),
                headers={LABEL: "Bearer day"},
                body=request.body or b"",
            )
        )
        if request.path.endswith("/reclassify") and len(self._world.effects) == before:
            self._unheard[unquote(request.path).split("/")[-2]] += 1
        await asyncio.sleep(self._rng.uniform(0.01, 0.5) + answer.delay)
        self._loop.alive()
        if answer.cut == "before":
            raise Unreachable("the connection was reset before anything was sent")
        if answer.cut:
            raise Unsure("the connection broke before the answer was whole")
        return Response(status=answer.status, headers=answer.headers, body=answer.body)


class Commits:
    """The ledger's runner, with a step before and after each commit at which the process may be killed."""

    def __init__(self, runner: SyncRunner, loop: VirtualLoop) -> None:
        self._runner, self._loop = runner, loop

    async def run(self, fn: Callable[[Connection], T]) -> T:
        """Run a transaction, if still alive; whether its result is heard is another matter."""
        return await self._alive(partial(self._runner.transact, fn))

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Run what only reads, likewise."""
        return await self._alive(partial(self._runner.transact, fn, reads=True))

    async def _alive(self, transaction: Callable[[], T]) -> T:
        await asyncio.sleep(0)
        self._loop.alive()
        result = transaction()
        await asyncio.sleep(0)
        self._loop.alive()
        return result


class Day:
    """One seeded day of a mailbox and of the worker that looks after it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = Random(seed)
        self.moment = 0.0
        self.loop: VirtualLoop | None = None
        self.lives = 0
        self.unheard = Counter[str]()
        self.runner = in_memory()
        lag = self.rng.choice((0.0, 0.3, 5.0, 60.0))
        self.faults = self.rng.choice(("none", "rough", "hostile"))
        self.world = World(
            ACCOUNT,
            seed=seed,
            now=self.now,
            quota=(1200, 300.0),
            faults=Faults(self.faults, seed=seed),
            options=SandboxOptions(
                era=Random(f"era {seed}").choice(("today", "seeds")),
                lag=lag,
                late=0.1,
                late_by=self.rng.choice((300.0, 3600.0)),
                verdicts=0.1,
                verdict_after=7200.0,
                analysts=0.05,
                moved_back=0.2,
                reports=0.0,
                lag_jitter=True,
            ),
        )

        self.world.add_message(disposition="NONE", sender=REGULAR, scanned=DAWN - 3 * DAY)

    def now(self) -> float:
        """Return the mailbox's time."""
        return DAWN + (self.loop.moment if self.loop else self.moment)

    def run(self) -> "Day":
        """Live the day, then a quiet evening."""
        for life in self._lives():
            self._live(life)
            self.moment += life.pause
        self.world.faults.use("none")
        self._live(Life(DAY + EVENING, 0, 0.0))
        self.runner.engine.dispose()
        return self

    def _lives(self) -> list[Life]:
        """Draw how often, and where, the worker is killed."""
        lives = [
            Life(at, self.rng.choice((0, self.rng.randint(50, 4000))), self.rng.uniform(0.0, 600.0))
            for at in sorted(self.rng.uniform(0.0, DAY) for _ in range(self.rng.randint(2, 6)))
        ]
        return [*lives, Life(DAY, 0, 1.0)]

    def _live(self, life: Life) -> None:
        """Run the worker until it is killed."""
        self.lives += 1
        self.loop = loop = VirtualLoop(self.moment, dies_at_step=life.dies_at_step)
        try:
            task = loop.create_task(self._worker(loop))
            loop.call_at(life.until, loop.die)
            loop.run_forever()
            loop.dead = True
            if task.done() and not task.cancelled() and (error := task.exception()) and not isinstance(error, Dead):
                raise error
        finally:
            self.moment = max(self.moment, loop.moment)
            _bury(loop)
            self.loop = None

    async def _worker(self, loop: VirtualLoop) -> None:
        """Put the worker's loops together, as the daemon does, and keep them going."""
        rng = Random(f"{self.seed} {self.lives}")
        clock = ApiClock(monotonic=loop.time, wall=lambda: DAWN + loop.time() + 7200, sleep=asyncio.sleep)
        ledger = Ledger(Commits(self.runner, loop), owner=f"life {self.lives}")
        budget = Budget(clock, 1200, 300.0, 0.8, await ledger.read_spent("day"))
        client = Client(Wire(self.world, loop, rng, self.unheard), budget, clock, ACCOUNT, jitter=rng.random)
        facts = Facts(client, clock, open_mail)
        services = AccountServices(
            account=ACCOUNT,
            client=client,
            budget=budget,
            ledger=ledger,
            clock=clock,
            contact=facts.policies,
            observer=Metrics(),
        )
        intakes, _, executor = build_loops(
            services,
            Timing(settle=SETTLE),
            sources=[(Messages(client, lambda: False), PACE)],
            facts=facts,
            rules=Rules(),
            standing=lambda: Standing(ceiling=ENFORCE, rules=INFO, stale=10 * DAY),
            notify=None,
        )
        async with asyncio.TaskGroup() as group:
            for intake in intakes:
                group.create_task(_kept(intake.read_head, clock))
                group.create_task(_kept(intake.read_behind, clock))
            group.create_task(executor.run())
            group.create_task(self._mail())

    async def _mail(self) -> None:
        """Let mail arrive: now and then one, sometimes a wave."""
        rng = Random(f"mail {self.seed} {self.lives}")
        while self.moment < DAY and self.loop is not None and self.loop.moment < DAY:
            await asyncio.sleep(rng.expovariate(1 / 9000.0))
            for _ in range(rng.choice((1, 1, 2, 3, 12))):
                self.world.arrive(1, rng.choice(("phish", "phish", "partner_held", "suspicious", "spam", "phish_held")))
            if rng.random() < TAKEN_OVER:
                self.world.add_message(disposition="SUSPICIOUS", sender=REGULAR, validation={"dmarc": "pass"})
            if rng.random() < NEW_DOMAINS:
                domain = f"new-{self.world.next_number()}.example"
                for _ in range(rng.choice((1, 2))):
                    self.world.add_message(disposition="SPOOF", sender=f"ada@{domain}")


PACE = Pace(
    soonest=1500.0,
    latest=3600.0,
    lookback=3600.0,
    overlap=2700.0,
    overlap_every=2400.0,
    sweep=4 * 3600.0,
    sweep_every=1500.0,
)


async def _kept(step: Callable[[], Awaitable[float]], clock: ApiClock) -> None:
    """Keep a loop going as the daemon does: what the API does not do now is tried again later."""
    while True:
        try:
            pause = await step()
        except (Temporary, Permanent):
            pause = 60.0
        await clock.sleep(pause)


def _bury(loop: VirtualLoop) -> None:
    """Take a killed loop apart without letting its tasks do anything any more."""
    loop.moment, tasks = loop.moment, asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.set_exception_handler(lambda _loop, _context: None)
    for _ in range(20):
        if all(task.done() for task in tasks):
            break
        loop.call_soon(loop.stop)
        loop.run_forever()
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()
    loop.close()


class Verdict(NamedTuple):
    """What the mailbox says about the day."""

    wanted: int
    lost: list[str]
    repeated: list[str]
    refused: int
    """429s of a day on which nobody else spent the budget: ours."""
    unproved: list[str]
    """Blocks, and moves because of a block, of whom no mail proved to come from there."""


def verdict(day: Day) -> Verdict:
    """Judge the day by the mailbox: what was wanted and never touched by others happened once, nothing ever twice."""
    ours: Counter[tuple[str, str]] = Counter()
    others: dict[str, set[str]] = defaultdict(set)
    for effect in day.world.effects:
        if effect.by in {"analyst", "user", "auto", "cloudflare"}:
            others[effect.target].add(effect.operation)
        else:
            ours[(effect.operation, effect.target)] += 1
    required = set(_required(day, others))
    repeated = [f"{operation} of {target}: {count}" for (operation, target), count in ours.items() if count > 1]
    lost = [f"{operation} of {target}" for operation, target in required if not ours[(operation, target)]]
    refused = sum(statuses["429"] for statuses in day.world.requests.values()) if day.faults == "none" else 0
    unproved = [f"{operation} of {target}" for operation, target in _forbidden(day) if ours[(operation, target)]]
    return Verdict(len(required), lost, repeated, refused, unproved)


def _forbidden(day: Day) -> Iterator[tuple[str, str]]:
    """Yield the effects that only a person may order: nobody approves anything on these days."""
    proved, blocked = set[str](), set[str]()
    for mail in day.world.by_id.values():
        message = _read(mail)
        if _meets_unproved_block(message):
            yield "move", mail.id
        (proved if message.authenticated else blocked).add(f"email:{message.sender.lower()}")
    known = {f"email:{REGULAR}"}
    yield from (("block_senders.create", target) for target in (blocked - proved) | known)


def _read(mail: Mail) -> Message:
    return read(Message, mail.encode(mail.now))


def _meets_unproved_block(message: Message) -> bool:
    """Tell whether a mail is judged by a block, all of which are ours, and may come from anybody."""
    return bool(message.properties.blocklisted_pattern) and not message.authenticated


def _required(day: Day, others: dict[str, set[str]]) -> Iterator[tuple[str, str]]:
    """Yield the effects that must have happened: those on mail that nobody else touched or judged anew."""
    for mail in day.world.by_id.values():
        first = mail.past[0][1] if mail.past else mail.value
        if others[mail.id]:
            continue
        message = _read(mail)
        sender = message.sender
        if first.disposition == "MALICIOUS" and not first.quarantined and not _meets_unproved_block(message):
            yield "move", mail.id
        if first.quarantined and sender.endswith("@partner.example"):
            yield "release", mail.id
            if day.unheard[mail.id] < Reclassify.tries:  # else a person is asked
                yield "reclassify", mail.id
            yield "allow_policies.create", f"email:{sender.lower()}"
        if first.disposition == "SUSPICIOUS" and message.authenticated and sender != REGULAR:
            yield "block_senders.create", f"email:{sender.lower()}"
        if first.disposition == "SPOOF":
            yield "trusted_domains.create", sender.rpartition("@")[2]
            yield "trusted_domains.delete", sender.rpartition("@")[2]
