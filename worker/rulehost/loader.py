"""The loader: turn rule files into a checked bundle with fingerprints, or report what is wrong in all of them.

Reading and building are separate, because the daemon reads files and only its rule process runs them.
"""

import ast
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from importlib import import_module
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from worker.errors import RuleError
from worker.language.actions import AnyAction, Keep, Notify, describe_action
from worker.language.models import FACTS, TRIGGERS
from worker.language.rules import ENFORCE, Ask, Example, Mark, Proposal, RuleInfo, read_examples, read_mark
from worker.rulehost.evaluation import Bundle, Failure, LoadedRule, call_rule, describe_error, locate
from worker.rulehost.fingerprints import (
    drop_examples,
    fingerprint,
    identify_bundle,
    identify_rule,
    normalise,
    take_docstrings,
)
from worker.rulehost.folder import list_files, read_files
from worker.rulehost.validation import (
    Misread,
    Problem,
    Signature,
    check_mark,
    check_review,
    check_source,
    find_channels,
    find_reads,
    read_signature,
)

PACKAGE = "_rules_in_hand"
"""The package that rule files are in while they are loaded."""


class Sources(Struct, frozen=True):
    """The files of a rules folder, and the channels that have an address (None: channels are not checked)."""

    folder: str
    files: dict[str, bytes]
    channels: frozenset[str] | None = None
    deadly: frozenset[str] = frozenset()
    """Files that must not be run again, because each stopped the process that loaded it."""
    judging: bool = False
    """Whether to load them for judging: the last file runs first, and examples that no fingerprint covers do not."""


class _Parsed(Struct, frozen=True):
    """A file that is valid Python and imports nothing forbidden."""

    file: str
    code: CodeType
    fingerprint: str
    lines: dict[str, int]
    docs: dict[str, str]
    channels: dict[str, tuple[str, ...]]
    reads: frozenset[str]


def load(folder: Path, channels: frozenset[str] | None = None) -> Bundle:
    """Load a folder of rule files in this process; raise RuleError with every problem, one per line."""
    bundle, problems = build(read(folder, channels))
    if problems:
        raise to_error(problems)
    return bundle


def to_error(problems: Sequence[Problem]) -> RuleError:
    """Make one error of all problems, with the place of the first one."""
    errors = [RuleError(one.text, file=one.file, line=one.line) for one in problems]
    error = RuleError("\n".join(str(one) for one in errors))
    error.file, error.line = errors[0].file, errors[0].line
    return error


def read(folder: Path, channels: frozenset[str] | None = None) -> Sources:
    """Read the files of a folder without running any; names that begin with a dot are skipped.

    A mounted ConfigMap shows each file twice, once below ``..data``.
    """
    files, unread = read_files(list_files(folder))
    if unread:
        raise to_error(unread)
    if all(is_neighbour(name) for name in files):
        raise RuleError(
            "this folder has no rule file; add one, or set WORKER_RULES to another folder", file=str(folder)
        )
    return Sources(str(folder), files, channels)


def build(
    sources: Sources,
    note: Callable[[int], None] = lambda _number: None,
    tell: Callable[[dict[str, str]], None] = lambda _fingerprints: None,
    declare: Callable[[str, Sequence[LoadedRule]], None] = lambda _name, _rules: None,
) -> tuple[Bundle, tuple[Problem, ...]]:
    """Run the files and check their rules; the bundle may only be used when there is no problem.

    ``tell`` is called with the fingerprint of each file's code before any of them is run, ``note`` with the number of
    each file before that one is, ``declare`` with its rules after that.
    """
    problems: list[Problem] = []
    runnable = [name for name in sources.files if name not in sources.deadly]
    parsed = {name: one for name in runnable if (one := _parse(sources, name, problems))}
    tell({name: one.fingerprint for name, one in parsed.items()})
    shared = [one for name, one in parsed.items() if is_neighbour(name)]
    with _make_importable(parsed, sources.files.keys() - parsed):
        numbered, found = list(enumerate(sources.files)), dict[str, list[LoadedRule]]()
        for number, name in reversed(numbered) if sources.judging else numbered:
            if name in parsed and not is_neighbour(name):
                note(number)
                found[name] = _load_rules(parsed[name], shared, sources, problems)
                declare(name, found[name])
    rules = [rule for name in sources.files for rule in found.get(name, ())]
    problems += _find_duplicates(rules)
    # A broken neighbour is a problem of each file that imports it, and is reported once.
    distinct = tuple(dict.fromkeys(problems))
    return Bundle(rules, identify_bundle((one.info.name, one.info.fingerprint) for one in rules)), distinct


def is_neighbour(name: str) -> bool:
    """Return whether a file only has code that others import."""
    return name.startswith("_")


