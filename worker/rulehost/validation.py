"""Validation of rule files: what they may import, and what signatures mean."""

import ast
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from msgspec import Struct

import worker
from worker.language import models
from worker.language.actions import ACTIONS
from worker.language.base import Noun, join_choices
from worker.language.models import DISPOSITION_OF, FACTS, MESSAGE_FACTS, TRIGGERS
from worker.language.policies import ListEntry
from worker.language.rules import Limit, Mark, Mode

PURE_MODULES = frozenset(
    {
        *("__future__", "base64", "binascii", "bisect", "calendar", "collections", "collections.abc", "dataclasses"),
        *("datetime", "decimal", "difflib", "email.utils", "enum", "fnmatch", "fractions", "functools", "hashlib"),
        *("heapq", "html", "ipaddress", "itertools", "json", "math", "operator", "re", "statistics", "string"),
        *("textwrap", "types", "typing", "unicodedata", "urllib.parse", "zoneinfo"),
    }
)
"""Modules of the standard library that only compute."""
FORBIDDEN = {
    "__import__": "rules import with import statements",
    "breakpoint": "rules cannot stop for a debugger",
    "compile": "rules cannot run text as code",
    "eval": "rules cannot run text as code",
    "exec": "rules cannot run text as code",
    "input": "rules cannot ask a person",
    "open": "rules cannot read files",
}
"""Built-in functions that a rule must not use, and why."""
ALLOWED = (
    "rules import names from worker, standard modules that only compute, such as re, and shared files, as in "
    "`from ._name import …`"
)
SHORTEST, LONGEST = 60.0, 30 * 86400.0
"""Seconds that the window of a limit lasts at least and at most."""
_NOT_PLAIN = 0x04 | 0x08 | 0x20 | 0x80 | 0x200
"""Code flags: *args, **kwargs, generator, coroutine, asynchronous generator."""
READABLE = frozenset(
    name
    for kind in vars(models).values()
    if isinstance(kind, type) and issubclass(kind, Noun)
    for name in dir(kind)
    if not name.startswith("_")
)
"""The names of all that rules can read of an event or a fact."""


class Problem(Struct, frozen=True):
    """Why a rule file is rejected, and where the mistake is."""

    text: str
    file: str = ""
    line: int = 0


class Signature(Struct, frozen=True):
    """A rule's signature, as names of types."""

    trigger: str = ""
    facts: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()


class Misread(Exception):
    """A signature is not that of a rule; the text says why."""


def check_source(tree: ast.Module, neighbours: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Find mistakes that show without running the file: forbidden imports and functions, names used twice."""
    seen: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in FORBIDDEN:
            yield f"{node.id}() is not allowed in a rule: {FORBIDDEN[node.id]}", node.lineno
        for wanted in _imports(node):
            if wanted not in PURE_MODULES and wanted not in neighbours and not _is_offered(wanted):
                told = f"{wanted} cannot be imported in a rule file{_suggest(wanted)}; {ALLOWED}"
                yield told, node.lineno  # type: ignore[attr-defined]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.decorator_list:
            if node.name in seen:
                yield f"{node.name} is defined twice in this file; rename one of them", node.lineno
            seen.add(node.name)


def _imports(node: ast.AST) -> Iterator[str]:
    """Yield the name of everything that an import statement imports; a neighbour is written ``._name``."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")
        # `from urllib import parse` imports the module urllib.parse, `from re import sub` a name from the module re.
        inside = module in PURE_MODULES or module.startswith("._")
        yield from (module if inside else f"{module.rstrip('.')}.{alias.name}" for alias in node.names)


def _is_offered(wanted: str) -> bool:
    """Return whether the package worker offers this to rule files."""
    package, _, name = wanted.partition(".")
    return package == "worker" and name in worker.__all__


def _suggest(wanted: str) -> str:
    """Name what was meant, when an import from the package worker is misspelt."""
    package, _, name = wanted.partition(".")
    near = get_close_matches(name, worker.__all__, n=1) if package == "worker" else []
    return f"; did you mean {near[0]}?" if near else ""


def find_channels(function: ast.FunctionDef, module: ast.Module) -> tuple[str, ...]:
    """Return the channels that a function and its examples notify, written out or as a constant of the file."""
    constants = {
        target.id: node.value
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    named = [value for node in ast.walk(function) if isinstance(node, ast.Call) for value in _channel_of(node)]
    values = [constants.get(value.id) if isinstance(value, ast.Name) else value for value in named]
    texts = [value.value for value in values if isinstance(value, ast.Constant)]
    return tuple(sorted({text for text in texts if isinstance(text, str)}))


def _channel_of(call: ast.Call) -> list[ast.expr]:
    """Return what a call of Notify says about its channel."""
    if not isinstance(call.func, ast.Name) or call.func.id != "Notify":
        return []
    return [*call.args[:1], *(keyword.value for keyword in call.keywords if keyword.arg == "channel")]


def find_reads(module: ast.Module) -> frozenset[str]:
    """Return what a file may read of events and facts: what it takes from values, in any way."""
    return READABLE.intersection(_find_names(module))


def _find_names(module: ast.Module) -> Iterator[str]:
    """Yield what is taken from values: after a dot, in a pattern such as ``Message(sender=who)``, or named as text."""
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.MatchClass):
            yield from node.kwd_attrs
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from node.value.split(".")


