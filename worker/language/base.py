"""What every noun has in common: null reads as empty, what is too long is cut, times are UTC."""

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
"""Characters of any one string that a rule gets to see."""
CUT = "… [cut at 4,096 characters]"
LATEST = 7_258_118_400.0
"""The year 2200: what is later, or before 1970, is no time of anything that the API tells."""


def epoch(when: datetime | None) -> float:
    """Return seconds since the epoch, 0 for no time or one that makes no sense; without a zone it is UTC."""
    seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() if when else 0.0
    return seconds if 0.0 < seconds < LATEST else 0.0


@cache
def _blanks(kind: type["Noun"]) -> tuple[tuple[int, str, Any], ...]:
    """Each field that has an empty value to stand in for null: its place, its name, that value."""
    return tuple(
        (place, f.name, f.default) for place, f in enumerate(fields(kind)) if f.default not in (None, NODEFAULT)
    )


class Noun(Struct, frozen=True, kw_only=True):
    """A value as the API tells it; unknown fields are ignored, null reads as empty."""

    def __post_init__(self) -> None:
        """Turn null into the field's empty value."""
        values = astuple(self)  # all at once: this is a third of what reading a message costs
        for place, name, blank in _blanks(type(self)):
            if values[place] is None:
                force_setattr(self, name, blank)


AnyNoun = TypeVar("AnyNoun", bound=Noun)


def domain_of(address: str) -> str:
    """Return the lower-case domain of an address, empty when there is none."""
    return address.rpartition("@")[2].lower() if "@" in address else ""


def fold(name: str) -> str:
    """Return a name as it is compared: in lower case, each run of spaces as one."""
    return " ".join(name.casefold().split())


def shorten(noun: AnyNoun) -> AnyNoun:
    """Cut every string longer than 4,096 characters, and say so inside it."""
    long = {f.name: _cut(getattr(noun, f.name)) for f in fields(noun)}
    return replace(noun, **long)


def _cut(value: Any) -> Any:  # noqa: ANN401 (any field of any noun)
    """Cut one value, whatever its shape."""
    if isinstance(value, str):
        return value if len(value) <= TEXT_LIMIT else value[:TEXT_LIMIT] + CUT
    if isinstance(value, tuple):
        return tuple(_cut(item) for item in value)
    return shorten(value) if isinstance(value, Noun) else value
