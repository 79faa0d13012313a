"""Lookalikes: names and domains as people see them, whatever signs they are written with.

What looks alike is told by Unicode's confusables (UTS 39), of which the package has the pairs but no skeletons.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from unicodedata import category, normalize

from msgspec import Struct, json

from worker.language.base import drop_unseen, is_plain
from worker.language.domains import lies_within, registrable, to_ascii, to_unicode

ALIKE = {
    "0": "o",
    "1": "l",
    "|": "l",
    "i": "l",
    "rn": "m",
    "vv": "w",
    "3": "e",
    "4": "a",
    "5": "s",
    "7": "t",
    "8": "b",
    "$": "s",
}
"""What people read as another letter, in ASCII. Unicode's list has less: what may look the same in every font."""
TITLES = frozenset(("mr", "mrs", "ms", "dr", "prof", "ceo", "cfo", "coo", "cto", "cio"))
WORD = re.compile(r"[^\W_]+")
REPEATED = re.compile(r"(.)\1+")
MISSPELT, MOST_WORDS = 4, 16
"""Letters of a word of a name from which on one that lacks a letter counts as it; words of a name so looked at."""
LONG, LONGER = 5, 7
"""Letters of the name in a domain from which on one that holds it imitates it, and one that differs by a letter."""


class _NameWords(NamedTuple):
    """A registered name, and its words as they look; ``plain`` are the same with their own letters."""

    name: str
    words: frozenset[str]
    plain: frozenset[str]


class _Index(NamedTuple):
    """Registered names by their longest word, by all of their words in one, and by each word of several."""

    longest: Mapping[str, Sequence[_NameWords]]
    joined: Mapping[str, Sequence[_NameWords]]
    each: Mapping[str, Sequence[_NameWords]]


def make_skeleton(text: str) -> str:
    """Return a text as it looks: texts that people take for each other have the same."""
    text = _see(text)
    for sign, letter in ALIKE.items():
        text = text.replace(sign, letter)
    return text


def _see(text: str) -> str:
    """Return a text in small letters without marks, and with Unicode's prototype in the place of other letters."""
    if text.isascii() and text.isprintable():  # as most are: none of this changes it
        return text.casefold()
    bare = _translate(_drop_marks(drop_unseen(text)))
    return _drop_marks(_translate(bare.casefold()))


@lru_cache(maxsize=4096)
def split_words(name: str) -> frozenset[str]:
    """Return the words of a name as they look, in no order; a doubled letter looks like one."""
    return frozenset(WORD.findall(make_skeleton(_join_repeated(name))))


def _split_plainly(name: str) -> frozenset[str]:
    return frozenset(WORD.findall(_see(name)))


def _join_repeated(name: str) -> str:
    return REPEATED.sub(r"\1", _see(name))


@lru_cache(maxsize=8192)
def find_alike(name: str, names: tuple[str, ...]) -> str:
    """Return which of some names people take a name for, in any order and beside any other words; empty for none.

    A name of one word is found only alone or beside a title. Of a longer one, a word may lack a letter, or have two
    beside each other swapped.
    """
    known, shown = _index(names), split_words(name)
    for word in shown:
        for one in known.longest.get(word, ()):
            if one.words <= shown and (len(one.words) > 1 or shown - _skeletons(TITLES) <= one.words):
                return one.name
    joined = known.joined.get(_join_words(name), ())
    return joined[0].name if joined else _find_misspelt(_split_plainly(name), known)


def _find_misspelt(shown: frozenset[str], known: _Index) -> str:
    """Return a name of which all words but one are shown, and that one is misspelt."""
    if not 1 < len(shown) <= MOST_WORDS:
        return ""
    for one in (one for word in shown for one in known.each.get(word, ())):
        missing, others = one.plain - shown, shown - one.plain
        if len(missing) == 1 and any(_is_misspelt(other, *missing) for other in others):
            return one.name
    return ""


def _is_misspelt(shown: str, word: str) -> bool:
    """Tell whether a word lacks a letter that is neither its first nor its last, or has two swapped.

    Words that differ in their last letter alone are mostly other names: Adam, Ada.
    """
    if len(shown) == len(word) - 1 and len(word) >= MISSPELT:
        return shown[0] == word[0] and shown[-1] == word[-1] and _differs_by_one(shown, word)
    return len(shown) == len(word) and sorted(shown) == sorted(word) and _differs_by_one(shown, word)


