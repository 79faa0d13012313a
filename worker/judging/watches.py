"""Watches: look at the fields of what sources, facts and lists bring, in groups of records that have the same ones."""

from collections.abc import Iterable, Sequence
from itertools import chain, product

from msgspec import Raw

from worker.api.investigate import WireLogEntry
from worker.api.models import AccountDomain, TrustedDomain
from worker.escaping import escape
from worker.judging.facts import CACHED
from worker.judging.presence import ListPresence, Loss, Presence, Record, list_records
from worker.language.base import Noun
from worker.language.models import TRIGGERS, Detection, Trace
from worker.language.policies import AllowPolicy, BlockedSender, Registrant
from worker.ledger.presence import Memories, Return
from worker.ledger.values import Sight

FRESH = 3600.0
"""Seconds since it came for which a record counts: an old one has been through more, and may have other fields."""
UNDER_WAY = 60.0
"""Seconds for which a page may be judged after another that was asked for later."""
HEARD = 300.0
"""Seconds after which an event has been heard with its facts, unless they could not be had."""
CLEAN = "clean {}"
JUDGED = ("detection_reasons", "threat_categories")
"""What only mail has that was judged to be more than clean."""
FACTS: dict[str, type[Noun]] = {"Detection": Detection, "ActionLog": WireLogEntry, "Trace": Trace}
"""The facts that are watched, and what the API sends of them: of an action log, its lines."""
LISTS: dict[str, tuple[str, type[Noun]]] = {
    "BlockedSender": ("blocked senders", BlockedSender),
    "AllowPolicy": ("allow policies", AllowPolicy),
    "TrustedDomain": ("trusted domains", TrustedDomain),
    "AccountDomain": ("own domains", AccountDomain),
    "Registrant": ("impersonation registry", Registrant),
}
"""The lists of the account that are read, by the type of their entries: what people call them, and that type."""
KINDS: dict[str, type[Noun]] = TRIGGERS | FACTS | {name: kind for name, (_, kind) in LISTS.items()}
NAMING: dict[str, tuple[str, ...]] = {
    "BlockedSender": ("pattern",),
    "AllowPolicy": ("pattern",),
    "TrustedDomain": ("pattern",),
    "AccountDomain": ("domain",),
    "Registrant": ("name", "email"),
}
"""By the type of a list's entries: the fields that say whom an entry is about, without which it stands for nothing."""
OPERATIONS = ("MOVE", "PREVIEW", "QUARANTINE_RELEASE", "RECLASSIFY", "RELEASE", "SUBMISSION")
"""Lines of an action log are watched by these, as they decide which fields a line has."""


class GroupWatch:
    """Watches the fields of what a source or a fact brings."""

    early = 0.0
    late = UNDER_WAY
    """Seconds before and after the reads that showed it for which events may have been judged without a field."""

    def __init__(self, kind: str, groups: Iterable[Presence]) -> None:
        """Begin without a memory."""
        self.kind = kind
        self._groups = {presence.group: presence for presence in groups}

    def find_losses(self, now: float) -> list[Loss]:
        """Return each field that all records had and none has any more."""
        return [loss for presence in self._groups.values() for loss in presence.find_losses(now)]

    def list_returns(self, now: float) -> dict[str, Return]:
        """Return from when to when what was judged may have lacked each field that is back, where that is over."""
        found = dict[str, Return]()
        for path, one in chain.from_iterable(group.memory.returns.items() for group in self._groups.values()):
            start, end = one.start - self.early, one.end + self.late
            known = found.get(path, Return(start, end))
            found[path] = Return(min(start, known.start), max(end, known.end))
        return {path: one for path, one in found.items() if one.end <= now}

    def forget_returns(self, paths: Iterable[str]) -> None:
        """Forget that fields were missing that are back."""
        for group, path in product(self._groups.values(), tuple(paths)):
            group.memory.returns.pop(path, None)

    def forget_lost(self, now: float) -> list[str]:
        """Forget what has been gone for long, and return what that was."""
        return [f"{path} of {group}" for group, one in self._groups.items() for path in sorted(one.forget_lost(now))]

    @property
    def memories(self) -> Memories:
        """What is remembered, by the group of records."""
        return {group: presence.memory for group, presence in self._groups.items()}

    def recall(self, memories: Memories) -> None:
        """Go on with what was remembered before."""
        for group, presence in self._groups.items():
            presence.memory = memories.get(group, presence.memory)


