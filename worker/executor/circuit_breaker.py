"""Circuit breaker: stops moving mail while all mailboxes refuse it, and tries one mailbox now and then. No network."""

from collections.abc import Iterable, Sequence

from worker.api import Clock
from worker.ledger.entries import Entry

OPENS_AT = 20
"""Mailboxes that refuse, without one in between that does not, after which it is taken for a refusal of them all."""
PROBE_EVERY = 60.0
"""Seconds between two entries that are tried while the circuit is open."""
FRESH_EVERY = 1.0
"""The same where a mailbox has not refused yet: one that strangers have not found is what closes the circuit."""
MOST_GOOD = 10_000
"""Mailboxes that are remembered as good."""
REMEMBERED = 86400.0
"""Seconds for which a mailbox is known to refuse by itself."""


class CircuitBreaker:
    """Tells mailboxes that refuse by themselves from an integration that is gone.

    Strangers choose whom they write to: however many odd mailboxes they find, the next mail to any other one shows
    that the rest can be moved, and from then on those count for nothing.
    """

    def __init__(self, clock: Clock) -> None:
        """Begin closed: everything is tried."""
        self._clock = clock
        self._refused: dict[str, None] = {}
        self._odd: dict[str, float] = {}
        self._good: dict[str, None] = {}
        self._tried: dict[str, float] = {}
        self._again_at = self._fresh_at = 0.0
        self.why = ""
        """Why mail is not moved, in a sentence; empty while the circuit is closed."""

    @property
    def is_open(self) -> bool:
        """Whether only one entry a minute may be tried."""
        return bool(self.why)

    @property
    def next_probe(self) -> float:
        """When the next entry may be tried at the latest, in API time."""
        return self._again_at

    def choose(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return what may be tried now: all, or while the circuit is open one entry, or none until the next probe.

        A mailbox that has not refused yet comes first, before others one from which mail was moved before.
        """
        if not self.is_open:
            return list(entries)
        now = self._clock.now()
        fresh = [entry for entry in entries if self._refused.keys().isdisjoint(_list_mailboxes([entry]))]
        candidates = (now >= self._fresh_at and fresh) or (now >= self._again_at and entries)
        if not candidates:
            return []
        probe = min(candidates, key=self._rank)
        self._tried[probe.id] = now
        self._again_at, self._fresh_at = now + PROBE_EVERY, now + FRESH_EVERY
        return [probe]

    def _rank(self, entry: Entry) -> tuple[bool, float]:
        """Return what sorts first whatever is most likely to succeed, and was tried longest ago."""
        return self._good.keys().isdisjoint(_list_mailboxes([entry])), self._tried.get(entry.id, 0.0)

    def note_success(self, entries: Sequence[Entry]) -> None:
        """Close the circuit: what refused before did so by itself."""
        now = self._clock.now()
        self._good |= dict.fromkeys(_list_mailboxes(entries))
        self._good = dict(list(self._good.items())[-MOST_GOOD:]) if len(self._good) > MOST_GOOD else self._good
        self._odd = {name: at for name, at in self._odd.items() if at > now - REMEMBERED}
        self._odd |= dict.fromkeys(self._refused, now)
        self._refused, self._tried, self.why = {}, {}, ""

    def note_refusal(self, entries: Sequence[Entry], said: str) -> None:
        """Count the mailboxes of a refused request; open the circuit when these are many and none has agreed."""
        self._refused |= {name: None for name in _list_mailboxes(entries) if name not in self._odd}
        if len(self._refused) >= OPENS_AT:
            self.open(f"{len(self._refused)} mailboxes in a row refused", said)

    def open(self, what: str, said: str) -> None:
        """Open the circuit, or say anew why it is open."""
        self._again_at = self._again_at if self.is_open else self._clock.now() + PROBE_EVERY
        self.why = f"{what}, so only one mail a minute is tried: {said}"


def _list_mailboxes(entries: Iterable[Entry]) -> list[str]:
    return [name.lower() for entry in entries for name in entry.recipients]