def _parse(sources: Sources, name: str, problems: list[Problem]) -> _Parsed | None:
    """Check a file as far as that is possible without running it."""
    file, found = f"{sources.folder}/{name}", list[Problem]()
    try:
        tree = ast.parse(sources.files[name], file)
        neighbours = {f".{one.removesuffix('.py')}" for one in sources.files if is_neighbour(one)}
        found += (Problem(text, file, line) for text, line in check_source(tree, neighbours))
        docs = take_docstrings(tree)
        ran = tree if not sources.judging else drop_examples(deepcopy(tree))
        code = compile(ran, file, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError) as problem:
        line = getattr(problem, "lineno", None) or 1
        problems.append(Problem(f"this is not Python: {getattr(problem, 'msg', problem)}", file, line))
        return None
    if not name.removesuffix(".py").isidentifier():
        found.append(Problem("rename the file; only letters, digits and _ may stand before .py", file))
    problems += found
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    lines = {node.name: node.lineno for node in functions}
    channels = {node.name: find_channels(node, tree) for node in functions}
    of_code = fingerprint(normalise(tree))  # what the code reads is told without its examples
    return None if found else _Parsed(file, code, of_code, lines, docs, channels, find_reads(tree))


@contextmanager
def _make_importable(parsed: Mapping[str, _Parsed], broken: Iterable[str]) -> Iterator[None]:
    """Let parsed files import each other as one package; importing a broken one raises _Broken."""
    codes = {_module_name(name): one.code for name, one in parsed.items()}
    finder = _Finder(codes, frozenset(map(_module_name, broken)))
    package = ModuleType(PACKAGE)
    package.__path__ = []
    sys.modules[PACKAGE] = package
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
            del sys.modules[name]


def _module_name(name: str) -> str:
    """Return the name under which a file is imported."""
    return f"{PACKAGE}.{name.removesuffix('.py')}"


class _Broken(ImportError):
    """A file imports one whose problem is reported already."""


class _Finder:
    """Finds and runs the modules of the folder that is being loaded, and no others."""

    def __init__(self, codes: Mapping[str, CodeType], broken: frozenset[str]) -> None:
        self._codes, self._broken = codes, broken

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        """Find a module for the import system; raise _Broken for a file that cannot be run."""
        if name in self._broken:
            raise _Broken(name)
        return ModuleSpec(name, self) if name in self._codes else None  # type: ignore[arg-type]

    def create_module(self, _spec: ModuleSpec) -> None:
        """Let Python create the module."""

    def exec_module(self, module: ModuleType) -> None:
        """Run a file."""
        exec(self._codes[module.__name__], vars(module))  # noqa: S102 (rule files are code; this happens in the rule process)


def _load_rules(
    parsed: _Parsed, shared: Sequence[_Parsed], sources: Sources, problems: list[Problem]
) -> list[LoadedRule]:
    """Run one file and return its rules; every problem is added to ``problems``."""
    functions, found = _run_file(parsed)
    problems += found
    loaded = []
    for function in functions:
        line = parsed.lines.get(function.__name__, 1)
        rule, wrong = _check_rule(function, parsed, line, shared)
        if rule and not sources.judging:
            rule = replace(rule, outcomes=_try_examples(rule))
            wrong = [*wrong, *_check_examples(rule, sources.channels)]
        problems += (Problem(f"{function.__name__}: {text}", parsed.file, line) for text in wrong)
        loaded += [rule] if rule else []
    return loaded


def _run_file(parsed: _Parsed) -> tuple[list[Callable[..., Any]], list[Problem]]:
    """Run one file; return the functions that are rules or should be, and the problem when there is none."""
    try:
        module = import_module(_module_name(parsed.file.rpartition("/")[2]))
    except _Broken:
        return [], []
    except (Exception, SystemExit) as problem:  # noqa: BLE001 (a rule file may raise anything; the others are still read)
        file, line = locate(problem.__traceback__, parsed.file) or (parsed.file, 1)
        return [], [Problem(f"it cannot be loaded: {describe_error(problem)}", file, line)]
    # A rule imported from elsewhere is not a rule of this file, and one name may be bound twice.
    own = {id(one): one for one in vars(module).values() if getattr(one, "__module__", "") == module.__name__}
    functions = [one for one in own.values() if callable(one) and (read_mark(one) or _has_examples(one))]
    if not functions:
        return [], [Problem("this file has no rule; begin its name with _ if other files import it", parsed.file, 1)]
    return functions, []


def _has_examples(function: object) -> bool:
    """Return whether a function has examples, with or without @rule."""
    return "__examples__" in getattr(function, "__dict__", {})


