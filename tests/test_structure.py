"""The shape of the house: which file imports which, how long things are, and how they are called.

All imports count, also those for types alone and those inside functions. That no arrow goes up is held by the
contracts of import-linter, in `make check`.
"""

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import TopologicalSorter
from itertools import chain
from pathlib import Path
from statistics import median, quantiles

import pytest
from grimp import ImportGraph, build_graph

# Nothing may exceed these figures; they are lowered when they can be, and never raised.
FILES_IN_CIRCLES = 0
ROOMS = 24
FLOORS = 8
LINES_OF_A_FILE = 400
LINES_OF_HALF_THE_FUNCTIONS = 6
LINES_OF_NINE_TENTHS_OF_THE_FUNCTIONS = 15
PARAMETERS_OF_A_CONSTRUCTOR = 7
PARTICIPLES = 1  # of a hundred names of functions
REPEATED_CLASSES = 3

WORKER = Path(__file__).parents[1] / "worker"
PREDICATES = {"can", "does", "has", "is", "may", "was"}
IRREGULAR = {
    *("become", "begun", "bent", "bound", "broken", "brought", "built", "bought", "caught", "chosen", "done", "drawn"),
    *("driven", "eaten", "fallen", "felt", "forgotten", "fought", "found", "given", "gone", "held", "hidden", "heard"),
    *("kept", "known", "laid", "led", "left", "lent", "lost", "made", "meant", "met", "paid", "proven", "ridden"),
    *("risen", "said", "seen", "sent", "shaken", "shown", "sold", "spent", "spoken", "stolen", "stood", "struck"),
    *("stuck", "sworn", "swept", "taken", "thought", "thrown", "told", "torn", "understood", "woken", "won", "worn"),
    *("wound", "written"),
}
NO_PARTICIPLE = {"embed", "exceed", "feed", "need", "proceed", "seed", "speed", "succeed"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def imports() -> ImportGraph:
    """Draw the graph of imports between all files."""
    return build_graph("worker", cache_dir=None)


@cache
def definitions() -> tuple[Function | ast.ClassDef, ...]:
    """Read the functions and classes of all files."""
    nodes = chain.from_iterable(ast.walk(ast.parse(file.read_text())) for file in WORKER.rglob("*.py"))
    return tuple(node for node in nodes if isinstance(node, Function | ast.ClassDef))


def rooms() -> dict[str, set[str]]:
    """Return the files and folders directly in the package, each with those it imports."""
    graph = build_graph("worker", cache_dir=None)
    names = sorted(graph.find_children("worker"))
    for name in names:
        graph.squash_module(name)
    return {name: graph.find_modules_directly_imported_by(name) & set(names) - {name} for name in names}


def floors(imported: Mapping[str, set[str]]) -> dict[str, int]:
    """Count how many rooms stand on each other, from the lowest one up to each."""
    floor: dict[str, int] = {}
    for name in TopologicalSorter(imported).static_order():
        floor[name] = 1 + max((floor[other] for other in imported[name]), default=0)
    return floor


def functions() -> Iterator[Function]:
    """Yield every function that we have named, and every constructor."""
    for node in definitions():
        if isinstance(node, Function) and (node.name == "__init__" or not node.name.startswith("__")):
            yield node


def is_property(function: Function) -> bool:
    """Tell whether a function is read like a value, and so may be called like one."""
    names = {
        node.id for decorator in function.decorator_list for node in ast.walk(decorator) if isinstance(node, ast.Name)
    }
    return bool(names & {"property", "cached_property"})


def is_participle(name: str) -> bool:
    """Tell whether a name begins with a past participle."""
    first = name.strip("_").partition("_")[0]
    regular = first.endswith("ed") and len(first) > 3 and first not in NO_PARTICIPLE
    return first not in PREDICATES and (regular or first in IRREGULAR)


def test_files_do_not_import_each_other_in_a_circle() -> None:
    above = {name: imports().find_upstream_modules(name) for name in imports().modules}
    circles = sorted(name for name, others in above.items() if any(name in above[other] for other in others))
    assert len(circles) <= FILES_IN_CIRCLES, circles


def test_there_are_as_many_rooms_as_one_can_remember_on_few_floors() -> None:
    imported = rooms()
    floor = floors(imported)
    assert len(imported) <= ROOMS, sorted(imported)
    assert max(floor.values()) <= FLOORS, sorted((count, name) for name, count in floor.items())


def test_floors_are_counted_by_the_longest_way_down() -> None:
    assert floors({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == {"a": 3, "b": 2, "c": 1}


def test_no_file_is_long() -> None:
    lengths = {str(file): file.read_text().count("\n") for file in WORKER.rglob("*.py")}
    assert {file: lines for file, lines in lengths.items() if lines > LINES_OF_A_FILE} == {}


@pytest.mark.slow
def test_functions_are_short() -> None:
    lines = [(function.end_lineno or function.lineno) - function.lineno + 1 for function in functions()]
    assert median(lines) <= LINES_OF_HALF_THE_FUNCTIONS
    assert quantiles(lines, n=10)[-1] <= LINES_OF_NINE_TENTHS_OF_THE_FUNCTIONS


@pytest.mark.slow
def test_no_constructor_is_handed_too_much() -> None:
    made = [function.args for function in functions() if function.name == "__init__"]
    parameters = [len(args.posonlyargs + args.args + args.kwonlyargs) - 1 for args in made]
    assert max(parameters) <= PARAMETERS_OF_A_CONSTRUCTOR


@pytest.mark.slow
def test_functions_are_called_by_a_verb_and_not_by_what_it_has_led_to() -> None:
    names = [function.name for function in functions() if function.name != "__init__" and not is_property(function)]
    participles = sorted(filter(is_participle, names))
    assert 100 * len(participles) <= PARTICIPLES * len(names), participles


def test_participles_are_known_by_their_first_word() -> None:
    names = ("_told", "opened", "sent_by_us", "describe_line", "is_told", "was_seen", "feed", "_red", "need_it")
    assert [name for name in names if is_participle(name)] == ["_told", "opened", "sent_by_us"]


@pytest.mark.slow
def test_a_name_means_one_class() -> None:
    names = Counter(node.name for node in definitions() if isinstance(node, ast.ClassDef))
    repeated = sorted(name for name, count in names.items() if count > 1)
    assert len(repeated) <= REPEATED_CLASSES, repeated
