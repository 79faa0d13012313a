"""A pytest plugin for rule authors: every example in a rules folder becomes a test, such as ``executive_lookalike-0``.

``pytest rules`` runs them, and one test per file that it loads. The setting ``worker_rules`` names other folders.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from worker.language.rules import Example, examples
from worker.rulehost.evaluation import Bundle, LoadedRule
from worker.rulehost.loader import build, check_example, read, to_error
from worker.rulehost.validation import Problem

Built = tuple[Bundle, tuple[Problem, ...]]
_BUILT = pytest.StashKey[dict[Path, Built]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the setting."""
    parser.addini("worker_rules", "folders of rule files whose examples are tests", "args", ["rules"])


def pytest_configure(config: pytest.Config) -> None:
    """Begin with no folder loaded."""
    config.stash[_BUILT] = {}


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Take the rule files of the folders named, and leave their neighbours alone."""
    if file_path.suffix != ".py" or file_path.name[0] in "._":
        return None
    if file_path.parent not in [parent.config.rootpath / name for name in parent.config.getini("worker_rules")]:
        return None
    return RuleFile.from_parent(parent, path=file_path)


class RuleFile(pytest.File):
    """A rule file: whether it loads, and its examples."""

    def collect(self) -> Iterator[pytest.Item]:
        """Return the tests of this file."""
        bundle, problems = self._build()
        wrong = [one for one in problems if Path(one.file) == self.path]
        yield Loads.from_parent(self, name="loads", problems=wrong)
        for rule in bundle.rules:
            if Path(rule.info.file) == self.path:
                for number, example in enumerate(examples(rule.function)):
                    yield Holds.from_parent(self, name=f"{rule.info.name}-{number}", rule=rule, example=example)

    def _build(self) -> Built:
        """Load the folder once for all its files; they may lend to each other."""
        folder, known = self.path.parent, self.config.stash[_BUILT]
        if folder not in known:
            known[folder] = build(read(folder))
        return known[folder]


class _Item(pytest.Item):
    """A test whose failure is one sentence."""

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str:
        """Show the sentence and no traceback."""
        del style
        return str(excinfo.value)


class Loads(_Item):
    """The file can be taken."""

    def __init__(self, *, problems: Sequence[Problem], **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self._problems = problems

    def runtest(self) -> None:
        """Fail with every problem of the file."""
        if self._problems:
            raise to_error(self._problems)


class Holds(_Item):
    """A rule does what one example says."""

    def __init__(self, *, rule: LoadedRule, example: Example, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self._rule, self._example = rule, example

    def runtest(self) -> None:
        """Fail when it does not."""
        if problem := check_example(self._rule, self._example):
            raise AssertionError(problem)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Lie where the rule lies."""
        return self.path, self._rule.info.line - 1, self.name
