"""Reading: a record of the API becomes a value, strictly while it is as documented, and field by field where not.

A field of an unexpected type or form reads as empty and is named; only without its key fields is the record lost. A
text of which a part is no text is read as far as it is one, and named as mended.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from operator import attrgetter
from typing import NamedTuple, TypeVar, cast

import msgspec
from msgspec import Raw
from msgspec.inspect import (
    AnyType,
    BoolType,
    DateTimeType,
    DictType,
    Field,
    FloatType,
    IntType,
    NoneType,
    StrType,
    StructType,
    Type,
    UnionType,
    VarTupleType,
)

from worker.language import mending
from worker.language.base import AnyNoun, Noun, get_keys, get_older
from worker.language.times import parse_time
from worker.language.unread import mark

T = TypeVar("T")
HOSTILE = (ValueError, TypeError, LookupError, OverflowError, RecursionError)
"""Errors of reading what a stranger wrote; all of msgspec's errors are ValueErrors."""
KINDS = {
    "bool": "true or false",
    "int": "a number",
    "float": "a number",
    "str": "text",
    "list": "a list",
    "array": "a list",
    "dict": "an object",
    "object": "an object",
}
"""What people call the kinds of values of JSON, by the names of Python and of msgspec."""
KIND = re.compile(r"`([a-z |]+)`")
WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class _Flaws(NamedTuple):
    """What is wrong with a record: paths of the fields that could not be read, and of those with a damaged text."""

    unread: list[str]
    damaged: list[str]

    def apply(self, record: AnyNoun) -> AnyNoun:
        """Return a record that names what is wrong with it."""
        unread = tuple(dict.fromkeys(self.unread))
        lost = tuple(f"{path}." for path in unread)
        mended = (path for path in self.damaged if not f"{path}.".startswith(lost))
        return mark(record, unread, tuple(dict.fromkeys(mended)))


class Unreadable(ValueError):
    """It is no such record, or its key fields cannot be read; says which."""


def read(kind: type[AnyNoun], raw: bytes | Raw) -> AnyNoun:
    """Return a record, which names the fields of it that could not be read; raise Unreadable.

    A field that is missing is read from its older name, if it has one.
    """
    decode, older = _prepare(kind)
    try:
        record: AnyNoun = decode(raw)
    except HOSTILE:
        return read_patiently(kind, raw)
    for written, get in older:
        if not get(record) and written in bytes(raw):
            return read_patiently(kind, raw)
    return record


def read_all(kind: type[AnyNoun], raw: bytes | Raw) -> tuple[AnyNoun, ...]:
    """Read a list of records; raise Unreadable for one of which a key field cannot be read."""
    try:
        return tuple(read(kind, one) for one in _split(raw))
    except HOSTILE as problem:
        raise Unreadable(str(problem)) from None


_split = msgspec.json.Decoder(list[Raw]).decode


def read_patiently(kind: type[AnyNoun], raw: bytes | Raw) -> AnyNoun:
    """Read field by field, whatever is wrong with the others; raise Unreadable."""
    flaws = _Flaws([], [])
    try:
        record = cast("AnyNoun", _read_struct(describe(kind), mending.decode(raw), "", flaws))
    except HOSTILE as problem:
        raise Unreadable(str(problem)) from None
    return flaws.apply(record)


@cache
def describe(kind: type[Noun]) -> StructType:
    """Return what a type of record looks like on the wire."""
    return cast("StructType", msgspec.inspect.type_info(kind))


def _read_struct(type_: StructType, value: object, path: str, flaws: _Flaws) -> Noun:
    """Read an object; raise ValueError when it is none, or when one of its key fields cannot be read."""
    if not isinstance(value, dict):
        raise ValueError(f"{path.rstrip('.') or 'the record'} is not an object")  # noqa: TRY004 (one error for all strangers)
    kind, values = cast("type[Noun]", type_.cls), dict[str, object]()
    for field in type_.fields:
        given = _find_value(kind, field, value)
        if given is None and not field.required:
            continue
        name = path + field.name
        if given is None and field.encode_name not in value:
            raise ValueError(f"its {name} is missing")
        try:
            values[field.name] = _read_value(field.type, given, name, flaws)
        except HOSTILE as problem:
            if _is_key(kind, field):
                raise ValueError(f"its {name} cannot be read: {problem}") from None
            flaws.unread.append(name)
        if name in flaws.damaged and _is_key(kind, field):
            raise ValueError(f"its {name} cannot be read: it is damaged")
    return kind(**values)


def _is_key(kind: type[Noun], field: Field) -> bool:
    return field.required or field.name in get_keys(kind)


def _find_value(kind: type[Noun], field: Field, found: Mapping[str, object]) -> object:
    """Return what an object holds of a field, under its newer or its older name."""
    newer = found.get(field.encode_name)
    return found.get(get_older(kind).get(field.name, "")) if newer is None else newer