class FieldWatch(GroupWatch):
    """Watches the fields of one source: clean mail and detections apart, as rules decide which of them are read.

    What a list brings is watched as a list.
    """

    def __init__(self, source: str, kind: str) -> None:
        """Begin without a memory."""
        groups = {"Message": (source, CLEAN.format(source))}.get(kind, () if kind in LISTS else (source,))
        super().__init__(kind, [Presence(group, KINDS[kind]) for group in groups])
        self._source = source

    def note(self, sights: Sequence[Sight], now: float) -> None:
        """Look at some of what a page brought, in the order of time."""
        fresh = [one for one in sights if one.number == 1 and one.reading.thing.time >= now - FRESH]
        fresh.sort(key=lambda sight: sight.reading.thing.time)
        for group, presence in self._groups.items():
            for sight in presence.choose([one for one in fresh if self._name_group(one) == group], now):
                self._note(group, sight, now)

    def _name_group(self, sight: Sight) -> str:
        return CLEAN.format(self._source) if sight.reading.verdict == "NONE" else self._source

    def _note(self, group: str, sight: Sight, now: float) -> None:
        """Note the fields of a record; mail without a verdict, but with reasons for one, is not clean."""
        for record in list_records(sight.reading.raw)[:1]:
            is_judged = any(record.get(name) for name in JUDGED)
            self._groups[self._source if is_judged else group].note(record, sight.reading.thing.time, now)


class FactWatch(GroupWatch):
    """Watches the fields of one fact; lines of action logs by their operations."""

    early = HEARD

    def __init__(self, fact: str) -> None:
        """Begin without a memory."""
        groups = map(f"{fact} {{}}".format, OPERATIONS) if fact == "ActionLog" else (fact,)
        super().__init__(fact, [Presence(group, KINDS[fact]) for group in groups])

    def note(self, results: Iterable[Raw], scanned: float, now: float) -> None:
        """Look at what a fact came as, if its mail was scanned lately: of a log, at one line of each operation."""
        records = chain.from_iterable(map(list_records, results)) if scanned >= now - FRESH else ()
        for group, record in {self._name_group(record): record for record in records}.items():
            if (presence := self._groups.get(group)) and presence.choose((record,), now):
                presence.note(record, now)

    def _name_group(self, record: Record) -> str:
        return f"{self.kind} {record.get('operation')}" if self.kind == "ActionLog" else self.kind


class ListWatch(GroupWatch):
    """Watches the fields of one of the account's lists."""

    late = UNDER_WAY + CACHED

    def __init__(self, kind: str) -> None:
        """Begin without a memory."""
        self.name, entry = LISTS[kind]
        self._list = ListPresence(self.name, entry)
        super().__init__(kind, [self._list])
        self.unnamed = ""
        """Which entry does not say whom it is about, in a sentence; empty when none."""

    def note(self, entries: Sequence[Raw], now: float) -> None:
        """Look at the entries of the list as they were read just now."""
        records = [record for entry in entries for record in list_records(entry)[:1]]
        self._list.note_list(records, now)
        bare = [(one, name) for one in records for name in NAMING[self.kind] if not one.get(name)]
        self.unnamed = _describe_bare(self.name, *bare[0], others=len(bare) - 1) if bare else ""


def _describe_bare(listed: str, record: Record, field: str, *, others: int) -> str:
    """Say that an entry of a list lacks a field, and what to do."""
    more = f", and {others} more lack something" if others else ""
    named = escape(str(record.get("id", "without an id")), 100)
    lacks = f"entry {named} has no {field}{more}"
    return f"{listed}: {lacks}, so nobody knows whom it is about: look at it in the dashboard"