def read_signature(function: Callable[..., Any]) -> Signature:
    """Read a signature: trigger, facts, and every action that the rule may ever return. Raises Misread."""
    code = getattr(function, "__code__", None)
    if code is None or code.co_flags & _NOT_PLAIN or code.co_kwonlyargcount:
        raise Misread("a rule is a plain function: not async, no yield, no *args, no keyword-only parameters")
    hints, parameters = _hints(function), code.co_varnames[: code.co_argcount]
    names = [getattr(hints.get(parameter), "__name__", "") for parameter in parameters]
    if not names or names[0] not in TRIGGERS or hints[parameters[0]] is not TRIGGERS[names[0]]:
        raise Misread(f"the type of the first parameter says what triggers the rule; use {join_choices(TRIGGERS)}")
    for parameter, name in zip(parameters[1:], names[1:], strict=True):
        if name not in FACTS or hints[parameter] is not FACTS[name]:
            raise Misread(f"the type of parameter {parameter} is not a fact; use {join_choices(FACTS)}")
    signature = Signature(names[0], tuple(names[1:]), _read_return_type(hints))
    _check_combination(signature)
    _check_escalation(signature)
    return signature


def _check_combination(signature: Signature) -> None:
    """Raise Misread when facts or actions do not go with the trigger."""
    trigger, facts = signature.trigger, signature.facts
    if trigger != "Message" and (strange := MESSAGE_FACTS.keys() & set(facts)):
        raise Misread(f"{min(strange)} is a fact of a message, so a rule about {trigger} cannot use it")
    if len(set(facts)) < len(facts):
        raise Misread("two parameters have the same fact as their type")
    needy = [name for name in signature.actions if ACTIONS[name].about_message]
    if issubclass(TRIGGERS[trigger], ListEntry) and needy:
        raise Misread(f"{needy[0]} needs a message, and a rule about {trigger} has none; it may notify or change lists")


def _check_escalation(signature: Signature) -> None:
    """Raise Misread when a rule would escalate what no user submitted."""
    if "Escalate" in signature.actions and signature.trigger != "Submission":
        raise Misread(
            f"Escalate hands on what a user submitted, so a rule about {signature.trigger} cannot return it; "
            "use Reclassify, or write the rule about Submission"
        )


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Evaluate the annotations; raise Misread when that fails."""
    try:
        return get_type_hints(function)
    except Exception as problem:
        raise Misread(f"its annotations cannot be read: {problem}") from problem


def _read_return_type(hints: dict[str, Any]) -> tuple[str, ...]:
    """Read the return type: actions, tuples of actions, and None. Raises Misread."""
    if "return" not in hints:
        raise Misread("it has no return type; name every action it may return, such as -> Move | None")
    parts = [part for part in _members(hints["return"]) if part is not type(None)]
    kinds = [kind for part in parts for kind in _tuple_members(part)]
    for kind in kinds:
        if kind not in ACTIONS.values():
            shown = getattr(kind, "__name__", kind)
            raise Misread(f"its return type has {shown}; use {', '.join(ACTIONS)}, tuples of them, or None")
    if not kinds:
        raise Misread("its return type has no action, so the rule could never do anything")
    return tuple(dict.fromkeys(kind.__name__ for kind in kinds))


def _members(hint: Any) -> tuple[Any, ...]:  # noqa: ANN401 (any annotation)
    """Take a union apart."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _tuple_members(hint: Any) -> tuple[Any, ...]:  # noqa: ANN401 (any annotation)
    """Take a tuple of actions apart."""
    if get_origin(hint) is not tuple:
        return (hint,)
    return tuple(kind for part in get_args(hint) if part is not ... for kind in _members(part))


def check_mark(mark: Mark, trigger: str) -> Iterator[str]:
    """Find mistakes in the arguments of ``@rule``. Types are checked too, because authors need not run mypy."""
    if mark.dispositions is not None and trigger not in {"", *DISPOSITION_OF}:
        yield f"{trigger} has no disposition of its own; leave dispositions= out and check its fields in the rule"
    if not _is_a(mark.mode, Mode):
        yield f"mode is {mark.mode!r}; use {join_choices(mode.name for mode in Mode)}"
    if not _is_a(mark.priority, int):
        yield f"priority is {mark.priority!r}; use a whole number"
    if not _is_a(mark.limit, Limit) or mark.limit.count < 0 or not SHORTEST <= mark.limit.per <= LONGEST:
        yield f"limit is {mark.limit!r}; use per_hour(50), or limit(50, per='1h') with a window of 1m to 30d"


def check_review(mark: Mark, signature: Signature) -> Iterator[str]:
    """Find a rule that could only ask for what Cloudflare cannot review."""
    asking = [name for name in signature.actions if ACTIONS[name].lane == "verdict"]
    if signature.trigger == "Message" and asking and set(mark.dispositions or ()) == {"NONE"}:
        yield (
            f"it hears clean mail only, and {asking[0]} of that is invalid, because Cloudflare has not kept its body; "
            "hear other dispositions too, or write the rule about Submission: users submit the mail itself"
        )


def _is_a(value: object, kind: type) -> bool:
    """Check a type that the annotation promises, without mypy taking the check for needless."""
    return isinstance(value, kind)
