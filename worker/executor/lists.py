"""Lists: block senders, allow policies, trusted domains. What is ours there, and what is never listed. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from unicodedata import category, normalize

from msgspec import Struct

from worker.api.collection import Whole
from worker.api.models import TrustedDomain
from worker.escaping import escape
from worker.language.actions import Adding
from worker.language.base import domain_of
from worker.language.domains import is_freemail, is_public_suffix
from worker.language.policies import AllowPolicy, BlockedSender, Policies, owns
from worker.ledger.entries import OPEN, Entry

UNTIL = ", until "
PROTECTED = {
    "domains": "is one of our own domains, or above or below one",
    "allow policies": "is allowed by an allow policy, whole or in part",
    "trusted": "is a trusted domain",
}
ADDRESS = 2
"""Parts of an address around its @; nothing else has as many."""
IDENTITY = frozenset({"id", "comments", "pattern_type"})
"""Fields that tell what a list entry stands for and whose it is."""
UNOWNED = "but has no comment (any more), so whose it is cannot be known"
ListLine = BlockedSender | AllowPolicy | TrustedDomain


class ListReading(Struct, frozen=True):
    """A list of the account, as of ``at``; not ``whole`` when an entry, or whose it is, could not be read."""

    at: float
    entries: tuple[ListLine, ...]
    whole: bool = True

    @classmethod
    def from_answer(cls, at: float, read: Whole[ListLine]) -> "ListReading":
        """Make a reading of all entries of a list."""
        return cls(at, read.entries, not read.broken and all(map(_has_identity, read.entries)))


def _has_identity(line: ListLine) -> bool:
    """Tell whether everything is there, and as it came, that says what an entry is, and whose."""
    has_type = isinstance(line, TrustedDomain) or bool(line.is_regex or line.pattern_type)
    return bool(line.pattern) and has_type and IDENTITY.isdisjoint((*line.unread, *line.mended))


class OwnLine(Struct, frozen=True, kw_only=True):
    """The list entry of ours that may be removed, or why there is none."""

    remote: str = ""
    why: str = ""
    adopted: bool = False
    """A person has made it theirs, or may have."""


class Opposition(NamedTuple):
    """What stands on a list of the opposite meaning."""

    name: str
    ids: tuple[str, ...]
    """Its id at the API, and that of the ledger's entry which made it or is about to."""
    under_way: bool = False
    """Whether it is being added only."""

    def say(self, verb: str) -> str:
        """Say what it does to a sender, with a verb such as *block*, or is about to do."""
        return f"{self.name} {f'is about to {verb}' if self.under_way else f'{verb}s'} this sender"


# -- whose a list entry is --------------------------------------------------------------------------------------------


def mark(entry: Entry) -> str:
    """Return how the comment of our list entry begins."""
    return f"worker {entry.id} "


def comment(entry: Entry, now: float) -> str:
    """Return the comment of a list entry that we make now, at most 1,024 characters."""
    rule = escape(entry.rules[0] if entry.rules else "a person", 200)
    ends = entry.action.for_ if isinstance(entry.action, Adding) else None
    if ends is None:
        return mark(entry) + rule
    end = datetime.fromtimestamp(now, UTC) + ends
    return f"{mark(entry)}{rule}{UNTIL}{end:%FT%TZ}"


def pattern_of(line: ListLine) -> str:
    """Return the target that a list entry stands for; empty for a regular expression, which is no pattern of ours."""
    kind = "DOMAIN" if isinstance(line, TrustedDomain) else line.pattern_type
    return "" if line.is_regex else f"{kind}:{line.pattern.lower()}"


def owner(line: ListLine, ours: Sequence[Entry]) -> Entry | None:
    """Return the entry of ours that made this list entry and whose comment nobody has edited since."""
    for entry in ours:
        if isinstance(entry.action, Adding) and pattern_of(line) == entry.target:
            known, written = entry.remote in {"", line.id}, comment(entry, 0.0)
            if known and _is_unedited(line.comments, written):
                return entry
    return None


def say_whose(line: ListLine, ours: Sequence[Entry]) -> str:
    """Say whose a list entry is, in a clause; of what we may have made, only its comment tells."""
    if owner(line, ours):
        return "which is ours"
    may_be_ours = not line.comments and any(isinstance(entry.action, Adding) for entry in ours)
    return UNOWNED if may_be_ours else "which is not this worker's"


def shows_ours(listed: ListReading, ours: Sequence[Entry]) -> bool:
    """Tell whether a list shows an entry that we made; without any comment, it is known by its id alone."""
    made = {one.remote for one in ours if isinstance(one.action, Adding)}
    return any(owner(line, ours) or (line.id in made and not line.comments) for line in listed.entries)


