"""The worker of one account: its client, its two loops, and which sources they need."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from msgspec import Raw

from worker.api import Budget, Client, Clock, HttpTransport, Urgency
from worker.audit.announcements import Terms
from worker.audit.announcer import Announcer
from worker.audit.deliveries import Deliveries
from worker.audit.signers import Signer
from worker.daemon.block_review import BlockReview
from worker.daemon.fields import Fields, Needs
from worker.daemon.integration import Integration
from worker.daemon.loops import build_loops
from worker.errors import Temporary
from worker.intake.reader import Intake
from worker.intake.slices import Pace
from worker.intake.sources import WHEN_NEEDED, Messages, Source, Submissions
from worker.intake.unreadable import UnreadableRecords
from worker.judging.facts import Facts
from worker.judging.services import AccountServices, Timing
from worker.judging.watches import FACTS, LISTS, FactWatch, GroupWatch, ListWatch
from worker.language.rules import OBSERVE, OFF, RuleInfo
from worker.ledger.entries import Standing
from worker.ledger.ledger import Ledger
from worker.mime.process import LetterOpener
from worker.notifiers import Channels
from worker.rulehost.host import Host
from worker.settings import Settings
from worker.telemetry import Outlets

SOONEST = 1.0
"""Fewest seconds between two polls while there is something new."""
PART = 3.0
"""Polls use at most one in this many requests of the share; acting and proving need the others."""
OVERLAP_EVERY = 60.0
BEHIND = " behind the head"
"""Suffix of the loop that reads what lies behind the head of a source."""
UNHEARD = 5.0
"""Seconds between two checks whether a rule uses a source by now."""


OnList = Callable[[str, Sequence[Raw]], None]


TIME_AGAIN = 16.0
"""Seconds until the API is asked again for its time: by then it answers on a new connection."""
UNKNOWN_TIME = (
    "nobody knows what time it is: the answers of the API and the clock of this machine are more than 10 min apart, "
    "and the answers do not agree with each other, or name a time before the end of what has been read; set the clock "
    "of this machine, and see what proxy answers"
)


class Loop(NamedTuple):
    """Work that repeats: ``step`` does one piece of it and returns the seconds until the next."""

    name: str
    step: Callable[[], Awaitable[float]]


class Services(NamedTuple):
    """What the workers of all accounts share in one process."""

    settings: Settings
    outlets: Outlets
    clock: Clock
    ledger: Ledger
    host: Host
    channels: Channels
    timing: Timing
    deliveries: Deliveries
    opener: LetterOpener
    signer: Signer | None
    """What signs the audit records, None when nothing does."""


class ApiConnection(NamedTuple):
    """A connection to the API: one per credential, since all accounts of a credential share its budget."""

    transport: HttpTransport
    budget: Budget
    credential: str
    """Its fingerprint, under which the ledger keeps what was spent."""


class AccountWorker:
    """Reads one account and acts in it."""

    def __init__(self, account: str, connection: ApiConnection, services: Services, *, prefix: str = "") -> None:
        """Build the loops; ``prefix`` tells the loops of several accounts apart in the log."""
        self.account, self.connection, self._services, self._prefix = account, connection, services, prefix
        self._contacting, self._contacted = asyncio.Lock(), False
        self._asking = False
        self.client = client = _open_client(account, connection, services, self._note_list)
        own = AccountServices(
            account=account,
            client=client,
            budget=connection.budget,
            ledger=services.ledger,
            clock=services.clock,
            contact=self._contact,
            observer=services.outlets.metrics,
        )
        self.wake, self.integration = own.wake, Integration(own)
        self._facts = {fact: FactWatch(fact) for fact in FACTS}
        self._lists = {kind: ListWatch(kind) for kind in LISTS}
        sources = (Messages(client, self._wants_clean), *(other(client) for other in WHEN_NEEDED))
        self.intakes, self.held, self.executor = build_loops(
            own,
            services.timing,
            sources=[(source, _choose_pace(source, services.settings)) for source in sources],
            facts=Facts(client, services.clock, services.opener.open, self._note_fact),
            rules=services.host,
            standing=self.read_standing,
            notify=services.channels.notify,
        )

        self.unreadable = UnreadableRecords(own, self.intakes)
        watches = (*(intake.fields for intake in self.intakes), *self._facts.values(), *self._lists.values())
        self.fields = Fields(own, watches, self._find_needs, services.outlets.log)
        self.held.keep_fields = self.fields.keep_missed
        for intake in self.intakes:
            intake.keep_fields = self.fields.keep_missed
        self.block_review = BlockReview(own)
        self.announcer = _open_announcer(account, services, lambda: self.read_standing().rules)

    @property
    def totals(self) -> Counter[str]:
        """Counts since the start: read, new, decisions."""
        return sum((intake.totals for intake in self.intakes), self.held.totals)

    def name_source(self, intake: Intake) -> str:
        """Return the name of a source of this account in logs and readiness."""
        return self._prefix + intake.source.name

    def list_loops(self) -> list[Loop]:
        """Return the loops of this account: each source's head, what lies behind it, held events, and domains."""
        heads = [Loop(self.name_source(one), self._skip_unneeded(one, one.read_head)) for one in self.intakes]
        behind = [
            Loop(self.name_source(one) + BEHIND, self._skip_unneeded(one, one.read_behind)) for one in self.intakes
        ]
        beside = (
            ("held events", self.held.step),
            ("unreadable records", self.unreadable.step),
            ("domains", self.integration.check),
            ("fields", self.fields.keep),
            ("block review", self.block_review.step),
        )
        announcing = [
            Loop(f"{self._prefix}announcements {name}".rstrip(), partial(self.announcer.take_turn, name))
            for name in self.announcer.orders
        ]
        return [*heads, *behind, *(Loop(self._prefix + name, step) for name, step in beside), *announcing]

    def read_standing(self) -> Standing:
        """Return the ceiling and the rules as they are now: what must hold when an entry is claimed."""
        host, settings = self._services.host, self._services.settings
        named = {rule.name: rule for rule in host.bundle.rules}
        return Standing(ceiling=settings.ceiling, rules=named, lowered=host.lowered, stale=settings.stale)

    @property
    def needed(self) -> tuple[Intake, ...]:
        """The sources to read: mail always, any other while a rule uses it, or a request of ours is told there."""
        kinds = {Messages.kind, *(rule.trigger for rule in self._services.host.bundle.rules if rule.mode is not OFF)}
        kinds |= {Submissions.kind} if self._asking else set()
        return tuple(intake for intake in self.intakes if intake.source.kind in kinds)

    def _find_needs(self) -> Needs:
        return Needs(self._services.host.bundle.rules, [intake.source for intake in self.needed])

    @property
    def resting(self) -> tuple[Intake, ...]:
        """The sources that nobody needs now."""
        needed = self.needed
        return tuple(intake for intake in self.intakes if intake not in needed)

    def list_watches(self) -> Iterator[tuple[str, GroupWatch]]:
        """Yield what watches the fields of the sources that are read, of the facts that rules ask for, and of lists."""
        yield from ((self.name_source(intake), intake.fields) for intake in self.needed)
        rules = self._services.host.bundle.rules
        asked = {fact for rule in rules if rule.mode is not OFF for fact in rule.facts}
        yield from ((self._prefix + fact, watch) for fact, watch in self._facts.items() if fact in asked)
        yield from ((self._prefix + watch.name, watch) for watch in self._lists.values())

    def list_unnamed(self) -> list[str]:
        """Return which entries of the account's lists do not say whom they are about."""
        return [self._prefix + watch.unnamed for watch in self._lists.values() if watch.unnamed]

    def _note_fact(self, fact: str, results: Sequence[Raw], scanned: float) -> None:
        """Look at the fields of a fact that has been read."""
        self._facts[fact].note(results, scanned, self._services.clock.now())

    def _note_list(self, kind: str, entries: Sequence[Raw]) -> None:
        """Look at the fields of a list that has been read."""
        if watch := self._lists.get(kind):
            watch.note(entries, self._services.clock.now())

    async def look_for_requests(self) -> None:
        """See whether a request for another verdict has no end yet: submissions tell what becomes of it."""
        self._asking = await self._services.ledger.is_asking(self.account)

    def _skip_unneeded(self, intake: Intake, step: Callable[[], Awaitable[float]]) -> Callable[[], Awaitable[float]]:
        """Wrap a step so that it does nothing while nobody needs its source."""

        async def turn() -> float:
            if intake.source.kind == Submissions.kind:
                await self.look_for_requests()
            return await step() if intake in self.needed else UNHEARD

        return turn

    async def _contact(self) -> None:
        """Make one small request, once: the answer carries the API's time. Ask again while that is not believed.

        Raises Temporary when the API and this machine still say different times after a while.
        """
        clock = self._services.clock
        async with self._contacting:
            for again in (True, True, True, False):
                if not self._contacted:
                    await self.client.settings.domains.list(per_page=1, urgency=Urgency.HEAD)
                self._contacted = clock.is_known
                if self._contacted:
                    return
                if again:
                    await clock.sleep(TIME_AGAIN)
        raise Temporary(UNKNOWN_TIME)

    def _wants_clean(self) -> bool:
        """Return whether any rule wants clean mail."""
        rules = self._services.host.bundle.rules
        heard = (rule.dispositions or () for rule in rules if rule.trigger == Messages.kind and rule.mode is not OFF)
        return any("NONE" in dispositions for dispositions in heard)


