"""What is handed to and from the ledger: frozen values, no rows. All times are API time in seconds since the epoch."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import force_setattr

from worker.language.models import FACTS, Submission
from worker.language.rules import Ask, Lowered, Proposal, RuleInfo
from worker.language.times import epoch
from worker.ledger.entries import Draft, Look, Outcome

SliceKind = Literal["head", "gap", "overlap", "sweep", "unheard", "again"]
"""An ``unheard`` slice was read, but too many events were held for all of its rules to be heard.

An ``again`` one was read and judged while a field was missing that is back.
"""
REREAD: frozenset[SliceKind] = frozenset({"unheard", "again"})
"""The kinds of slices that are read once more; coverage has them already."""
Spent = tuple[tuple[float, int], ...]
"""What a budget has spent lately: (second, requests)."""


class Thing(Struct, frozen=True):
    """Something that can be seen: its kind (the noun's name), the time its id or creation carries, and its id."""

    kind: str
    time: float
    id: str


class MailNames(Struct, frozen=True, kw_only=True):
    """What a message can be found by beside its id, as strangers wrote it."""

    postfix_id: str = ""
    message_id: str = ""
    sender: str = ""
    recipients: tuple[str, ...] = ()
    subject: str = ""


class Reading(Struct, frozen=True, kw_only=True):
    """One record as it was just read. ``state`` is what makes a sight; the rest is what a look needs."""

    thing: Thing
    state: str
    raw: bytes
    verdict: str = ""
    look: Look | None = None
    names: MailNames | None = None
    """What a message can be found by, where the ledger is to keep it."""
    submission: Submission | None = None
    """What a submission says of the request for another verdict that it is; empty fields were not read."""


class EventKey(NamedTuple):
    """What tells one event from all others, written as ``time/kind/id/number``; an id may hold slashes itself."""

    time: str
    """Whole seconds in UTC, from the thing's id or creation, such as 2026-01-05T12:00:00Z."""
    kind: str
    id: str
    number: int
    """Which sight of the thing, from 1."""

    @classmethod
    def parse(cls, text: str) -> "EventKey | None":
        """Read a key; None for a cause that is no event, such as the end of a list entry."""
        time, _, rest = text.partition("/")
        kind, _, rest = rest.partition("/")
        id_, _, number = rest.rpartition("/")
        return cls(time, kind, id_, int(number)) if id_ and number.isdecimal() else None

    def __str__(self) -> str:
        return f"{self.time}/{self.kind}/{self.id}/{self.number}"

    @property
    def at(self) -> float:
        """The time in seconds since the epoch."""
        return epoch(datetime.fromisoformat(self.time))

    @property
    def thing(self) -> str:
        """What all sights of one thing have in common in their keys."""
        return f"{self.time}/{self.kind}/{self.id}"


def thing_of(key: str) -> str:
    """Return what all sights of one thing have in common in their keys; asked for each draft, so nothing is parsed."""
    return key.rpartition("/")[0]


class Sight(Struct, frozen=True):
    """A state of a thing as it was seen for the first time, or is judged again, numbered from 1."""

    reading: Reading
    number: int
    key: str = ""
    """The event's key, which begins with its time; written once, because it is asked for often."""
    lacked: tuple[str, ...] = ()
    """Fields that were missing when the same state was judged before; none for a state that is new."""
    known_at: float = 0.0
    """When a state became known that is judged again."""

    def __post_init__(self) -> None:
        """Write the key."""
        force_setattr(self, "key", write_key(self.reading.thing, self.number))


def write_key(thing: Thing, number: int) -> str:
    """Return the key of the event that the sight with a number of a thing is."""
    return str(EventKey(_write_time(thing.time), thing.kind, thing.id, number))


@lru_cache(maxsize=4096)
def _write_time(time: float) -> str:
    """Write whole seconds in UTC; remembered, because mail shares its seconds."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Absence(Struct, frozen=True, kw_only=True):
    """A time during which a field was missing from what events of a kind were judged by, as they were read."""

    kind: str
    field: str
    start: float
    end: float


class NewSights(Struct, frozen=True):
    """What a page holds that the ledger has not seen; echoes are our own acts coming back: kept, not judged."""

    sights: tuple[Sight, ...] = ()
    echoes: tuple[Sight, ...] = ()
    maybes: tuple[Reading, ...] = ()
    """Things that returned to an earlier state, seen so first: news only when still so a settle time later."""
    cleared: tuple[Thing, ...] = ()
    """Things that were such a maybe, and were now read as they were last seen: the maybe was a stale read."""


class Slice(Struct, frozen=True, kw_only=True):
    """An interval of a source that is being read, and how far: ``cursor`` is the API's, None at its beginning."""

    source: str
    kind: SliceKind
    start: float
    end: float
    cursor: str | None = None
    why: str = ""
    opened: float = 0.0
    next_at: float = 0.0


class Coverage(Struct, frozen=True):
    """What is known to be read of a source: closed intervals in order, and slices in hand."""

    closed: tuple[tuple[float, float], ...] = ()
    open: tuple[Slice, ...] = ()
    since: float = 0.0
    """Where reading of this source once began; 0 before the first read."""
    unread: tuple[tuple[float, float], ...] = ()
    """Closed moments of which nothing is known, because what the API answers for them is cut short."""


class Mishap(Struct, frozen=True, kw_only=True):
    """A rule that failed on an event: kept, so that the mended rule can judge it again."""

    rule: str
    fingerprint: str
    cause: str
    problem: str
    raw: bytes


class Broken(Struct, frozen=True):
    """A record that could not be read: kept as it came, with the reason."""

    raw: bytes
    why: str
    judged: bool = False
    """Whether rules get it all the same."""
    id: str = ""
    """What names it, where that can be read."""
    start: float = 0.0
    """Its moment, or the beginning of the slice that it came with where its time cannot be read."""
    end: float = 0.0

    def digest(self, source: str) -> str:
        """Return what names it among all of a source: by its bytes, or by its moment where nothing came."""
        return sha256(self.raw or f"{source}/{self.start}/{self.end}".encode()).hexdigest()


class Pending(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is open about an event that rules have spoken about, but not all of them."""

    asks: tuple[Ask, ...] = ()
    """The rules that have not answered; none when the whole event waits."""
    entered: tuple[Proposal, ...] = ()
    """What was entered of what the others said."""
    late: tuple[Proposal, ...] = ()
    """What the others said that waits, because the rules that asked may speak against it."""

    def may_want(self, rules: Iterable[str]) -> bool:
        """Tell whether what these rules want of the event is still to be entered."""
        waits = {*(ask.rule for ask in self.asks), *(one.rule for one in self.late)}
        return not self.asks or not waits.isdisjoint(rules)

    @property
    def fields(self) -> frozenset[str]:
        """The fields of the event that could not be read and that rules wait for; those of facts come with these."""
        return frozenset(name for ask in self.asks for name in ask.unread if name.partition(".")[0] not in FACTS)


AnswerResult = Literal[
    "wanted",  # entered as the rule wants it, unless that joined an entry or was moot at once
    "kept",  # the rule wants that nothing is done
    "outranked",  # ``by`` rules of higher priority
    "disputed",  # by rules of equal priority
    "held",  # for what it ``needs``, or for the answer of rules that it waits for
    "failed",
    "unreadable",  # no rule was asked: the record cannot be read
    "not_judged",  # no rule was asked: an act of our own came back
]


class RuleAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of asking one rule about a sight. A rule that wanted nothing leaves none."""

    result: AnswerResult
    rule: str = ""
    by: tuple[str, ...] = ()
    """The rules that outranked it, or whose answer it waits for."""
    needs: tuple[str, ...] = ()
    """Facts that have not been fetched, and fields that could not be read."""
    lowered: Lowered = ""


class Judgement(Struct, frozen=True):
    """What the rules said of a sight; what they have said before of the same sight is completed by it."""

    sight: Sight
    answers: tuple[RuleAnswer, ...]


class RuleTable(Struct, frozen=True):
    """The rules that were asked, all together; without a fingerprint nobody knows them."""

    fingerprint: str = ""
    rules: tuple[RuleInfo, ...] = ()


class HeldCause(NamedTuple):
    """How many events are held for one cause, since when the oldest is, and whether none of them was tried yet."""

    why: str
    events: int
    since: float
    is_new: bool = False


class Held(Struct, frozen=True, kw_only=True):
    """An event that some rules cannot judge yet, or nobody can; given up at ``since`` + 24 h."""

    sight: Sight
    why: str
    since: float
    tries: int
    next_at: float
    pending: Pending = Pending()
    last: bool = False
    """Given up: to be closed with a record."""
    patient: bool = True
    """Whether what is wanted of malicious mail waits a while for rules that cannot answer yet."""


class Page(Struct, frozen=True, kw_only=True):
    """Everything one page of a source came to; entered in one transaction."""

    account: str
    now: float
    source: str
    news: NewSights = NewSights()
    judgements: tuple[Judgement, ...] = ()
    rule_table: RuleTable = RuleTable()
    """The rules that were asked about it."""
    drafts: tuple[Draft, ...] = ()
    mishaps: tuple[Mishap, ...] = ()
    broken: tuple[Broken, ...] = ()
    readings: tuple[Reading, ...] = ()
    """All records that could be read, new or not."""
    legible: tuple[str, ...] = ()
    """Their ids."""
    verdicts: dict[str, str] = {}
    """By the id of a message: its verdict, if that is known."""
    legible_since: float = 0.0
    """What could not be read of the same ids up to then is outdated; what was kept later may be newer."""
    failing: tuple[str, ...] = ()
    """Ids of messages of which a move is shown to have failed."""
    outcomes: tuple[Outcome, ...] = ()
    """What the records show of entries that were sent, or may have been."""
    held: tuple[Held, ...] = ()
    """Events to be held (again), or given up."""
    judged: tuple[str, ...] = ()
    """Keys of formerly held events that are judged now."""
    slice: Slice | None = None
    """The slice as it stands after this page; None when the page belongs to no slice."""
    closes: bool = False
    """The slice is read to its end."""
    instead: tuple[Slice, ...] = ()
    """Slices that take the place of ``slice``, which was too slow to answer; ``slice`` itself goes away."""
    since: float = 0.0
    """Where reading of the source begins; kept when the source has no beginning yet."""
    spent: tuple[tuple[float, int], ...] = ()
    """What the budget has spent lately, for the next start; kept under the account."""
    generation: int = 0
    """Which bundle of rules judged this, counted since the start; 0 when nobody said."""


class Entered(Struct, frozen=True):
    """What came of entering a page: how many entries by state, and which records count no longer as unreadable."""

    states: dict[str, int]
    read_again: tuple[str, ...] = ()
    """The digests of records of which the page showed other bytes, which could be read."""
    left: int = 0
    """Events that could not be held, because too many are: their time is read again."""
