"""Presence: which documented fields are in practically all records of a source, and which of them have gone from all.

A field that Cloudflare renames or drops reads as empty, so the rules that need it just fall silent. What gives it away
is that it was always there before. A few records are looked at, which costs next to nothing.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import NamedTuple, TypeVar, cast

import msgspec
from msgspec import Raw
from msgspec.inspect import StructType

from worker.api.investigate import WireLogEntry
from worker.language.base import Noun, get_older
from worker.language.models import TRIGGERS, Detection, Trace
from worker.language.reading import HOSTILE, describe, find_struct
from worker.ledger.presence import FieldMemory, Memories, Track
from worker.ledger.values import Sight

A_SECOND, SAVED, OF_A_PAGE = 1.0, 200.0, 50
"""Records of a group that are looked at in a second, how many are saved up, and of how many of a page at most."""
FRESH = 3600.0
"""Seconds since it came for which a record counts: an old one has been through more, and may have other fields."""
USUAL, SPAN = 100, 600.0
"""Usual is what so many records in a row have, over so many seconds, so that one campaign is no habit."""
SHARE = 0.01
"""Most of the records that may lack what is usual."""
MISSED = 20
"""Records in a row without a usual field, after which it has gone."""
SOONEST, LATEST = 10.0, 6 * 3600.0
"""Seconds that they span at least, and from which on it does not matter how fast they came."""
LATELY, QUIET, RECENT = 15, 10, 50
"""They span the time that so many records took, by the last fifty; where it is null, also so many of the pauses
between busy minutes.