def _is_unedited(comments: str, written: str) -> bool:
    """Compare comments except for the time at the end, which depends on when the entry was made."""
    if UNTIL not in written:
        return comments == written
    head, _, time = comments.rpartition(UNTIL)
    return head == written.rpartition(UNTIL)[0] and len(time) == len("2026-01-01T00:00:00Z") and time.endswith("Z")


# -- before acting ----------------------------------------------------------------------------------------------------


def no_addition(entry: Entry, listed: ListReading, policies: Policies, ours: Sequence[Entry]) -> str:
    """Say why a pattern is not to be listed; empty when nothing speaks against it."""
    if why := _never(entry, policies):
        return why
    if line := _standing(entry.target, listed, ours):
        return f"listed already as entry {line.id}, {say_whose(line, ours)}"
    return ""


def _never(entry: Entry, policies: Policies) -> str:
    """Say why nobody may want this pattern listed.

    Whoever forges mail writes in the name of the account's own domains, and where anybody gets an address strangers
    have one too: letting these through would let everybody through.
    """
    kind, _, pattern = entry.target.partition(":")
    if _may_mean_another(pattern):
        return f"{escape(pattern, 100)} is not a plain address, domain or IP: never listed"
    if entry.lane == "block":
        protected = policies.protects(pattern)
        return f"{_name_protected(pattern, protected)}: never blocked" if protected else ""
    if owns(policies.domains, pattern):
        return f"{_name_protected(pattern, 'domains')}, in whose name strangers write: never let through"
    anybodys = kind == "DOMAIN" and (is_freemail(pattern) or is_public_suffix(pattern))
    return f"anybody can have an address at {pattern}: never let through as a whole" if anybodys else ""


def _name_protected(pattern: str, protected: str) -> str:
    """Say what protects a pattern; of an address, that is mostly its domain."""
    domain = "" if protected == "allow policies" else domain_of(pattern)
    return f"{pattern}: {domain} {PROTECTED[protected]}" if domain else f"{pattern} {PROTECTED[protected]}"


def _may_mean_another(pattern: str) -> bool:
    """Tell whether a pattern has signs that nobody sees, wide letters, brackets or empty parts: senders write it."""
    parts = pattern.split("@")
    odd = any(category(sign)[0] in "CZ" or sign in '<>()[],;"\\' for sign in pattern)
    return odd or normalize("NFKC", pattern) != pattern or len(parts) > ADDRESS or "" in (*parts, *parts[-1].split("."))


def find_related(target: str) -> tuple[str, ...]:
    """Return the targets that speak for a target: itself, and of an address its domain."""
    domain = domain_of(target.partition(":")[2])
    return (target, f"DOMAIN:{domain}") if domain else (target,)


def find_opposition(target: str, listed: ListReading, ours: Sequence[Entry]) -> Opposition | None:
    """Find what stands for a target on a list of the opposite meaning, or is on its way there."""
    for entry in ours:
        if isinstance(entry.action, Adding) and entry.state in OPEN:
            return Opposition(f"entry {entry.id} of the ledger", (entry.id,), under_way=True)
    line = _standing(target, listed, ours)
    if line is None:
        return None
    made_by = owner(line, ours)
    return Opposition(f"list entry {escape(line.id, 60)}", (line.id, made_by.id) if made_by else (line.id,))


def _standing(target: str, listed: ListReading, ours: Sequence[Entry]) -> ListLine | None:
    """Return the list entry for a target; what we have removed may still be shown by a read that lags behind."""
    gone = {one.remote for one in ours if not isinstance(one.action, Adding) and one.state == "done"}
    return next((line for line in listed.entries if pattern_of(line) == target and line.id not in gone), None)


def find_own(entry: Entry, listed: ListReading, ours: Sequence[Entry]) -> OwnLine:
    """Find the list entry of ours that may be removed, or say why there is none."""
    equal = [line for line in listed.entries if pattern_of(line) == entry.target]
    for line in equal:
        if owner(line, ours):
            return OwnLine(remote=line.id)
    made = {one.remote for one in ours if isinstance(one.action, Adding)}
    known = [line for line in equal if line.id in made and "comments" not in (*line.unread, *line.mended)]
    if any(not line.comments for line in known):
        return OwnLine(why=f"entry {known[0].id} was made by this worker, {UNOWNED}: never removed", adopted=True)
    if known:
        return OwnLine(why="a person changed its comment and so adopted it: never removed", adopted=True)
    return OwnLine(why="there is no list entry of ours (any more)")
