"""One account of the sandbox: its mail, reports, submissions and lists, its clock, and everything that changed it."""

from __future__ import annotations

from bisect import insort
from collections import Counter
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random
from typing import TYPE_CHECKING
from zlib import crc32

from worker.sandbox.wire import Json, Reader, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.sandbox.account.jobs import Job
    from worker.sandbox.account.mail import Mail, State
    from worker.sandbox.account.timeline import Thing
    from worker.sandbox.options import Switches


@dataclass(frozen=True, slots=True)
class Slow:
    """A search that is still running until ``ready`` (epoch seconds)."""

    request: Request
    ready: float


@dataclass(frozen=True, slots=True)
class Effect:
    """One change somebody asked for, at ``at`` epoch seconds; ``changed`` tells whether it changed anything.

    ``by`` is the label of a credential (never the credential), or analyst, user, auto, cloudflare.
    """

    at: float
    operation: str
    target: str
    by: str
    changed: bool
    detail: Json = field(default_factory=dict)


class Account:
    """The state. Writes are seen by reads ``lag`` seconds later; ``now`` gives epoch seconds."""

    def __init__(self, account: str, *, seed: int, now: Callable[[], float], lag: float, switches: Switches) -> None:
        """Begin empty."""
        self.account = account
        self.seed = seed
        self.clock = now
        self.lag = lag
        self.switches = switches
        self.rng = Random(f"acts {seed}")
        self.mails: list[Mail] = []
        self.by_id: dict[str, Mail] = {}
        self.reports: dict[int, Thing] = {}
        self.submissions: dict[str, Thing] = {}
        self.lists: dict[str, dict[str, Thing]] = {}
        self.jobs: dict[str, Job] = {}
        self.effects: list[Effect] = []
        self.slow: dict[str, Slow] = {}
        self._due: list[tuple[float, int, Callable[[float], object]]] = []
        self._numbered = 0

    @property
    def reader(self) -> Reader:
        """What reads queries and bodies, with the status of a refusal."""
        return Reader(self.switches.invalid)

    def old(self, **fields: object) -> Json:
        """Return fields that are past their end of life, while a switch keeps them."""
        return fields if self.switches.deprecated else {}

    def advance(self) -> float:
        """Let everything happen that is due, in the order of its time, and return the time."""
        now = self.clock()
        while self._due and self._due[0][0] <= now:
            at, _, act = heappop(self._due)
            act(at)
        return now

    def later(self, at: float, act: Callable[[float], object]) -> None:
        """Let something happen at a moment, which it is handed."""
        heappush(self._due, (at, self.number(), act))

    def number(self) -> int:
        """Return the next number of this account."""
        self._numbered += 1
        return self._numbered

    def horizon(self, now: float, key: str) -> float:
        """Return the moment as of which a read at ``now`` sees the thing named ``key``."""
        if not self.switches.lag_jitter:
            return now - self.lag
        return now - self.lag * (crc32(f"{self.seed} {key}".encode()) % 1000) / 999

    def keep(self, mail: Mail) -> Mail:
        """Take a message in."""
        if not self.mails or self.mails[-1].scanned <= mail.scanned:
            self.mails.append(mail)
        else:
            insort(self.mails, mail, key=_scanned)
        self.by_id[mail.id] = mail
        return mail

    def find(self, ident: str, now: float) -> Mail | None:
        """Return the message of an id (or, with a switch, of a postfix id) that the index has by ``now``."""
        mail = self.by_id.get(ident)
        if mail is None and self.switches.postfix_path:
            mail = next((one for one in self.mails if one.postfix == ident), None)
        return mail if mail is not None and mail.first <= now else None

    def seen(self, mail: Mail, now: float) -> State | None:
        """Return the state of a message as a read at ``now`` sees it."""
        return mail.seen(self.horizon(now, mail.id))

    def shown(self, things: dict[str, Thing], now: float) -> list[Json]:
        """Return what a read at ``now`` sees of some things."""
        values = (thing.seen(self.horizon(now, key)) for key, thing in things.items())
        return [value for value in values if value is not None]

    def note(self, effect: Effect) -> Effect:
        """Write down an effect."""
        self.effects.append(effect)
        return effect

    def repeats(self) -> list[Effect]:
        """Return the effects beyond the first for the same operation and target by the same credential."""
        count: Counter[tuple[str, str, str]] = Counter()
        beyond: list[Effect] = []
        for effect in self.effects:
            key = (effect.operation, effect.target, effect.by)
            count[key] += 1
            if count[key] > 1:
                beyond.append(effect)
        return beyond


def _scanned(mail: Mail) -> int:
    return mail.scanned
