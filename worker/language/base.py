"""What all records of the API have in common: null reads as empty, long strings are cut, times are UTC."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union

from msgspec import NODEFAULT, Struct
from msgspec.structs import astuple, fields, force_setattr, replace

T = TypeVar("T")
if TYPE_CHECKING:
    Nullable = Annotated[T, "null on the wire"]
else:  # Noun.__post_init__ makes the annotation above true
    Nullable = Union[T, None]  # noqa: UP007 (a generic alias)
Text = Nullable[str]
Texts = Nullable[tuple[str, ...]]
Flag = Nullable[bool]
Number = Nullable[int]

TEXT_LIMIT = 4096
"""Characters of a string that a rule sees at most."""
CUT = "… [cut at 4,096 characters]"
LATEST = 7_258_118_400.0
"""The year 2200: later times, and times before 1970, are mistakes."""


def epoch(when: datetime | None) -> float:
    """Return seconds since the epoch, 0 for no time or an impossible one; a time without a zone is UTC."""
    seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() if when else 0.0
    return seconds if 0.0 < seconds < LATEST else 0.0


@cache
def _blanks(kind: type["Noun"]) -> tuple[tuple[int, str, Any], ...]:
    """Return place, name and default of each field whose default stands in for null."""
    return tuple(
        (place, f.name, f.default) for place, f in enumerate(fields(kind)) if f.default not in (None, NODEFAULT)
    )


class Noun(Struct, frozen=True, kw_only=True):
    """A record as the API sends it; unknown fields are ignored, null reads as empty."""

    def __post_init__(self) -> None:
        """Replace null with the default of the field."""
        values = astuple(self)  # all at once, because this takes a third of the time of reading a message
        for place, name, blank in _blanks(type(self)):
            if values[place] is None:
                force_setattr(self, name, blank)


AnyNoun = TypeVar("AnyNoun", bound=Noun)


def domain_of(address: str) -> str:
    """Return the lower-case domain of an address, empty when there is none."""
    return address.rpartition("@")[2].lower() if "@" in address else ""


def fold(name: str) -> str:
    """Return a name in the form in which names are compared: lower case, single spaces."""
    return " ".join(name.casefold().split())


def join_choices(names: Iterable[str]) -> str:
    """Return names as they stand in a sentence: ``a, b or c``."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def shorten(noun: AnyNoun) -> AnyNoun:
    """Cut every string to 4,096 characters, with a note in those that were longer."""
    long = {f.name: _cut(getattr(noun, f.name)) for f in fields(noun)}
    return replace(noun, **long)


def _cut(value: Any) -> Any:  # noqa: ANN401 (any field of any record)
    """Cut the strings in one value."""
    if isinstance(value, str):
        return value if len(value) <= TEXT_LIMIT else value[:TEXT_LIMIT] + CUT
    if isinstance(value, tuple):
        return tuple(_cut(item) for item in value)
    return shorten(value) if isinstance(value, Noun) else value
