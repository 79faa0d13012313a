"""Shortening: rules see 4,096 characters of a string at most, and are told which fields are cut."""

from msgspec.structs import fields, replace

from worker.language.base import CUT, TEXT_LIMIT, AnyNoun, Noun
from worker.language.unread import mark


def shorten(noun: AnyNoun) -> AnyNoun:
    """Cut every string to 4,096 characters, with a note in those that were longer; ``mended`` names their fields."""
    cut: list[str] = []
    short = _shorten(noun, "", cut)
    return mark(short, noun.unread, tuple(dict.fromkeys((*noun.mended, *cut))))


def _shorten(noun: AnyNoun, path: str, cut: list[str]) -> AnyNoun:
    return replace(noun, **{one.name: _cut(getattr(noun, one.name), path + one.name, cut) for one in fields(noun)})


def _cut(value: object, path: str, cut: list[str]) -> object:
    """Cut the strings in one value, and note where one was cut."""
    if isinstance(value, str) and len(value) > TEXT_LIMIT:
        cut.append(path)
        return value[:TEXT_LIMIT] + CUT
    if isinstance(value, tuple):
        return tuple(_cut(item, path, cut) for item in value)
    return _shorten(value, f"{path}.", cut) if isinstance(value, Noun) else value
