"""The guard of blocks: asks, before one goes without a person, whether it would hit somebody whom the account knows.

Somebody who is registered is mostly forged, and an account that wrote clean mail before was mostly taken over: a block
would hit its owner.
"""

from collections import OrderedDict, deque

from worker.api import Client, Clock, Urgency
from worker.api.bodies import WhereMessage
from worker.errors import Temporary
from worker.escaping import escape
from worker.executor.hooks import Hooks
from worker.language.domains import lies_within
from worker.language.models import Message
from worker.language.rules import ENFORCE
from worker.ledger.doubts import find_doubt
from worker.ledger.entries import Entry, Question

DAY = 86400.0
EARLIEST, LATEST = 30 * DAY, DAY
"""Seconds before its cause between which clean mail speaks against a block."""
PER_MINUTE, MINUTE = 30, 60.0
"""Searches for clean mail in a minute, for all blocks of an account."""
KNOWN_FOR, KNOWN = 3600.0, 10_000
"""Seconds for which an answer is remembered, and how many are."""
LONGEST_ADDRESS = 320
"""Characters of an address that a search takes."""


class NotYet(Temporary):
    """So many senders were looked up in this minute that the others have their turn later."""


class BlockGuard:
    """Looks whom blocks would hit, for one account."""

    def __init__(self, client: Client, clock: Clock, hooks: Hooks) -> None:
        """Begin with nothing known."""
        self._client, self._clock = client, clock
        self._registry, self._standing = hooks.registry, hooks.standing
        self._known: OrderedDict[str, tuple[float, bool]] = OrderedDict()
        self._asked: deque[float] = deque(maxlen=PER_MINUTE)

    async def find_question(self, entry: Entry) -> Question | None:
        """Return what a person is to be asked about a block that would go at once.

        Raises NotYet, and what the API raises: nobody knows yet whom it would hit, so it is asked again later.
        """
        if entry.approved_by or not self._goes_at_once(entry):
            return None
        shown = escape(entry.target.partition(":")[2], 100)
        if await self._is_registered(entry.target):
            said = f"{shown} is in the impersonation registry, or has an address that is: a person decides"
            return Question(id=entry.id, said=said, why="registered")
        if await self._wrote_clean_mail(entry):
            said = f"{shown} wrote clean mail in the month before, so its account may have been taken over"
            return Question(id=entry.id, said=said, why="wrote_before")
        return None

    def _goes_at_once(self, entry: Entry) -> bool:
        """Tell whether the claim would ask nobody: then, and only then, a search is worth its call."""
        standing = self._standing()
        is_fresh = self._clock.now() - entry.known_at <= standing.stale
        return standing.ceiling is ENFORCE and is_fresh and find_doubt(entry) is None

    async def _is_registered(self, target: str) -> bool:
        registry = await self._registry()
        kind, _, pattern = target.partition(":")
        if kind == "EMAIL":
            return registry.is_registered(pattern)
        return kind == "DOMAIN" and registry.has_within(pattern)

    async def _wrote_clean_mail(self, entry: Entry) -> bool:
        """Tell whether clean mail came from a pattern between a month and a day before what asks for its block."""
        now = self._clock.now()
        until, found = self._known.get(entry.target, (0.0, False))
        if until <= now:
            if len(self._asked) == PER_MINUTE and (wait := self._asked[0] + MINUTE - now) > 0:
                raise NotYet(f"{PER_MINUTE} senders were looked up in this minute", after=wait)
            self._asked.append(now)
            found = await self._search(entry)
            self._remember(entry.target, now + KNOWN_FOR, found=found)
        return found

    def _remember(self, target: str, until: float, *, found: bool) -> None:
        self._known.pop(target, None)
        self._known[target] = until, found
        if len(self._known) > KNOWN:
            self._known.popitem(last=False)

    async def _search(self, entry: Entry) -> bool:
        page = await self._client.investigate.search(
            _make_search(entry),
            start=entry.scanned_at - EARLIEST,
            end=entry.scanned_at - LATEST,
            detections_only=False,
            urgency=Urgency.FACTS,
        )
        return any(one.final_disposition == "NONE" and _is_from(one, entry) for one in page.read().entries)


def _make_search(entry: Entry) -> WhereMessage:
    """Return the search for clean mail of a pattern; of a network, that of the server which proved it."""
    kind, _, pattern = entry.target.partition(":")
    if kind == "IP":
        return WhereMessage(smtp_helo_ip=entry.authenticated, final_disposition="NONE")
    return WhereMessage(sender=pattern[:LONGEST_ADDRESS], final_disposition="NONE")


def _is_from(message: Message, entry: Entry) -> bool:
    kind, _, pattern = entry.target.partition(":")
    if kind == "IP":
        return message.smtp_helo_server_ip == entry.authenticated
    if kind == "DOMAIN":
        return lies_within(message.domain, pattern)
    return message.sender.lower() == pattern