def lookalike(domain: str, ours: Iterable[str]) -> str:
    """Return which of our domains another one imitates, or that of an address; empty when it imitates none.

    One of ours, written plainly, imitates nobody.
    """
    written, known = domain.rpartition("@")[2], tuple(ours)
    if not written or (is_plain(written) and any(lies_within(written, own) for own in known)):
        return ""
    shown = _look_at(to_ascii(drop_unseen(written)))
    return next((own for own in known if _imitates(shown, _look_at(to_ascii(own)))), "")


class _Looks(NamedTuple):
    """A domain as it looks: as a whole, the part that somebody registered, and the name in that."""

    whole: str
    registered: str
    name: str
    plain: str
    """The name with its own letters, where they are ASCII."""


@lru_cache(maxsize=4096)
def _look_at(domain: str) -> _Looks:
    registered = registrable(domain) or domain
    whole, part = make_skeleton(to_unicode(domain)), make_skeleton(to_unicode(registered))
    return _Looks(whole, part, part.partition(".")[0], _see(to_unicode(registered)).partition(".")[0])


def _imitates(shown: _Looks, own: _Looks) -> bool:
    if shown.name == own.name or f".{own.registered}." in f".{shown.whole}.":
        return True
    flat = own.registered.replace(".", "-"), own.registered.replace(".", "")
    if any(one in shown.whole for one in flat):
        return True
    if len(own.name) >= LONG and f"-{own.name}-" in f"-{shown.whole.replace('.', '-')}-":
        return True
    pairs = (shown.name, own.name), (shown.plain, own.plain)
    return len(own.name) >= LONGER and any(_differs_by_one(*pair) for pair in pairs)


def _differs_by_one(one: str, other: str) -> bool:
    """Tell whether one letter was changed, left out or put in, or two beside each other were swapped."""
    if abs(len(one) - len(other)) > 1:
        return False
    start = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    left, right = one[start:], other[start:]
    swapped = left[:2] == right[1::-1] and left[2:] == right[2:]
    return swapped or left[1:] == right[1:] or left[1:] == right or left == right[1:]


@lru_cache(maxsize=8)
def _index(names: tuple[str, ...]) -> _Index:
    longest, joined, each = (defaultdict[str, list[_NameWords]](list) for _ in range(3))
    for name in names:
        if words := split_words(name):
            one = _NameWords(name, words, _split_plainly(name))
            longest[max(words, key=len)].append(one)
            joined[_join_words(name)].append(one)
            for word in one.plain if len(one.plain) > 1 else ():
                each[word].append(one)
    return _Index(longest, joined, each)


def _join_words(name: str) -> str:
    """Return the words of a name in one, as that looks."""
    return make_skeleton(_join_repeated("".join(WORD.findall(drop_unseen(name)))))


@cache
def _skeletons(words: frozenset[str]) -> frozenset[str]:
    return frozenset(word for one in words for word in split_words(one))


def _drop_marks(text: str) -> str:
    return "".join([one for one in normalize("NFD", text) if category(one) not in {"Mn", "Me"}])


def _translate(text: str) -> str:
    return text if text.isascii() else "".join([_prototypes().get(one, one) for one in text])


@cache
def _prototypes() -> dict[str, str]:
    """Make Unicode's table of prototypes from the pairs in the package; it is loaded when it is needed first."""
    spec = find_spec("confusable_homoglyphs")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("confusable_homoglyphs is not installed")
    pairs = Path(spec.origin).with_name("confusables.json").read_bytes()
    return dict(_pair(json.decode(pairs, type=_Pairs)))


def _pair(pairs: "_Pairs") -> Iterator[tuple[str, str]]:
    """Yield each letter that has a prototype, with it: a pair stands on both sides, and a letter has one prototype."""
    for letter, alike in pairs.items():
        if len(letter) != 1 or letter.isascii() or len(alike) != 1:
            continue
        other = alike[0].c
        if len(other) > 1 or len(pairs.get(other, ())) > 1 or other < letter:
            yield letter, other


class _Alike(Struct):
    """One of a pair, as the package has it."""

    c: str


_Pairs = dict[str, list[_Alike]]
