"""Usage: who depends on a field of what a source or a fact brings, as far as the code of the rules says so."""

import ast
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from itertools import chain
from pathlib import Path

from msgspec.structs import fields

from worker.intake.presence import KINDS, describe_shape
from worker.intake.sources import ReportKey, SubmissionKey
from worker.language.base import Noun, get_keys
from worker.language.models import DISPOSITION_OF, TRIGGERS
from worker.language.policies import ListEntry
from worker.language.rules import OFF, RuleInfo
from worker.observations import MessageKey, NamesKey

OWN: dict[str, tuple[type[Noun], ...]] = {
    "Message": (MessageKey, NamesKey),
    "Report": (ReportKey,),
    "Submission": (SubmissionKey,),
    "BlockedSender": (ListEntry,),
    "AllowPolicy": (ListEntry,),
}
"""By trigger: what the worker itself reads of it."""


@cache
def is_own(kind: str, path: str) -> bool:
    """Tell whether the worker itself needs a field."""
    own = {field.name for part in OWN.get(kind, ()) for field in fields(part)} | {*get_keys(KINDS[kind])}
    return path in own


def find_users(rules: Iterable[RuleInfo], kind: str, path: str) -> tuple[str, ...]:
    """Return the rules that may use a field of their event, or of a fact that they ask for."""
    about = (rule for rule in rules if kind in {rule.trigger, *rule.facts} and rule.mode is not OFF)
    return tuple(rule.name for rule in about if may_use(rule, KINDS[kind], path))


def may_use(rule: RuleInfo, kind: type[Noun], path: str) -> bool:
    """Tell whether a rule names a field of an event or fact, or what is read from it, in its file or a shared one.

    It may, if its file cannot be read.
    """
    judged_by = DISPOSITION_OF.get(rule.trigger, "") if rule.dispositions is not None else ""
    is_heard_by = path == judged_by and kind is TRIGGERS[rule.trigger]
    names = _read_names(rule)
    return is_heard_by or names is None or not names.isdisjoint(_list_names(kind, path))


@cache
def _list_names(kind: type[Noun], path: str) -> frozenset[str]:
    """Return the names by which a rule reads a field: its own, those of the properties that read it, and what it holds.

    What the line of an action log holds, rules read as fields of the line.
    """
    own, shape = path.rpartition(".")[2], describe_shape(kind)
    members = ((name, getattr(kind, name)) for name in dir(kind))
    reading = (name for name, one in members if isinstance(one, property) and own in _list_reads(one))
    held = shape.held[path].written if path in shape.held else ()
    return frozenset({own, *reading, *(inner.rpartition(".")[2] for inner in held)})


def _list_reads(member: property) -> tuple[str, ...]:
    """Return the names in the code of a property."""
    names: tuple[str, ...] = getattr(member.fget, "__code__").co_names  # noqa: B009 (every function has one)
    return names


def _read_names(rule: RuleInfo) -> frozenset[str] | None:
    """Return the names in a rule's file; None where that is gone or broken by now, while the rule is still loaded."""
    try:
        return _parse_names(rule.file, rule.fingerprint)
    except (OSError, ValueError, SyntaxError):
        return None


@lru_cache(maxsize=1024)
def _parse_names(file: str, _fingerprint: str) -> frozenset[str]:
    """Return what a rule file, and the shared files beside it, take from values, as the fingerprint knows them."""
    path = Path(file)
    return frozenset(chain.from_iterable(map(_find_names, (path, *sorted(path.parent.glob("_*.py"))))))


def _find_names(path: Path) -> Iterator[str]:
    """Yield what is taken from values: after a dot, in a pattern such as ``Message(sender=who)``, or named as text."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.MatchClass):
            yield from node.kwd_attrs
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from node.value.split(".")
