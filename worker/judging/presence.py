"""Presence: which documented fields practically all records have, and which of them have gone from all.

A field that Cloudflare renames or drops reads as empty, so the rules that need it just fall silent. What gives it away
is that it was always there before. A few records are looked at, which costs next to nothing.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from math import inf
from operator import attrgetter
from typing import NamedTuple, TypeVar, cast

import msgspec
from msgspec import Raw
from msgspec.inspect import StructType
from msgspec.structs import replace

from worker.language.base import Noun, get_older
from worker.language.reading import HOSTILE, describe, find_struct
from worker.ledger.presence import FieldMemory, Return, Track

A_SECOND, SAVED, OF_A_PAGE = 1.0, 200.0, 100
"""Records of a group that are looked at in a second, how many are saved up, and of how many of a page at most."""
USUAL, SPAN = 100, 600.0
"""Usual is what practically all of so many records have, over so many seconds, so that one campaign is no habit."""
SHARE = 0.01
"""Most of the records that may lack what is usual."""
MISSED = 5
"""Records in a row without a usual field, after which it has gone: where one in a hundred lacks it, no chance."""
PAUSES, FADES, LATEST = 3, 0.96, 6 * 3600.0
"""They span so many of the longest pause that there was between records lately, and such a pause counts so much of
itself after each record; from so many seconds on it does not matter how fast they came.

So one campaign that lacks a field, and that no other mail interrupts because there is little, is no change of the API.
"""
FORGOTTEN = 7 * 86400.0
"""Seconds after which a field that is gone, or sometimes there, counts as one that need not be there."""
WINDOW = 2000
KNOWN = 100
"""Entries of a list by which it is known again."""
LIST_OLDER = {"modified_at": "last_modified"}
"""What is read as a field of its own in lists, although it is an older name of another."""
T = TypeVar("T")
Record = Mapping[str, object]


class Shape(NamedTuple):
    """The documented fields of an object, by each name that the API gives or gave them."""

    paths: dict[str, str]
    """Their paths, as rules name them."""
    written: dict[str, str]
    """By path: as the API names it today."""
    held: dict[str, "Shape"]
    """By path: the shape of the object in it, or of the first of a list of them."""


class Glimpse(NamedTuple):
    """What a record has of one field."""

    path: str
    is_there: bool
    is_filled: bool
    """It is there, and more than null."""


IS_THERE, IS_FILLED = attrgetter("is_there"), attrgetter("is_filled")


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


class Lacking(NamedTuple):
    """A field that none of some records has, or that is null in all that have it."""

    path: str
    written: str
    is_null: bool


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


def look(shape: Shape, record: Record) -> Iterator[Glimpse]:
    """Yield what an object has of each documented field, and what the objects in it have."""
    values = dict[str, object]()
    for name, value in record.items():
        if (path := shape.paths.get(name)) and values.get(path) is None:
            values[path] = value
    for path in shape.written:
        yield Glimpse(path, path in values, values.get(path) is not None)
    for path, held in shape.held.items():
        value = values.get(path)
        first = value[0] if isinstance(value, list) and value else value
        if isinstance(first, dict):
            yield from look(held, first)


def find_lacking(kind: type[Noun], raws: Iterable[bytes]) -> tuple[Lacking, ...]:
    """Return the fields that none of some records has; not what is in such a field."""
    shape = describe_shape(kind)
    found = [glimpse for raw in raws for record in list_records(raw)[:1] for glimpse in look(shape, record)]
    filled, there = {one.path for one in found if one.is_filled}, {one.path for one in found if one.is_there}
    lacking = walk(shape, {one.path for one in found} - filled)
    return tuple(Lacking(path, written, path in there) for path, written in lacking)


def walk(shape: Shape, wanted: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield those paths that are wanted, and how the API writes them; nothing that lies in one of them."""
    for path, written in shape.written.items():
        if path in wanted:
            yield path, written
        elif path in shape.held:
            yield from walk(shape.held[path], wanted)


def list_records(raw: bytes | Raw) -> list[Record]:
    """Decode a list of records, or a single one; what is damaged is told elsewhere."""
    try:
        found: object = msgspec.json.decode(raw)
    except HOSTILE:
        return []
    return [one for one in (found if isinstance(found, list) else [found]) if isinstance(one, dict)]