So one campaign, which comes faster than what is usual, is no change of the API. It may leave a field empty, but does
not make the API leave out what all other records have.
"""
MINUTE = 60.0
FORGOTTEN = 7 * 86400.0
"""Seconds after which a field that is gone, or sometimes there, counts as one that need not be there."""
WINDOW = 2000
LIST_OLDER = {"modified_at": "last_modified"}
"""What is read as a field of its own in lists, although it is an older name of another."""
CLEAN = "clean {}"
JUDGED = ("detection_reasons", "threat_categories")
"""What only mail has that was judged to be more than clean."""
T = TypeVar("T")
Record = Mapping[str, object]
FACTS: dict[str, type[Noun]] = {"Detection": Detection, "ActionLog": WireLogEntry, "Trace": Trace}
"""The facts that are watched, and what the API sends of them: of an action log, its lines."""
KINDS = TRIGGERS | FACTS
OPERATIONS = ("MOVE", "PREVIEW", "QUARANTINE_RELEASE", "RECLASSIFY", "RELEASE", "SUBMISSION")
"""Lines of an action log are watched by these, as they decide which fields a line has."""


class Shape(NamedTuple):
    """The documented fields of an object, by each name that the API gives or gave them."""

    paths: dict[str, str]
    """Their paths, as rules name them."""
    written: dict[str, str]
    """By path: as the API names it today."""
    held: dict[str, "Shape"]
    """By path: the shape of the object in it, or of the first of a list of them."""


class Extent(NamedTuple):
    """When some records came, in how many minutes of which no others are known, and how many each stands for."""

    begins: float
    ends: float
    minutes: int
    weight: float


class Loss(NamedTuple):
    """A field that all records had and none has any more."""

    group: str
    path: str
    """As rules name it."""
    written: str
    """As the API names it."""
    is_null: bool
    """It is there, but null."""
    missed: int
    since: float


@cache
def describe_shape(kind: type[Noun]) -> Shape:
    """Return the documented fields of a type of record."""
    return _describe_shape(describe(kind), "", "")


def _describe_shape(type_: StructType, path: str, written: str) -> Shape:
    older, shape = get_older(cast("type[Noun]", type_.cls)) | LIST_OLDER, Shape({}, {}, {})
    for field in type_.fields:
        if field.encode_name in older.values():  # it is told by the field of which it is an older name
            continue
        own = path + field.name
        shape.paths.update(dict.fromkeys(filter(None, (older.get(field.name), field.encode_name)), own))
        shape.written[own] = written + field.encode_name
        held, _ = find_struct(field.type)
        if held:
            shape.held[own] = _describe_shape(held, own + ".", f"{written}{field.encode_name}.")
    return shape


class Presence:
    """What the records of one group have, and what has gone from them."""

    def __init__(self, group: str, kind: str) -> None:
        """Begin without a memory."""
        self.memory = FieldMemory()
        self._group, self._shape = group, describe_shape(KINDS[kind])
        self._saved, self._counted = SAVED, 0.0
        self._minutes = set[int]()

    def choose(self, came: Sequence[T], now: float) -> Sequence[T]:
        """Return as many of these as may be looked at by now, spread over all of them."""
        self._saved = min(SAVED, self._saved + max(0.0, now - self._counted) * A_SECOND)
        self._counted = now
        if not came or not (allowed := min(int(self._saved), OF_A_PAGE)):
            return ()
        chosen = came[:: -(-len(came) // allowed)]
        self._saved -= len(chosen)
        return chosen

    def note(self, records: Sequence[Record], times: Sequence[float], weight: float = 1.0) -> None:
        """Note the fields of some records, which came at these times, and each of which stands for so many."""
        extent = Extent(min(times), max(times), self._count_minutes({int(at // MINUTE) for at in times}), weight)
        tally = _Tally(Counter(), Counter(), Counter())
        for record in records:
            tally.add(self._shape, record)
        for path, looked in tally.looked.items():
            for tracks, had in ((self.memory.there, tally.there[path]), (self.memory.filled, tally.filled[path])):
                note_field(tracks.setdefault(path, Track()), had, looked - had, extent)

    def _count_minutes(self, minutes: set[int]) -> int:
        """Return how many of these minutes are new, and remember them as long as others may come of them."""
        new = minutes - self._minutes
        oldest = max(minutes) - FRESH // MINUTE
        self._minutes = {one for one in self._minutes | new if one >= oldest}
        return len(new)

    def find_losses(self, now: float) -> Iterator[Loss]:
        """Yield each field that has gone; not what was in one that has gone itself."""
        gone = {path for path, track in self.memory.there.items() if has_gone(track, now)}
        null = {path for path, track in self.memory.filled.items() if has_gone(track, now, QUIET)} - gone
        for path, written in _walk(self._shape, gone | null):
            track = (self.memory.there if path in gone else self.memory.filled)[path]
            yield Loss(self._group, path, written, path in null, track.missed, track.since)

    def forget_lost(self, now: float) -> Iterator[str]:
        """Forget the fields that have been gone for long, and yield how the API called them."""
        for tracks in (self.memory.there, self.memory.filled):
            for path in [path for path, track in tracks.items() if is_over(track, now)]:
                tracks[path] = Track()
                yield path


class _Tally(NamedTuple):
    """How many records were looked at for each field, have it, and have more than null in it."""

    looked: Counter[str]
    there: Counter[str]
    filled: Counter[str]

    def add(self, shape: Shape, record: Record) -> None:
        """Add an object, and the objects in it."""
        paths, seen = shape.paths, dict[str, object]()
        for name, value in record.items():
            if (path := paths.get(name)) and seen.get(path) is None:
                seen[path] = value
        self.looked.update(shape.written.keys())
        self.there.update(seen.keys())
        self.filled.update(path for path, value in seen.items() if value is not None)
        for path, held in shape.held.items():
            value = seen.get(path)
            first = value[0] if isinstance(value, list) and value else value
            if isinstance(first, dict):
                self.add(held, first)


class Lacking(NamedTuple):
    """A field that none of some records has, or that is null in all that have it."""

    path: str
    written: str
    is_null: bool


def find_lacking(kind: type[Noun], raws: Iterable[bytes]) -> tuple[Lacking, ...]:
    """Return the fields that none of some records has; not what is in such a field."""
    tally, shape = _Tally(Counter(), Counter(), Counter()), describe_shape(kind)
    for record in filter(None, map(_decode, raws)):
        tally.add(shape, record)
    lacking = _walk(shape, [path for path in tally.looked if not tally.filled[path]])
    return tuple(Lacking(path, written, bool(tally.there[path])) for path, written in lacking)


def note_field(track: Track, had: int, lacked: int, extent: Extent) -> None:
    """Note how many of some records had a field, and how many lacked it."""
    if track.usual and not (lacked or track.missed or track.doubted):  # nearly always, and it has to be quick
        track.looked, track.last = track.looked + had, extent.ends
        _note_kept(track, had, extent)
        return
    _count(track, had, lacked)
    if lacked:
        _note_lack(track, had, lacked, extent)
    else:
        track.began = min(track.began, extent.begins) if track.kept else extent.begins
        track.marked, track.missed = track.marked if track.kept else extent.begins, 0
        _note_kept(track, had, extent)
    track.last = max(track.last, extent.ends)
    _judge(track)


def _note_kept(track: Track, had: int, extent: Extent) -> None:
    """Note that all of some records had a field."""
    track.kept, track.minutes = track.kept + had, track.minutes + extent.minutes
    track.stood += had * extent.weight
    if track.stood >= RECENT:
        track.gap = max(0.0, extent.ends - track.marked) / track.stood
        track.marked, track.stood = max(track.marked, extent.ends), 0.0


def _note_lack(track: Track, had: int, lacked: int, extent: Extent) -> None:
    """Note that some records lacked a field, or all of them did."""
    if track.kept >= USUAL:
        track.pace = (track.last - track.began) / max(1, track.minutes)
    track.since = min(track.since, extent.begins) if track.missed else extent.begins
    track.missed = 0 if had else track.missed + lacked
    track.doubted = track.doubted or extent.begins
    track.kept, track.minutes, track.stood = 0, 0, 0.0


def _count(track: Track, had: int, lacked: int) -> None:
    """Count what was looked at; what is missed already does not make it less usual."""
    if track.looked >= WINDOW:
        track.looked, track.lacked = WINDOW // 2, track.lacked * WINDOW // 2 // track.looked
    if not (track.usual and track.missed >= MISSED):
        track.looked, track.lacked = track.looked + had + lacked, track.lacked + lacked


def _judge(track: Track) -> None:
    """Judge whether a field is usual; what was so is doubted for a week before it is not."""
    if track.kept >= USUAL and track.last - track.began >= SPAN and track.lacked <= SHARE * track.looked:
        track.usual, track.doubted = True, 0.0
    elif track.usual and track.kept and track.doubted and track.last - track.doubted > FORGOTTEN:
        track.usual = False


def has_gone(track: Track, now: float, pauses: int = 0) -> bool:
    """Tell whether a usual field is in no record any more; with pauses, whether that outlasts so many."""
    quiet = SOONEST + pauses * max(0.0, track.pace - MINUTE)
    patience = min(max(quiet, LATELY * track.gap), LATEST)
    lasts = track.last - track.since >= patience
    return track.usual and track.missed >= MISSED and lasts and not is_over(track, now)


def is_over(track: Track, now: float) -> bool:
    """Tell whether a field has been gone for so long that it counts as given up."""
    return track.usual and track.missed >= MISSED and now - track.since > FORGOTTEN


def _walk(shape: Shape, wanted: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield those paths that are wanted, and how the API writes them; nothing that lies in one of them."""
    for path, written in shape.written.items():
        if path in wanted:
            yield path, written
        elif path in shape.held:
            yield from _walk(shape.held[path], wanted)


