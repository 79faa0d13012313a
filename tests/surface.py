"""Holds what programs read of the worker to the list in ``surface.json``, which is changed by hand and on purpose."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LIST = Path(__file__).with_suffix(".json")
HELD: dict[str, dict[str, Any]] = json.loads(LIST.read_text("utf-8"))
DATA = {"bytes": 1, "calls": 1, "entries": 2, "search": 1, "sources": 1}
"""Keys of JSON below which so many levels of keys are data: tables, operations, actions and states, sources."""


def hold(kind: str, held: object, found: object) -> None:
    """Fail when anything is not as it is held, with a sentence that names it."""
    changes = sorted(_find_changes(kind, held, found))
    assert not changes, "\n".join(["", *changes])


def _find_changes(name: str, held: object, found: object) -> Iterator[str]:
    before, now = _parts_of(held), _parts_of(found)
    if before is None or now is None:
        if held != found:
            yield f"{name} was {held!r} and is {found!r}: programs read it, so leave it as it was"
        return
    yield from (f"{name} / {gone} is gone: programs read it, so leave it as it was" for gone in before.keys() - now)
    yield from (f"{name} / {new} is new: if that is on purpose, add it to {LIST.name}" for new in now.keys() - before)
    for both in before.keys() & now:
        yield from _find_changes(f"{name} / {both}", before[both], now[both])


def _parts_of(value: object) -> dict[Any, Any] | None:
    """Return the names in a collection, with what is below them; nothing when it is a plain value."""
    if isinstance(value, list | set):
        return dict.fromkeys(value)
    return value if isinstance(value, dict) else None


def list_keys(value: object) -> set[str]:
    """Return the path of every key in a JSON value; keys that are data are written as an asterisk."""
    return set(_walk_keys(value, "", 0))


def _walk_keys(value: object, path: str, data: int) -> Iterator[str]:
    if isinstance(value, list):
        for inside in value or [None]:
            yield from _walk_keys(inside, f"{path}[]", 0)
    elif isinstance(value, dict) and value:
        for key, inside in value.items():
            name = "*" if data else key
            yield from _walk_keys(inside, f"{path}.{name}".removeprefix("."), data - 1 if data else DATA.get(key, 0))
    else:
        yield path
