"""Unread fields: a record names the fields of it that could not be read, and stops the rule that uses one of them.

A rule that asks ``unread`` first is not stopped: such fields are empty for it. A text that was mended or cut is a text:
it is named, and stops nobody, because a stranger could stop every rule with one bad character in his name.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple, cast

from msgspec import Struct, defstruct
from msgspec.structs import astuple

from worker.language.base import AnyNoun, Noun

Names = tuple[str, ...]
"""Paths of fields, such as ``validation.spf``."""
WHOLE = ("__repr__", "__eq__", "__ne__", "__hash__")
"""What uses all fields of a record at once; ``str`` and ``format`` do so by ``__repr__``."""


class FieldUnread(BaseException):
    """A rule used a field that could not be read. No Exception, so that no ``except Exception`` swallows it."""


class Watch:
    """What one call of a rule does with fields that could not be read."""

    def __init__(self) -> None:
        self.touched: list[str] = []
        self.aware = False
        """Whether the rule has asked which fields are unread."""


class _Place(NamedTuple):
    """What a record knows of its fields: which are unread or mended, where it stands itself, and whom it tells."""

    unread: Names
    path: str
    watch: Watch
    mended: Names = ()


def mark(noun: AnyNoun, unread: Names, mended: Names = ()) -> AnyNoun:
    """Return a record that names these fields as unread, and these as mended."""
    return _make(noun, {}, frozenset(), _Place(unread, "", Watch(), mended)) if unread or mended else noun


def guard(noun: AnyNoun, watch: Watch, path: str = "") -> AnyNoun:
    """Return a record that stops a rule which uses one of its unread fields, and notes it in ``watch``."""
    return _guard(noun, _Place(noun.unread, path, watch, noun.mended))


def _guard(noun: AnyNoun, place: _Place) -> AnyNoun:
    """Guard the fields of a record, and those of the records that it holds."""
    own = frozenset(name for name in place.unread if "." not in name)
    held = {name.partition(".")[0] for name in place.unread if "." in name} - own
    change = {name: _guard_held(getattr(noun, name), name, place) for name in held}
    return _make(noun, change, own.union(WHOLE), place)


def _guard_held(held: object, name: str, place: _Place) -> object:
    """Guard a record in a field, or each of a list of them."""
    inside = tuple(one.partition(".")[2] for one in place.unread if one.startswith(f"{name}."))
    there = _Place(inside, f"{place.path}{name}.", place.watch)
    if isinstance(held, tuple):
        return tuple(_guard(cast("Noun", one), there) for one in held)
    return _guard(cast("Noun", held), there)


def _make(noun: AnyNoun, change: dict[str, object], guarded: frozenset[str], place: _Place) -> AnyNoun:
    """Return a record like this one that knows its place."""
    values = dict(zip(noun.__struct_fields__, astuple(noun), strict=True))
    made = _make_type(type(noun), guarded)(**values | change)
    made.__dict__["_place"] = place
    return cast("AnyNoun", made)


@cache
def _make_type(kind: type[Noun], guarded: frozenset[str]) -> type[Noun]:
    """Return a type like ``kind`` that names its unread fields, and guards these."""
    members: dict[str, object] = {
        name: _guard_whole(kind, name) if name in WHOLE else _guard_field(kind, name) for name in guarded
    }
    told = {"unread": property(_tell), "mended": property(_tell_mended)}
    made: type[Struct] = defstruct(kind.__name__, (), bases=(kind,), namespace=members | told, frozen=True, dict=True)
    return cast("type[Noun]", made)


def _guard_field(kind: type[Noun], name: str) -> property:
    stored = getattr(kind, name)

    def get(noun: Noun) -> object:
        place = cast("_Place", noun.__dict__["_place"])
        if place.watch.aware:
            return stored.__get__(noun)
        place.watch.touched.append(place.path + name)
        raise FieldUnread(place.path + name)

    return property(get)


def _guard_whole(kind: type[Noun], name: str) -> Callable[..., object]:
    plain = getattr(kind, name)

    def use(noun: Noun, *others: object) -> object:
        place = cast("_Place", noun.__dict__["_place"])
        differs = any(not isinstance(other, Noun) for other in others)  # whatever the fields are
        if place.watch.aware or not place.unread or differs:
            return plain(noun, *others)
        place.watch.touched += [place.path + one for one in place.unread]
        raise FieldUnread(place.path + place.unread[0])

    return use


def _tell(noun: Noun) -> Names:
    """Return the fields that could not be read; from now on the rule reads them as empty."""
    place = cast("_Place", noun.__dict__["_place"])
    place.watch.aware = True
    return place.unread


def _tell_mended(noun: Noun) -> Names:
    """Return the fields of which the text is not as it came."""
    return cast("_Place", noun.__dict__["_place"]).mended
