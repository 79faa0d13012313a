"""An entry of the ledger: a decided effect on a target, the states it may be in, and which may follow which."""

from typing import Literal, NamedTuple, get_args

from msgspec import Struct

from worker.language.actions import AnyAction, Lane
from worker.language.rules import Mode, RuleInfo

State = Literal[
    "observed",  # would have been done; final
    "held",  # waits behind another entry, or for the rest of its decision
    "waiting",  # for a person
    "ready",  # to be claimed, from ``ready_at`` on
    "claimed",  # the intent is written; a request may have left
    "sent",  # answered; not yet shown
    "unsure",  # may or may not have happened
    "done",
    "failed",
    "moot",  # nothing to do (any more)
    "refused",
    "lapsed",
]
STATES: tuple[State, ...] = get_args(State)
OPEN: frozenset[State] = frozenset({"ready", "claimed", "sent", "unsure"})
FINAL: frozenset[State] = frozenset({"observed", "done", "failed", "moot", "refused", "lapsed"})
RETIRABLE: frozenset[State] = frozenset({"waiting", "ready", "held"})
"""States in which an entry ends when nothing asks for it any more."""

FRESH = 60.0
"""Seconds after which a look is too old to claim on."""

FOLLOWS: dict[State, frozenset[State]] = {
    "observed": frozenset(),
    "held": frozenset({"ready", "waiting", "moot", "failed"}),
    "waiting": frozenset({"ready", "refused", "lapsed", "moot"}),
    "ready": frozenset({"claimed", "waiting", "held", "done", "moot"}),
    "claimed": frozenset({"sent", "ready", "failed", "unsure"}),
    "sent": frozenset({"sent", "done", "failed", "unsure"}),
    "unsure": frozenset({"sent", "done", "moot", "failed", "ready", "waiting"}),
    "done": frozenset(),
    "failed": frozenset(),
    "moot": frozenset(),
    "refused": frozenset(),
    "lapsed": frozenset(),
}


ItemKind = Literal[
    "decision",  # what one rule wants because of one event: most decisions
    "dispute",  # one side of what rules disagree about; ``item_of`` is the event's key
    "limit",  # what is beyond a rule's limit; ``item_of`` is the rule
    "end",  # the end of a list entry made for a time; ``item_of`` is the entry that made it
]


class Item(NamedTuple):
    """A decision: what a person approves or refuses as one; written as its name."""

    name: str
    kind: ItemKind
    of: str

    @classmethod
    def parse(cls, name: str) -> "Item":
        """Read a name, such as records hold it."""
        kind, _, rest = name.partition("/")
        if kind == "dispute":
            return cls(name, "dispute", rest.rpartition("#")[0])
        if kind == "limit":
            return cls(name, "limit", rest.rpartition("/")[0])
        return cls(name, "end", rest) if kind == "end" else cls(name, "decision", "")


Why = Literal[
    "",
    "ceiling",  # waits: the ceiling lets nothing be done without a person
    "rule_asks",  # waits: the rule's mode is APPROVE
    "irreversible",  # waits: this move cannot be undone
    "with_irreversible",  # waits: it belongs to a move that cannot be undone
    "disputed",  # waits: rules of equal priority want different things
    "late",  # waits: a rule answered after what it would have outranked was entered
    "stale",  # waits: known for longer than WORKER_STALE
    "limit",  # waits: the limit of its rules is spent
    "rule_changed",  # waits: no rule says any more what it said
    "blocked_elsewhere",  # waits: a list of the opposite meaning holds this sender; ``why_ref`` names the list entry
    "rule_lowered",  # waits: each of its rules only observes until it is fixed
    "unreadable",  # waits: nobody could read the record of it while it was swept
    "unproved",  # waits: nothing proves that the mail which asks for a block comes from whom it would hit
    "too_wide",  # waits: a whole mail provider, a public suffix or a wide network would be blocked
    "registered",  # waits: the impersonation registry has whom a block would hit
    "wrote_before",  # waits: whom a block would hit wrote clean mail before
    "domains_unknown",  # waits: nobody knows the account's own domains, which no block may hit
    "met_our_block",  # waits: the mail is judged so because of a block of ours, and does not prove to be from it
    "answer_unclear",  # sent: the answer named failures, or did not name this message
]


LASTING: frozenset[Why] = frozenset({"too_wide", "registered", "wrote_before", "domains_unknown", "met_our_block"})
"""Questions that no further event answers: one that asks for the same does not let such an entry go."""


Proof = Literal["", "seen", "answered", "log"]


Review = Literal[
    "",
    "accepted",  # sent: it is on record at Cloudflare, which has not decided yet
    "granted",  # done
    "rejected",  # failed: Cloudflare decided otherwise
    "invalid",  # failed: Cloudflare cannot review it
    "never_decided",  # failed
]
"""How far a request is about which Cloudflare decides later; empty for everything else."""
DENIED: frozenset[Review] = frozenset({"rejected", "invalid", "never_decided"})
"""Reviews that did not end as asked; nothing is wrong with the lane, so such a failure has no fault."""


class Look(Struct, frozen=True):
    """What a message looked like in one read; ``at`` is when that read began, in API time."""

    at: float
    verdict: str = ""
    quarantined: bool = False
    operations: tuple[str, ...] = ()
    status: tuple[str, ...] = ()