class _Older(NamedTuple):
    """An older name as it stands in JSON, and what returns the value of its field."""

    written: bytes
    get: Callable[[Noun], object]


@cache
def _prepare(kind: type[AnyNoun]) -> tuple[Callable[[bytes | Raw], AnyNoun], tuple[_Older, ...]]:
    """Return what decodes a record strictly, and the older names in it and in the records that it holds."""
    older = (_Older(f'"{name}"'.encode(), _make_getter(path)) for path, name in _walk_older(describe(kind), ""))
    return msgspec.json.Decoder(kind).decode, tuple(older)


def _walk_older(type_: StructType, path: str) -> Iterator[tuple[str, str]]:
    """Yield the path of each field that had an older name, and that name: ``held.field``, or ``held[].field``."""
    for field in type_.fields:
        if older := get_older(cast("type[Noun]", type_.cls)).get(field.name):
            yield path + field.name, older
        held, many = find_struct(field.type)
        if held:
            yield from _walk_older(held, f"{path}{field.name}{'[].' if many else '.'}")


def _make_getter(path: str) -> Callable[[Noun], object]:
    """Return what returns a field; in a list of records, whether it is filled in all of them."""
    outer, many, inner = path.partition("[].")
    get: Callable[[Noun], object] = attrgetter(outer)
    if not many:
        return get
    get_inner = _make_getter(inner)
    return lambda record: all(map(get_inner, cast("tuple[Noun, ...]", get(record))))


def find_struct(type_: Type) -> tuple[StructType | None, bool]:
    """Return the record in a type: itself, one that may be null, or those of a list; and whether it is a list."""
    if isinstance(type_, UnionType):
        return next((found for found in map(find_struct, type_.types) if found[0]), (None, False))
    if isinstance(type_, VarTupleType):
        return find_struct(type_.item_type)[0], True
    return (type_ if isinstance(type_, StructType) else None), False


# -- values -----------------------------------------------------------------------------------------------------------


def _read_value(type_: Type, value: object, path: str, flaws: _Flaws) -> object:
    """Read a value as what its field holds; raise ValueError."""
    if isinstance(type_, UnionType):
        (type_,) = (one for one in type_.types if not isinstance(one, NoneType))
    if isinstance(type_, StructType):
        return _read_struct(type_, value, path + ".", flaws)
    if isinstance(type_, VarTupleType):
        items = value if isinstance(value, list) else [value]  # one value stands for a list of it
        return tuple(_read_value(type_.item_type, item, path, flaws) for item in items if item is not None)
    if isinstance(type_, DictType):
        pairs = cast("dict[str, object]", _check(value, dict)).items()
        return {_heal(name, path, flaws): _read_value(type_.value_type, one, path, flaws) for name, one in pairs}
    return PLAIN[type(type_)](_heal(value, path, flaws))


def _heal(value: T, path: str, flaws: _Flaws) -> T:
    """Return a value as it can be shown, and name a field of which something is no text."""
    whole, was_damaged = mending.heal(value)
    if was_damaged:
        flaws.damaged.append(path)
    return cast("T", whole)


def _check(value: object, *kinds: type) -> object:
    """Return a value of one of these kinds; raise ValueError. A boolean is no number."""
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise ValueError(f"it is {name_kind(value)}")
    return value


def name_kind(value: object) -> str:
    """Say to a person what a value of JSON is."""
    return "null" if value is None else KINDS.get(type(value).__name__, "of another kind")


def explain_mismatch(problem: Exception) -> str:
    """Say to a person what msgspec found: it names types as Python does."""
    return KIND.sub(lambda found: " or ".join(KINDS.get(name, name) for name in found[1].split(" | ")), str(problem))


def _read_text(value: object) -> str:
    return str(_check(value, str, int, float))


def _read_number(value: object) -> int:
    number = float(cast("str", _check(value, str, int, float))) if not isinstance(value, int) else _check(value, int)
    whole = int(cast("float", number))
    if whole != number:
        raise ValueError("it is not a whole number")
    return whole


def _read_fraction(value: object) -> float:
    return float(cast("str", _check(value, str, int, float)))


def _read_flag(value: object) -> bool:
    flag = WORDS.get(str(_check(value, bool, int, str)).strip().lower())
    if flag is None:
        raise ValueError(f"it is {name_kind(value)}, neither true nor false")
    return flag


PLAIN: dict[type[Type], Callable[[object], object]] = {
    StrType: _read_text,
    IntType: _read_number,
    FloatType: _read_fraction,
    BoolType: _read_flag,
    DateTimeType: parse_time,
    AnyType: lambda value: value,
}
"""What reads a single value, by the type of its field."""
