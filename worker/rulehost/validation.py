"""The grammar of rule files: what one may import, how a signature is read, and what a fingerprint covers."""

import ast
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from msgspec import Struct

import worker
from worker.language.actions import ACTIONS
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
"""Modules of the standard library that compute and do nothing else."""
OUTWARD = frozenset({"__import__", "breakpoint", "compile", "eval", "exec", "input", "open"})
"""Built-in functions that reach out of a rule."""
ALLOWED = "a rule imports names that worker offers, pure standard modules such as re, and neighbours as ._name"
SHORTEST, LONGEST = 60.0, 30 * 86400.0
"""Seconds that the window of a limit may last."""
_NOT_PLAIN = 0x04 | 0x08 | 0x20 | 0x80 | 0x200
"""Code flags: *args, **kwargs, generator, coroutine, asynchronous generator."""


class Problem(Struct, frozen=True):
    """Why a rule file cannot be taken, and where."""

    text: str
    file: str = ""
    line: int = 0


class Signature(Struct, frozen=True):
    """What a rule's signature says."""

    trigger: str = ""
    facts: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()


class Misread(Exception):
    """A signature cannot be read; the text says why."""


def check_source(tree: ast.Module, neighbours: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Find what can be seen without running the file: forbidden imports, outward calls, names used twice."""
    seen: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in OUTWARD:
            yield f"{node.id} reaches out of the rule; rules only read what they are given", node.lineno
        for wanted in _imports(node):
            if wanted not in PURE_MODULES and wanted not in neighbours and not _is_offered(wanted):
                yield f"{wanted} cannot be imported here; {ALLOWED}", node.lineno  # type: ignore[attr-defined]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.decorator_list:
            if node.name in seen:
                yield f"{node.name} is defined twice in this file; give one of them another name", node.lineno
            seen.add(node.name)


def _imports(node: ast.AST) -> Iterator[str]:
    """Name each thing that an import statement asks for; a neighbour is written ``._name``."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")
        # `from urllib import parse` asks for urllib.parse; `from re import sub` for something inside re.
        inside = module in PURE_MODULES or module.startswith("._")
        yield from (module if inside else f"{module.rstrip('.')}.{alias.name}" for alias in node.names)


def _is_offered(wanted: str) -> bool:
    """Say whether the front door offers this."""
    package, _, name = wanted.partition(".")
    return package == "worker" and name in worker.__all__


def read_signature(function: Callable[..., Any]) -> Signature:
    """Read a signature: trigger, facts, and everything the rule may ever do. Raises Misread."""
    code = getattr(function, "__code__", None)
    if code is None or code.co_flags & _NOT_PLAIN or code.co_kwonlyargcount:
        raise Misread("a rule is a plain function of plain parameters: no async, no yield, no *args, no keywords")
    hints = _hints(function)
    names = [getattr(hints.get(name), "__name__", "") for name in code.co_varnames[: code.co_argcount]]
    if not names or names[0] not in TRIGGERS or hints[code.co_varnames[0]] is not TRIGGERS[names[0]]:
        raise Misread(f"the type of the first parameter is what the rule is about: one of {', '.join(TRIGGERS)}")
    for parameter, name in zip(code.co_varnames[1:], names[1:], strict=False):
        if name not in FACTS or hints[parameter] is not FACTS[name]:
            raise Misread(f"parameter {parameter} asks for an unknown fact; known are {', '.join(FACTS)}")
    if names[0] != "Message" and (strange := MESSAGE_FACTS.keys() & set(names)):
        raise Misread(f"{min(strange)} is a fact of a message; a rule about a {names[0]} cannot ask for it")
    if len(set(names)) < len(names):
        raise Misread("the rule asks for the same fact twice")
    actions = _read_return_type(hints)
    needy = [name for name in actions if ACTIONS[name].about_message]
    if issubclass(TRIGGERS[names[0]], ListEntry) and needy:
        raise Misread(f"{needy[0]} needs a message, and this rule is about a list; it can notify or change lists")
    return Signature(names[0], tuple(names[1:]), actions)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Evaluate the annotations."""
    try:
        return get_type_hints(function)
    except Exception as problem:
        raise Misread(f"its annotations cannot be read: {problem}") from problem


def _read_return_type(hints: dict[str, Any]) -> tuple[str, ...]:
    """Read the return type: actions, tuples of actions, and None."""
    if "return" not in hints:
        raise Misread("it has no return type; write every action it may take, such as -> Move | None")
    parts = [part for part in _members(hints["return"]) if part is not type(None)]
    kinds = [kind for part in parts for kind in _tuple_members(part)]
    for kind in kinds:
        if kind not in ACTIONS.values():
            shown = getattr(kind, "__name__", kind)
            raise Misread(f"its return type holds {shown}; it may hold {', '.join(ACTIONS)}, tuples of them, or None")
    if not kinds:
        raise Misread("its return type holds no action, so it could never do anything")
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
    """Find what makes no sense in a decorator. Types are looked at too: nobody has to run mypy."""
    if mark.dispositions is not None and trigger not in {"", *DISPOSITION_OF}:
        yield f"a {trigger} has no disposition of its own; leave dispositions= out, and test its fields in the rule"
    if not _is_a(mark.mode, Mode):
        yield f"mode is {mark.mode!r}; write one of {', '.join(mode.name for mode in Mode)}"
    if not _is_a(mark.priority, int):
        yield f"priority is {mark.priority!r}; write a whole number"
    if not _is_a(mark.limit, Limit) or mark.limit.count < 0 or not SHORTEST <= mark.limit.per <= LONGEST:
        yield f"limit is {mark.limit!r}; write per_hour(50), or limit(50, per='1h') with a window of 1m to 30d"


def _is_a(value: object, kind: type) -> bool:
    """Look at a value whose type was promised and may be another."""
    return isinstance(value, kind)


class _Normaliser(ast.NodeTransformer):
    """Leaves of a file only what decides: no docstrings, no examples."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        """Drop a text that stands by itself, which is what a docstring is."""
        return None if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Drop the examples of a function, and go on inside it."""
        node.decorator_list = [one for one in node.decorator_list if not _is_example(one)]
        return self.generic_visit(node)


def _is_example(decorator: ast.expr) -> bool:
    """Recognise ``@example(...)``."""
    return isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Name) and decorator.func.id == "example"


def normalise(tree: ast.Module) -> str:
    """Write a file's code without docstrings, examples and line numbers; the tree is used up by it."""
    return ast.dump(_Normaliser().visit(tree))


def fingerprint(*parts: str) -> str:
    """Return 12 hexadecimal digits over all parts."""
    return sha256("\0".join(parts).encode()).hexdigest()[:12]
