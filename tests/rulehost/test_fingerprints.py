"""Fingerprints: they change when a decision could change, and only then."""

import ast
from pathlib import Path

import pytest

from tests.cells import each
from tests.rule_files import rule_files
from tests.rulehost.test_validation import FILES
from worker.rulehost.fingerprints import normalise, take_docstrings
from worker.rulehost.loader import load


def prints(folder: Path, stem: str = "", change: str = "", to: str = "") -> tuple[str, str, str]:
    """Load the files, one of them changed, and return the fingerprints of both rules and of the bundle."""
    assert not stem or change in FILES[stem]
    bundle = load(rule_files(folder, **FILES | ({stem: FILES[stem].replace(change, to)} if stem else {})))
    return bundle.rules[0].info.fingerprint, bundle.rules[1].info.fingerprint, bundle.fingerprint


@pytest.mark.parametrize(
    ("stem", "change", "to", "changed"),
    [
        ("one", "Say one.", "Say otherwise.", (False, False, False)),
        ("one", "A file.", "Another file.", (False, False, False)),
        ("one", "@example(sample.message(), sample.detection(), gives=None)", "", (False, False, False)),
        ("one", "\n    @rule", "\n\n    # a comment\n    @rule", (False, False, False)),
        ("one", "message.subject in", "message.from_name in", (True, False, True)),
        ("one", "@rule", "@rule(priority=2)", (True, False, True)),
        ("two", "return None", "return Keep()", (False, True, True)),
        ("_words", "'a'", "'b'", (True, True, True)),
    ],
)
def test_a_fingerprint_covers_what_decides(
    tmp_path: Path, stem: str, change: str, to: str, changed: tuple[bool, bool, bool]
) -> None:
    before, after = prints(tmp_path), prints(tmp_path, stem, change, to)
    assert tuple(one != other for one, other in zip(before, after, strict=True)) == changed
    assert {len(one) for one in after} == {32}


FROM_WORKER = "from worker import Move, Notify, example, sample\n"
RULE = "@example({})\ndef f():\n    pass\n"


def is_left_out(given: str, before: str = FROM_WORKER, name: str = "example") -> bool:
    """Tell whether an example of this is left out, after some code."""
    tree = ast.parse(before + RULE.format(given).replace("@example", f"@{name}"))
    return f"Name(id='{name}'" not in normalise(tree).rpartition("FunctionDef")[2]


@each(
    "given",
    [
        "1, gives=None",
        "sample.message(subject='x', to=('a', -1)), gives=Move('Inbox')",
        "sample.unread(sample.message(), 'subject'), gives=(Move('Inbox'), Notify('soc', because='a' * 60))",
        "sample.registry({'a': ('b',)}), gives=None",
    ],
)
def test_an_example_of_literals_and_samples_is_left_out(given: str) -> None:
    assert is_left_out(given)
    assert is_left_out(given, f"{FROM_WORKER}from worker import example as shows\n", "shows")


def test_constants_that_hold_literals_and_samples_are_as_good() -> None:
    now = "sample.now(at=datetime(2026, 1, 1, tzinfo=UTC))"
    made = f"from datetime import UTC, datetime\nspam, ham = sample.message(), {now}\n"
    assert is_left_out("spam, ham, gives=None", FROM_WORKER + made)
    assert not is_left_out("spam, gives=None", FROM_WORKER + made + "spam = 1\n")
    assert not is_left_out("spam, gives=None", FROM_WORKER + "spam = tweak()\n")


@each(
    "given",
    [
        "tweak(), gives=None",
        "lambda m: m.domain == 'rival.example'",
        "state.value, gives=None",
        "sample.message(subject=tweak()), gives=None",
        "sample.message(subject=f'{state}'), gives=None",
        "[one for one in state], gives=None",
        "(state := 1), gives=None",
        "*state, gives=None",
        "1 if state else 2, gives=None",
        "sample.message().subject.tweak(), gives=None",
        "state + 1, gives=None",
        "unknown, gives=None",
    ],
)
def test_an_example_that_runs_code_counts(given: str) -> None:
    assert not is_left_out(given, f"{FROM_WORKER}from ._common import tweak, state\n")


@each(
    "before",
    [
        "from ._common import tweak as example\n",
        "from worker import rule as example\n",
        f"{FROM_WORKER}example = tweak\n",
        f"{FROM_WORKER}from ._common import example\n",
        f"{FROM_WORKER}from ._common import *\n",
        f"{FROM_WORKER}def example(*a, **k): return tweak\n",
        f"{FROM_WORKER}class example: pass\n",
        f"{FROM_WORKER}for example in tweaks: pass\n",
        f"{FROM_WORKER}with tweak() as example: pass\n",
        f"{FROM_WORKER}try: tweak()\nexcept Exception as example: pass\n",
        f"{FROM_WORKER}(example := tweak)\n",
        f"{FROM_WORKER}def g(a=(example := tweak)): pass\n",
        f"{FROM_WORKER}def g():\n    global example\n    example = tweak\ng()\n",
        f"{FROM_WORKER}class C:\n    global example\n    example = tweak\n",
        f"{FROM_WORKER}del example\nexample: object = tweak\n",
        f"{FROM_WORKER}match tweak:\n    case example: pass\n",
        f"{FROM_WORKER}match tweak:\n    case [*example]: pass\n",
        f"{FROM_WORKER}match tweak:\n    case {{**example}}: pass\n",
        f"{FROM_WORKER}import example\n",
        f"{FROM_WORKER}import example.tweak\n",
        f"{FROM_WORKER}import tweak as example\n",
        "try:\n    from worker import example\nexcept ImportError: pass\n",
        "",
    ],
)
def test_a_decorator_that_only_has_the_name_of_an_example_counts(before: str) -> None:
    assert not is_left_out("1, gives=None", before)


def test_inside_a_function_the_name_may_mean_something_else() -> None:
    nested = "def make(example):\n    @example(1)\n    def f(): pass\n    return f\n"
    assert "id='example'" in normalise(ast.parse(FROM_WORKER + nested))


def test_texts_are_taken_out_before_the_code_runs() -> None:
    source = '"""Doc A."""\ndef f():\n    """Doc B.\n\n    More."""\nclass C:\n    """Doc C."""\nif f:\n    "Doc D"\n'
    tree = ast.parse(source)
    assert take_docstrings(tree) == {"f": "Doc B.\n\nMore."}
    assert "Doc" not in normalise(tree)
    given: dict[str, object] = {}
    exec(compile(tree, "x", "exec"), given)  # noqa: S102 (ours)
    assert getattr(given["f"], "__doc__", "") is None


def test_a_rule_that_reads_its_docstring_finds_none(tmp_path: Path) -> None:
    text = FILES["two"].replace("return None", "return Keep() if two.__doc__ else None")
    (rule,) = load(rule_files(tmp_path, two=text)).rules
    assert rule.info.doc == "Say two."
    assert rule.function.__doc__ is None