def _open_client(account: str, connection: ApiConnection, services: Services, on_list: OnList) -> Client:
    """Open the client of an account; each call is counted."""
    return Client(
        connection.transport,
        connection.budget,
        services.clock,
        account,
        jitter=random.random,
        on_call=services.outlets.metrics.on_call,
        on_list=on_list,
    )


def _open_announcer(account: str, services: Services, rules: Callable[[], dict[str, RuleInfo]]) -> Announcer:
    """Return what calls people to what waits for them in an account."""
    settings = services.settings
    terms = Terms(account, settings.lapse, may_approve=settings.ceiling > OBSERVE)
    return Announcer(
        services.ledger,
        services.deliveries,
        find_rules=rules,
        clock=services.clock,
        terms=terms,
        gather=services.timing.gather_notices,
    )


def _choose_pace(source: Source, settings: Settings) -> Pace:
    """Return how often a source is read: what changes rarely is polled rarely."""
    requests, window = settings.budget
    soonest = max(SOONEST, PART * window / (requests * settings.budget_share))
    return Pace(
        soonest=min(soonest, settings.poll_every) * source.pace,
        latest=settings.poll_every * source.pace,
        lookback=settings.lookback,
        overlap=settings.overlap,
        overlap_every=OVERLAP_EVERY * source.pace,
        sweep=settings.sweep,
        sweep_every=source.rest,
    )