def _check_rule(
    function: Callable[..., Any], parsed: _Parsed, line: int, shared: Sequence[_Parsed]
) -> tuple[LoadedRule | None, list[str]]:
    """Check one function that is a rule, or should be one."""
    mark, doc = read_mark(function), (function.__doc__ or parsed.docs.get(function.__name__, "")).strip()
    if mark is None:
        return None, ["it has examples but no @rule above them"]
    signature, problems = _check_signature(function, mark, doc)
    info = RuleInfo(
        name=function.__name__,
        file=parsed.file,
        line=line,
        doc=doc.partition("\n")[0].strip(),
        trigger=signature.trigger,
        facts=signature.facts,
        actions=signature.actions,
        mode=mark.mode,
        limit=mark.limit,
        priority=mark.priority,
        dispositions=mark.dispositions,
        fingerprint=identify_rule(function.__name__, parsed.fingerprint, [one.fingerprint for one in shared]),
        channels=parsed.channels.get(function.__name__, ()),
        reads=tuple(sorted(parsed.reads.union(*(one.reads for one in shared)))),
    )
    return (None if problems else LoadedRule(info, function)), problems


def _check_signature(function: Callable[..., Any], mark: Mark, doc: str) -> tuple[Signature, list[str]]:
    """Read a signature, and find what is wrong with it, with the docstring and with the mark."""
    problems = []
    if not doc:
        problems.append("it has no docstring; the first line becomes the reason of its actions")
    signature = Signature()
    try:
        signature = read_signature(function)
    except Misread as problem:
        problems.append(str(problem))
    return signature, [*problems, *check_mark(mark, signature.trigger), *check_review(mark, signature)]


def _try_examples(rule: LoadedRule) -> tuple[str, ...]:
    """Run every example, and return what came of each."""
    return tuple(check_example(rule, example) for example in read_examples(rule.function))


def _check_examples(rule: LoadedRule, channels: frozenset[str] | None) -> Iterator[str]:
    """Find examples that the rule contradicts, that are missing, or that name an unknown channel."""
    for number, problem in enumerate(rule.outcomes, 1):
        if problem:
            yield f"example {number}: {problem}"
    yield from _check_both_sides(rule)
    named = {one.channel for e in read_examples(rule.function) for one in e.gives if isinstance(one, Notify)}
    if channels is not None:
        for channel in sorted(named - channels):
            yield f"channel {channel!r} has no address; set WORKER_NOTIFY_{channel.upper()}"


def check_example(rule: LoadedRule, example: Example) -> str:
    """Say how a rule contradicts an example; empty when it does not."""
    wanted = [TRIGGERS[rule.info.trigger], *(FACTS[name] for name in rule.info.facts)]
    if len(example.given) != len(wanted) or not all(map(isinstance, example.given, wanted)):
        given = ", ".join("None" if one is None else type(one).__name__ for one in example.given)
        return f"it gives the rule ({given}), but the rule takes ({', '.join(kind.__name__ for kind in wanted)})"
    answer = call_rule(rule, example.given[0], dict(zip(rule.info.facts, example.given[1:], strict=True)))
    if isinstance(answer, Failure):
        return f"{answer.problem} (line {answer.line})"
    if isinstance(answer, Ask):
        return f"the rule uses {', '.join(answer.unread)}, which is unread; look at unread first to use it as empty"
    returned = answer.actions if isinstance(answer, Proposal) else ()
    if returned == example.gives:
        return ""
    return f"expected {format_actions(example.gives)}, but the rule returned {format_actions(returned)}"


def format_actions(actions: Sequence[AnyAction]) -> str:
    """Write actions as a rule would, without their reasons."""
    return " and ".join(map(describe_action, actions)) or "no action"


def _check_both_sides(rule: LoadedRule) -> Iterator[str]:
    """Require of a rule in ENFORCE an example in which it acts, and one in which it does not."""
    if rule.info.mode < ENFORCE:
        return
    stays = [
        not one.gives or (_only_keeps(one) and rule.info.actions != ("Keep",)) for one in read_examples(rule.function)
    ]
    if all(stays):
        yield "a rule in ENFORCE needs an example in which it acts"
    if not any(stays):
        yield "a rule in ENFORCE needs an example in which it does not act (gives=None)"


def _only_keeps(example: Example) -> bool:
    """Return whether an example only keeps the message as it is."""
    return all(isinstance(action, Keep) for action in example.gives)


def _find_duplicates(rules: Iterable[LoadedRule]) -> Iterator[Problem]:
    """Find names that two rules share: a rule is known by its name in every record."""
    first: dict[str, RuleInfo] = {}
    for rule in rules:
        other = first.setdefault(rule.info.name, rule.info)
        if other is not rule.info:
            text = f"{rule.info.name}: {other.file}:{other.line} has a rule of this name; rename one of them"
            yield Problem(text, rule.info.file, rule.info.line)