def _decode(raw: bytes) -> Record | None:
    """Decode a record; None for one that is damaged, which is told elsewhere."""
    return next(iter(_list_records(raw)), None)


def _list_records(raw: bytes | Raw) -> list[Record]:
    """Decode a list of records, or a single one; what is damaged is told elsewhere."""
    try:
        found: object = msgspec.json.decode(raw)
    except HOSTILE:
        return []
    return [one for one in (found if isinstance(found, list) else [found]) if isinstance(one, dict)]


class GroupWatch:
    """Watches the fields of what a source or a fact brings, in groups of records that have the same fields."""

    def __init__(self, kind: str, groups: Iterable[str]) -> None:
        """Begin without a memory."""
        self.kind = kind
        self._groups = {group: Presence(group, kind) for group in groups}

    def find_losses(self, now: float) -> list[Loss]:
        """Return each field that all records had and none has any more."""
        return [loss for presence in self._groups.values() for loss in presence.find_losses(now)]

    def forget_lost(self, now: float) -> list[str]:
        """Forget what has been gone for long, and return what that was."""
        return [f"{path} of {group}" for group, one in self._groups.items() for path in one.forget_lost(now)]

    @property
    def memories(self) -> Memories:
        """What is remembered, by the group of records."""
        return {group: presence.memory for group, presence in self._groups.items()}

    def recall(self, memories: Memories) -> None:
        """Go on with what was remembered before."""
        for group, presence in self._groups.items():
            presence.memory = memories.get(group, presence.memory)


class FieldWatch(GroupWatch):
    """Watches the fields of one source: clean mail and detections apart, as rules decide which of them are read."""

    def __init__(self, source: str, kind: str) -> None:
        """Begin without a memory."""
        super().__init__(kind, (source, CLEAN.format(source)) if kind == "Message" else (source,))
        self._source = source

    def note(self, sights: Sequence[Sight], now: float) -> None:
        """Look at some of what a page brought."""
        fresh = [one for one in sights if one.number == 1 and one.reading.thing.time >= now - FRESH]
        for group, presence in self._groups.items():
            own = [one for one in fresh if (one.reading.verdict == "NONE") == (group != self._source)]
            if chosen := presence.choose(own, now):
                self._note(group, chosen, len(own) / len(chosen))

    def _note(self, group: str, chosen: Sequence[Sight], weight: float) -> None:
        """Note the fields of what is looked at; mail without a verdict, but with reasons for one, is not clean."""
        found: dict[str, list[tuple[Record, float]]] = {}
        for reading in (one.reading for one in chosen):
            if record := _decode(reading.raw):
                is_judged = any(record.get(name) for name in JUDGED)
                found.setdefault(self._source if is_judged else group, []).append((record, reading.thing.time))
        for belongs, pairs in found.items():
            self._groups[belongs].note([record for record, _ in pairs], [at for _, at in pairs], weight)


class FactWatch(GroupWatch):
    """Watches the fields of one fact; lines of action logs by their operations."""

    def __init__(self, fact: str) -> None:
        """Begin without a memory."""
        super().__init__(fact, map(f"{fact} {{}}".format, OPERATIONS) if fact == "ActionLog" else (fact,))

    def note(self, results: Iterable[Raw], scanned: float, now: float) -> None:
        """Look at what a fact came as, if its mail was scanned lately: of a log, at one line of each operation."""
        records = chain.from_iterable(map(_list_records, results)) if scanned >= now - FRESH else ()
        for group, record in {self._name_group(record): record for record in records}.items():
            if (presence := self._groups.get(group)) and presence.choose((record,), now):
                presence.note((record,), (now,))

    def _name_group(self, record: Record) -> str:
        return f"{self.kind} {record.get('operation')}" if self.kind == "ActionLog" else self.kind
