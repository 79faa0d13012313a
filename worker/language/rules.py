"""Rules: the decorators that make a function one, and what a rule returns about an event.

The decorators only mark a function. The loader reads the marks, so importing a rule file has no effect.
"""

import re
from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Any, Literal, TypeVar, TypeVarTuple, overload

from msgspec import Struct

from worker.language.actions import Action, AnyAction
from worker.language.base import join_choices
from worker.language.models import DISPOSITIONS, Disposition

By = Literal["rule", "sender", "recipient"]
Lowered = Literal["", "ceiling", "stops"]
"""What lets a rule do less than its mode says: the ceiling, or that it stopped the process of the rules too often."""
Rule = TypeVar("Rule", bound=Callable[..., Any])
Given = TypeVarTuple("Given")
Answer = TypeVar("Answer")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Mode(IntEnum):
    """The most a rule may do; only a reviewed change of its file raises it."""

    OFF = 0
    OBSERVE = 1
    APPROVE = 2
    ENFORCE = 3


OFF, OBSERVE, APPROVE, ENFORCE = Mode


class Limit(Struct, frozen=True):
    """At most ``count`` distinct targets in a sliding window of ``per`` seconds, by rule, sender or recipient."""

    count: int
    per: float = 3600.0
    by: By = "rule"


class Mark(Struct, frozen=True):
    """The arguments of ``@rule``, kept on the function."""

    mode: Mode
    limit: Limit
    priority: int
    dispositions: tuple[str, ...] | None


class Example(Struct, frozen=True):
    """The arguments of ``@example``, kept on the function: what the rule is given, and what it must return."""

    given: tuple[Any, ...]
    gives: tuple[AnyAction, ...]


class RuleInfo(Struct, frozen=True, kw_only=True):
    """A loaded rule as the daemon knows it; the function itself stays in the rule process."""

    name: str
    file: str
    line: int
    doc: str
    trigger: str
    facts: tuple[str, ...]
    actions: tuple[str, ...]
    mode: Mode
    limit: Limit
    priority: int
    dispositions: tuple[str, ...] | None
    fingerprint: str
    channels: tuple[str, ...] = ()
    """Where it may notify, as far as its code says so."""
    reads: tuple[str, ...] = ()
    """The fields and properties of events and facts that its code names, or that of a shared file."""


class Proposal(Struct, frozen=True, kw_only=True):
    """What one rule wants done about one event: all of its actions, or none."""

    rule: str
    actions: tuple[AnyAction, ...]
    mode: Mode
    priority: int
    fingerprint: str = ""
    lowered: Lowered = ""


class Ask(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rule that cannot answer yet: it needs facts, used fields that could not be read, or has to be mended first."""

    rule: str
    actions: tuple[str, ...] = ()
    """What it may want, by the names of its return type."""
    mode: Mode = OBSERVE
    priority: int = 0
    facts: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    """Fields of the event, and of facts."""
    stopped: str = ""
    """Why it was not asked: what it did on other events."""


def limit(count: int, *, per: str = "1h", by: By = "rule") -> Limit:
    """Allow ``count`` distinct targets per window such as ``30m``, ``1h`` or ``1d``; more wait for approval."""
    if count < 0:
        raise ValueError(f"a limit must be 0 or more, not {count}")
    return Limit(count, parse_duration(per), by)


def parse_duration(duration: str) -> float:
    """Parse ``90s``, ``2m``, ``1h``, ``3d`` or ``50ms`` as seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|[smhd])", duration.strip())
    if not found:
        raise ValueError(f"{duration!r} is not a duration; write a number and ms, s, m, h or d, such as 15m")
    number, unit = found.groups()
    return float(number) / 1000 if unit == "ms" else float(number) * UNITS[unit]


def per_hour(count: int) -> Limit:
    """Allow ``count`` distinct targets an hour."""
    return limit(count, per="1h")


@overload
def rule(function: Rule, /) -> Rule: ...
@overload
def rule(
    *,
    mode: Mode = ...,
    limit: Limit = ...,
    priority: int = ...,
    dispositions: Iterable[Disposition] | None = ...,
) -> Callable[[Rule], Rule]: ...
def rule(
    function: Callable[..., Any] | None = None,
    /,
    *,
    mode: Mode = OBSERVE,
    limit: Limit = Limit(100),  # noqa: B008 (frozen)
    priority: int = 0,
    dispositions: Iterable[Disposition] | None = None,
) -> Any:
    """Mark a function as a rule and return it unchanged.

    Without ``dispositions`` every detection triggers it; naming NONE makes the worker read clean mail too.
    """
    narrowed = None if dispositions is None else _check_dispositions(dispositions)
    decorate = _write_mark(Mark(mode, limit, priority, narrowed))
    return decorate(function) if function else decorate


def _check_dispositions(dispositions: Iterable[str]) -> tuple[str, ...]:
    """Return the dispositions; raise TypeError for one alone, whose comma was forgotten, ValueError for an unknown."""
    if isinstance(dispositions, str):
        raise TypeError(f'dispositions takes a tuple: ("{dispositions}",)')
    named = tuple(dispositions)
    if unknown := sorted(set(named) - set(DISPOSITIONS)):
        raise ValueError(f"unknown disposition {unknown[0]!r}; use {join_choices(DISPOSITIONS)}")
    return named


def _write_mark(mark: Mark) -> Callable[[Rule], Rule]:
    """Return a decorator that keeps a mark on a function."""

    def write(function: Rule) -> Rule:
        function.__dict__["__rule__"] = mark
        return function

    return write


def example(
    *given: *Given, gives: Action | tuple[Action, ...] | None
) -> Callable[[Callable[[*Given], Answer]], Callable[[*Given], Answer]]:
    """State what the rule returns for these arguments; the loader rejects the rule when it does not."""
    answer = to_actions(gives)

    def write(function: Callable[[*Given], Answer]) -> Callable[[*Given], Answer]:
        stacked = function.__dict__.get("__examples__", ())
        function.__dict__["__examples__"] = (Example(given, answer), *stacked)
        return function

    return write


def to_actions(said: object) -> tuple[AnyAction, ...]:
    """Return what a rule returned as a tuple of actions; raise TypeError for anything else."""
    actions: tuple[Any, ...] = () if said is None else said if isinstance(said, tuple) else (said,)
    for action in actions:
        if not isinstance(action, Action):
            raise TypeError(f"a rule returns actions or None, not {type(action).__name__}")
    return actions


def read_mark(function: object) -> Mark | None:
    """Return the mark of a rule; None for anything else."""
    mark = getattr(function, "__dict__", {}).get("__rule__")
    return mark if isinstance(mark, Mark) else None


def read_examples(function: object) -> tuple[Example, ...]:
    """Return the examples of a rule, the top one first."""
    return tuple(getattr(function, "__dict__", {}).get("__examples__", ()))