class Presence:
    """What the records of one group have, and what has gone from them."""

    def __init__(self, group: str, kind: type[Noun]) -> None:
        """Begin without a memory."""
        self.group, self.memory = group, FieldMemory()
        self._shape = describe_shape(kind)
        self._saved, self._counted = SAVED, 0.0
        self._before = self._newest = 0.0

    def choose(self, came: Sequence[T], now: float) -> Sequence[T]:
        """Return as many of these as may be looked at by now, spread over all of them."""
        self._saved = min(SAVED, self._saved + max(0.0, now - self._counted) * A_SECOND)
        self._counted = now
        chosen = min(len(came), int(self._saved), OF_A_PAGE)
        self._saved -= chosen
        return [came[number * len(came) // chosen] for number in range(chosen)]

    def note(self, record: Record, at: float, read_at: float = 0.0) -> None:
        """Note the fields of a record that came at a time, and was read then or at another one."""
        pause = self._find_pause(at)
        for path, is_there, is_filled in look(self._shape, record):
            for tracks, had in ((self.memory.there, is_there), (self.memory.filled, is_filled)):
                track = tracks.setdefault(path, Track())
                self._note_return(path, track, read_at or at, had=had)
                note_field(track, at, pause, read_at or at, had=had)

    def _note_return(self, path: str, track: Track, read_at: float, *, had: bool) -> None:
        """Note from when to when a field was missed that is back, also when that was too short to be told."""
        if had and self._is_missed(track):
            known = self.memory.returns.get(path)
            start = min(track.read_at or track.usual_at, known.start if known else inf)
            self.memory.returns[path] = Return(start, read_at)
            track.read_at = read_at  # all before is seen to

    def _find_pause(self, at: float) -> float:
        """Return the seconds since the record before; 0 where reading has gone on elsewhere, as at the head."""
        before, self._before = self._before, at
        follows = before == self._newest or at <= self._newest
        self._newest = max(self._newest, at)
        return max(0.0, at - before) if before and follows else 0.0

    def find_losses(self, now: float) -> Iterator[Loss]:
        """Yield each field that has gone; not what was in one that has gone itself."""
        gone = {path for path, track in self.memory.there.items() if self._is_lost(track) and not is_over(track, now)}
        null = {path for path, track in self.memory.filled.items() if self._is_lost(track) and not is_over(track, now)}
        for path, written in walk(self._shape, gone | null):
            track = (self.memory.there if path in gone else self.memory.filled)[path]
            yield Loss(self.group, path, written, path not in gone, track.missed, track.since)

    def forget_lost(self, now: float) -> set[str]:
        """Forget the fields that have been gone for long, and return their paths."""
        lost = set[str]()
        for tracks in (self.memory.there, self.memory.filled):
            over = {path for path, track in tracks.items() if self._is_lost(track) and is_over(track, now)}
            tracks.update({path: Track() for path in over})
            lost |= over
        return lost

    def _is_lost(self, track: Track) -> bool:
        """Tell whether practically all records had a field, and the last ones lack it."""
        return has_gone(track)

    def _is_missed(self, track: Track) -> bool:
        """Tell whether enough of the last records lack a field to judge them again once it is back."""
        return is_missed(track)


class ListPresence(Presence):
    """What the entries of a list have, and what has gone from all of them since it was last read.

    Lists are small and stay as they are for long, so each read is held against the one before. What people leave empty
    is told from what has gone by the entries that are still there.
    """

    def note_list(self, entries: Sequence[Record], at: float) -> None:
        """Note the fields of all entries, as they were read at a time."""
        glimpses = [glimpse for entry in entries for glimpse in look(self._shape, entry)]
        ids = [str(one["id"]) for one in entries if one.get("id")]
        stay = not ids or not set(ids).isdisjoint(self.memory.known)
        for tracks, has in ((self.memory.there, IS_THERE), (self.memory.filled, IS_FILLED)):
            had = Counter(one.path for one in glimpses if has(one))
            for path, looked in Counter(one.path for one in glimpses).items():
                track = tracks.setdefault(path, Track())
                self._note_return(path, track, at, had=had[path] > 0)
                tracks[path] = note_all(track, at, had[path] / looked, entries=looked, stay=stay)
        self.memory.known = tuple(ids[:KNOWN])

    def _is_lost(self, track: Track) -> bool:
        """Tell whether all entries had a field, and none has it any more."""
        return track.missed > 0

    _is_missed = _is_lost


def note_all(track: Track, at: float, share: float, *, entries: int, stay: bool) -> Track:
    """Return what is known of a field that so large a share of a list's entries had at a time.

    When none has it, it has gone if all had it before, and some of them ``stay``.
    """
    if share:
        return Track(last=at, looked=entries, usual_at=at if share == 1 else 0.0)
    if track.missed or (track.usual_at and stay):
        return replace(track, last=at, looked=entries, missed=entries, since=track.since or at)
    return Track(last=at, looked=entries)


def note_field(track: Track, at: float, pause: float, read_at: float, *, had: bool) -> None:
    """Note whether a record had a field that came at a time, after a pause; an older one may be noted after newer."""
    if had:
        track.pause = track.pause * FADES if track.missed else max(pause, track.pause * FADES)
        track.missed, track.since = 0, 0.0
    else:
        track.missed, track.since = track.missed + 1, min(track.since or at, at)
    track.began, track.last = min(track.began or at, at), max(track.last, at)
    track.had = track.had + 1 if had else 0
    _count(track, had=had)
    if track.usual_at and track.had >= USUAL:
        track.read_at = read_at
    if had and track.looked >= USUAL and track.lacked <= SHARE * track.looked and track.last - track.began >= SPAN:
        track.usual_at, track.read_at = track.last, read_at


def _count(track: Track, *, had: bool) -> None:
    """Count what was looked at; what is missed already does not make it less usual."""
    if has_gone(track):
        return
    track.looked, track.lacked = track.looked + 1, track.lacked + (not had)
    if track.looked >= WINDOW:
        track.looked, track.lacked = track.looked // 2, track.lacked // 2


def has_gone(track: Track) -> bool:
    """Tell whether records in a row lack what was usual, and for longer than other records stay away."""
    return is_missed(track) and track.last - track.since >= min(PAUSES * track.pause, LATEST)


def is_missed(track: Track) -> bool:
    """Tell whether enough records in a row lack what was usual.

    What was usual is expected for as long as it had been so, and for a week at most.
    """
    if not track.usual_at or track.missed < MISSED:
        return False
    return track.since - track.usual_at <= min(track.usual_at - track.began, FORGOTTEN)


def is_over(track: Track, now: float) -> bool:
    """Tell whether a field has been gone for so long that it counts as given up."""
    return now - track.since > FORGOTTEN