class WantedEffect(Struct, frozen=True, kw_only=True):
    """What is wanted of a target, by which rules and why. Times are seconds since the epoch in API time, 0 for none."""

    lane: Lane
    target: str
    cause: str
    action: AnyAction
    state: State
    mode: Mode
    rules: tuple[str, ...]
    fingerprints: tuple[str, ...]
    because: str
    item: str
    """What a person approves as one; see ``item_kind``."""
    item_kind: ItemKind = "decision"
    item_of: str = ""
    verdict: str = ""
    sender: str = ""
    recipients: tuple[str, ...] = ()
    subject: str = ""
    scanned_at: float = 0.0
    known_at: float = 0.0
    """From when its age counts; of the end of a list entry, when that is due by the API's time alone."""
    ready_at: float = 0.0
    """Before this it is not claimed; of the end of a list entry, by the later of the API's time and the wall clock."""
    authenticated: str = ""
    """What the mail that asks for it proved to come from: a domain, an address at a mail provider, or an IP."""


class Draft(WantedEffect, frozen=True, kw_only=True):
    """An effect as decided, to be entered: observed, waiting, ready or moot; the ledger may find it moot or held."""

    why_waiting: str = ""
    why: Why = ""
    met: str = ""
    """The pattern of the block list that the mail met."""
    again: bool = False
    """Whether its event was judged before in the same state, so that what was entered for that stands."""


class Entry(WantedEffect, frozen=True, kw_only=True):
    """One row of the ledger."""

    id: str
    account: str
    created_at: float = 0.0
    approved_by: str = ""
    behind: str = ""
    attempts: int = 0
    owner: str = ""
    claimed_at: float = 0.0
    reached_by: float = 0.0
    """The latest moment at which the last attempt could have reached the API; no look says no before SETTLE later."""
    answered_at: float = 0.0
    next_at: float = 0.0
    """When this entry is to be looked at again."""
    look: Look | None = None
    remote: str = ""
    """The id the API gave to what this entry made, for list entries."""
    proof: Proof = ""
    said: str = ""
    """What was said of it last, for people: by the API, by a look, or why it waits. Nothing is decided by it."""
    why: Why = ""
    """What the code decides by where ``said`` only tells; kept when a person approves."""
    why_ref: str = ""
    shown: tuple[str, ...] = ()
    """Keys of the action log's lines that a person was shown before deciding; see ``hand_key``."""
    shown_before: float = 0.0
    """Lines of the action log from before this time count as shown."""
    fault: str = ""
    """Equal for failures of one cause; empty for one that says nothing about its lane."""
    review: Review = ""
    drifted_at: float = 0.0
    """When the API first contradicted what was proved."""
    waits_since: float = 0.0
    announced_at: float = 0.0
    """When people were last told that it waits; before ``waits_since``, of this question nobody was told yet."""
    settled_at: float = 0.0


def is_accepted(entry: Entry) -> bool:
    """Tell whether all is done that the worker can do: only Cloudflare's decision is to come."""
    return entry.review == "accepted"


def is_under_way(entry: Entry) -> bool:
    """Tell whether nothing else may be done to the target of an entry, in its lane."""
    return entry.state in OPEN and not is_accepted(entry)


class Standing(Struct, frozen=True, kw_only=True):
    """What must hold at the moment of a claim: the ceiling, the rules as loaded now, and which of them are lowered."""

    ceiling: Mode
    rules: dict[str, RuleInfo]
    lowered: frozenset[str] = frozenset()
    stale: float = 86400.0


class Claim(Struct, frozen=True):
    """An entry somebody wants to carry out, and what its target looked like not more than 60 s ago."""

    id: str
    look: Look | None = None


class Question(Struct, frozen=True, kw_only=True):
    """What a person is asked about an entry that is to wait: why, and which lines of the action log they are shown."""

    id: str
    said: str
    why: Why = ""
    why_ref: str = ""
    shown: tuple[str, ...] = ()


class Answered(Struct, frozen=True, kw_only=True):
    """What came of sending one entry: sent, ready (provably not carried out), failed or unsure."""

    id: str
    state: State
    said: str = ""
    why: Why = ""
    fault: str = ""
    remote: str = ""
    at: float = 0.0
    """When the answer came, or until when the request could still have reached the API."""
    next_at: float = 0.0


class Outcome(Struct, frozen=True, kw_only=True):
    """What was found when looking at an entry that is sent or unsure."""

    id: str
    state: State
    """The state found; the same as before when there is nothing to say yet, then only ``next_at`` counts."""
    proof: Proof = ""
    said: str = ""
    fault: str = ""
    remote: str = ""
    review: Review = ""
    next_at: float = 0.0


class Order(Struct, frozen=True, kw_only=True):
    """What a person asked for, and what became of it."""

    id: int
    verb: str
    subject: str
    who: str
    because: str
    at: float
    taken_at: float = 0.0
    answer: str = ""
    covers: frozenset[str] = frozenset()
    """The ids of the entries, or digests of unreadable records, that it is about; none when its subject says that."""


class Brake(Struct, frozen=True):
    """Nothing is claimed of this rule, of this lane, or, when both are empty, at all."""

    rule: str = ""
    lane: str = ""
    who: str = ""
    because: str = ""
    at: float = 0.0
