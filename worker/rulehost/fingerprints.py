"""Fingerprints: what identifies the code of a rule, as it runs.

Standing texts, such as docstrings, do not run: they are taken out before a file is compiled. Examples are left out of
the fingerprint if they really are ``worker.example`` and made of literals and samples; any other decorator counts.
"""

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import sha256

import worker
from worker.language.actions import ACTIONS

DIGITS = 32
"""Hexadecimal digits of a fingerprint: 128 bits, for which nobody finds two files."""
SAMPLES, TIMES = "sample", "datetime"
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def fingerprint(*parts: str) -> str:
    """Hash all parts to 32 hexadecimal digits."""
    return sha256("\0".join(parts).encode()).hexdigest()[:DIGITS]


def identify_rule(name: str, code: str, shared: Iterable[str]) -> str:
    """Return the fingerprint of a rule, given those of its file's code and of all shared files."""
    return fingerprint(name, code, *shared)


def identify_bundle(rules: Iterable[tuple[str, str]]) -> str:
    """Return the fingerprint of all rules together, given the name and the fingerprint of each."""
    return fingerprint(*(f"{name} {code}" for name, code in rules))


class _TextRemover(ast.NodeTransformer):
    """Removes texts that stand by themselves, such as docstrings."""

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        """Put a statement without effect in the place of a text."""
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return ast.copy_location(ast.Pass(), node) if is_text else node


def take_docstrings(tree: ast.Module) -> dict[str, str]:
    """Remove all standing texts, so that no code can read them; return the docstrings of functions by their names."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    found = {node.name: ast.get_docstring(node) or "" for node in reversed(functions)}
    _TextRemover().visit(tree)
    return found


def normalise(tree: ast.Module) -> str:
    """Write a file's code without examples and line numbers; this changes the tree."""
    return ast.dump(drop_examples(tree))


def drop_examples(tree: ast.Module) -> ast.Module:
    """Remove the examples that run no code of the file, and return the tree."""
    names = _Names(tree)
    for node in tree.body:  # inside a function or a class, a name may mean something else
        if isinstance(node, ast.FunctionDef):
            node.decorator_list = [one for one in node.decorator_list if not names.is_example(one)]
    return tree


class _Names:
    """What the names of a file mean, as far as that can be told without running it."""

    def __init__(self, tree: ast.Module) -> None:
        bound = Counter(_list_bound(tree))
        self._offered = dict[str, str]()
        """By name here: the name that the package ``worker`` offers it under."""
        self._times = set[str]()
        self._plain = set[str]()
        for node in tree.body if "*" not in bound else ():
            if isinstance(node, ast.ImportFrom) and not node.level:
                self._take_import(node, bound)
            elif isinstance(node, ast.Assign):
                self._take_constants(node, bound)

    def _take_import(self, node: ast.ImportFrom, bound: Counter[str]) -> None:
        for alias in node.names:
            name = alias.asname or alias.name
            if bound[name] == 1 and node.module == worker.__name__:
                self._offered[name] = alias.name
            elif bound[name] == 1 and node.module == TIMES:
                self._times.add(name)

    def _take_constants(self, node: ast.Assign, bound: Counter[str]) -> None:
        """Note names whose only value is made of literals and samples."""
        names = [one.id for target in node.targets for one in ast.walk(target) if isinstance(one, ast.Name)]
        if self._is_plain(node.value):
            self._plain.update(name for name in names if bound[name] == 1)

    def is_example(self, decorator: ast.expr) -> bool:
        """Tell whether a decorator is ``worker.example`` with arguments that run no code of the file."""
        if not isinstance(decorator, ast.Call) or not isinstance(decorator.func, ast.Name):
            return False
        return self._offered.get(decorator.func.id) == "example" and self._are_plain(decorator)

    def _are_plain(self, call: ast.Call) -> bool:
        return all(map(self._is_plain, (*call.args, *(keyword.value for keyword in call.keywords))))

    def _is_plain(self, node: ast.expr | None) -> bool:
        """Tell whether an expression is made of literals, samples, actions and times."""
        match node:
            case (
                None
                | ast.Constant()
                | ast.UnaryOp(operand=ast.Constant())
                | ast.BinOp(left=ast.Constant(), right=ast.Constant())
            ):
                return True
            case ast.Tuple() | ast.List() | ast.Set():
                return all(map(self._is_plain, node.elts))
            case ast.Dict():
                return all(map(self._is_plain, (*node.keys, *node.values)))
            case ast.Name():
                return node.id in self._plain or node.id in self._offered or node.id in self._times
            case ast.Call():
                return self._is_maker(node.func) and self._are_plain(node)
        return False

    def _is_maker(self, function: ast.expr) -> bool:
        """Tell whether a function makes a sample, an action or a time."""
        match function:
            case ast.Attribute(value=ast.Name(id=name)):
                return self._offered.get(name) == SAMPLES
            case ast.Name():
                return self._offered.get(function.id) in ACTIONS or function.id in self._times
        return False


def _list_bound(tree: ast.AST) -> Iterator[str]:
    """Yield each name that a module binds, as often as it does; a star for names that nobody can list."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.Name(ctx=ast.Store() | ast.Del()):
                yield node.id
            case ast.Import() | ast.ImportFrom():
                yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name
            case ast.MatchMapping(rest=str(name)):
                yield name
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case _:
                pass
        yield from _list_declared(node) if isinstance(node, SCOPES) else _list_bound(node)


def _list_declared(scope: ast.AST) -> Iterator[str]:
    """Yield the names that a function or a class may bind in the module: those declared, and those in its defaults."""
    for node in ast.walk(scope):
        match node:
            case ast.Global():
                yield from node.names
            case ast.NamedExpr():
                yield node.target.id
