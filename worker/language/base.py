"""What all records of the API have in common: null reads as empty, times are UTC."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple, TypeVar, Union, get_args, get_type_hints
from unicodedata import category, normalize

from msgspec import NODEFAULT, Struct
from msgspec.structs import astuple, fields, force_setattr

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
"""What a cut string ends with: longer than any whole one, it equals none."""
DAMAGED = "\ufffd"
"""What stands for a part of a text that is none."""
OTHER_DOT = "\u3002"
"""What programs take for a dot in a domain, and NFKC leaves as it is."""
BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5" + "".join(map(chr, range(0xFE00, 0xFE10))))
"""Letters and marks that are drawn as nothing, or only vary the one before, as they are after NFKC."""

_PART = r'[^\x00-\x20\x7f@<>()\[\],;:"\\.]+'
PLAIN_ADDRESS = re.compile(rf'[^\x00-\x20\x7f@<>()\[\],;:"\\]+@((?:{_PART}\.)*{_PART})')
"""One address without a name, comments, quotes or brackets around it, and without empty parts in its domain."""


class Upkeep(NamedTuple):
    """What is to be put right in the values of a type: where null stands for empty, and where there are times."""

    blanks: tuple[tuple[int, str, Any], ...]
    times: tuple[tuple[int, str], ...]


@cache
def _plan(kind: type["Noun"]) -> Upkeep:
    """Return place, name and default of the fields whose default stands for null, and place and name of times."""
    hints, own = get_type_hints(kind), tuple(enumerate(fields(kind)))
    return Upkeep(
        tuple((place, f.name, f.default) for place, f in own if f.default not in (None, NODEFAULT)),
        tuple((place, f.name) for place, f in own if datetime in get_args(hints[f.name])),
    )


class Noun(Struct, frozen=True, kw_only=True):
    """A record as the API sends it; unknown fields are ignored, null reads as empty, times are in UTC."""

    _keys: ClassVar[tuple[str, ...]] = ()
    """Fields without which the record cannot be judged, beside those that have no default."""
    _older: ClassVar[dict[str, str]] = {}
    """Names that fields had before, which are read where there is no newer one."""

    @property
    def unread(self) -> tuple[str, ...]:
        """The fields that could not be read, such as ``validation.spf``. A rule that asks may use them as empty."""
        return ()

    @property
    def mended(self) -> tuple[str, ...]:
        """The fields of which the text is not as it came: a part was no text, or it was cut at 4,096 characters."""
        return ()

    def __post_init__(self) -> None:
        """Replace null with the default of the field, and other zones with UTC."""
        values = astuple(self)  # all at once, because this takes a third of the time of reading a message
        blanks, times = _plan(type(self))
        if None in values:
            for place, name, blank in blanks:
                if values[place] is None:
                    force_setattr(self, name, blank)
        for place, name in times:
            when = values[place]
            if when is not None and when.tzinfo is not UTC:
                force_setattr(self, name, when.astimezone(UTC))


AnyNoun = TypeVar("AnyNoun", bound=Noun)


def get_keys(kind: type[Noun]) -> tuple[str, ...]:
    """Return the fields without which a record of this type cannot be judged, beside those without a default."""
    return kind._keys  # noqa: SLF001 (hidden from rules, which read every name that a record has)


def get_older(kind: type[Noun]) -> dict[str, str]:
    """Return the names that fields of this type had before."""
    return kind._older  # noqa: SLF001


def domain_of(address: str) -> str:
    """Return the lower-case domain of one plain address; empty for several, for a damaged one, and for none."""
    found = PLAIN_ADDRESS.fullmatch(address)
    return found[1].lower() if found and (is_plain(address)) else ""


def is_plain(text: str) -> bool:
    """Return whether a text has no sign that nobody sees, none of another form, and none for what was damaged."""
    if text.isascii():
        return True
    seen = (
        DAMAGED not in text
        and OTHER_DOT not in text
        and not any(category(one)[0] in "CZ" or one in BLANKS for one in text)
    )
    return seen and normalize("NFKC", text) == text


def fold(name: str) -> str:
    """Return a name in the form in which names are compared: lower case, single spaces, nothing that is not seen.

    What was mended or cut in it does not matter, so that nobody hides a name by spoiling it.
    """
    seen = drop_unseen(name).casefold()
    return " ".join((seen if seen.isascii() else normalize("NFKC", seen)).split())


def drop_unseen(name: str) -> str:
    """Return a name without what nobody sees of it, in one form for each letter; case and spaces stay."""
    if name.isascii() and name.isprintable():  # as most are
        return name
    whole = normalize("NFKC", name.removesuffix(CUT).replace(DAMAGED, ""))
    return "".join(one for one in whole if one.isspace() or not _is_unseen(one))


def _is_unseen(character: str) -> bool:
    """Return whether a character is drawn as nothing: controls and marks of direction, joiners, variants."""
    return category(character) in {"Cc", "Cf"} or character in BLANKS


def join_choices(names: Iterable[str]) -> str:
    """Return names as they stand in a sentence: ``a, b or c``."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
