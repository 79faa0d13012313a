"""A pytest plugin for rule authors: every example in a rules folder is a test, such as ``executive_lookalike-0``.

``pytest rules`` runs them, and for each file a test that it loads. The setting ``worker_rules`` names other folders.
The rules run in a process of their own, behind walls: a rule that hangs fails its tests, and none reads a secret.
"""

import asyncio
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import pytest

from worker.escaping import escape, is_hidden
from worker.language.rules import RuleInfo
from worker.rulehost.loader import to_error
from worker.rulehost.protocol import Loaded
from worker.rulehost.starting import examine
from worker.rulehost.validation import Problem
from worker.walls import hide

LONGEST = 1000
"""Characters of one difference."""
FOLLOWED = ("conftest.py", "pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "tox.ini", "setup.cfg")
"""Files from which pytest takes code or orders."""
_LOADED = pytest.StashKey[dict[Path, Loaded]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the setting."""
    parser.addini("worker_rules", "folders of rule files whose examples are tests", "args", ["rules"])


def pytest_configure(config: pytest.Config) -> None:
    """Start with no folder loaded, and let no rule read what this process knows."""
    hide()
    config.stash[_LOADED] = {}


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Refuse what pytest itself would run or follow in a folder of rules, in its own process."""
    for folder in _find_folders(early_config):
        for found in sorted(one for name in FOLLOWED for one in folder.rglob(name)):
            raise pytest.UsageError(
                f"{escape(str(found), LONGEST)}: pytest would take it for its own and run it where the secrets of this "
                "build are; take it out of the folder of rules"
            )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Pass over folders within a folder of rules: no rule is in there."""
    return True if collection_path.is_dir() and collection_path.parent in _find_folders(config) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a folder of rules as a plain folder, never as a package, which pytest would import."""
    return pytest.Dir.from_parent(parent, path=path) if path in _find_folders(parent.config) else None


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(
    file_path: Path, parent: pytest.Collector
) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Collect the rule files in the folders of the setting, which nothing else may: others would import them."""
    found = yield
    if file_path.parent not in _find_folders(parent.config):
        return found
    if file_path.suffix != ".py" or file_path.name[0] in "._":
        return []
    if any(map(is_hidden, file_path.name)):
        raise pytest.UsageError(f"rename {escape(str(file_path), LONGEST)}: its name has characters that nobody sees")
    return [RuleFile.from_parent(parent, path=file_path)]


def _find_folders(config: pytest.Config) -> list[Path]:
    return [config.rootpath / name for name in config.getini("worker_rules")]


class RuleFile(pytest.File):
    """A rule file: a test that it loads, and one per example."""

    def collect(self) -> Iterator[pytest.Item]:
        """Return the tests of this file."""
        loaded = self._load()
        wrong = [one for one in loaded.problems if Path(one.file) == self.path]
        yield Loads.from_parent(self, name="loads", problems=wrong)
        for rule, outcomes in zip(loaded.rules, loaded.outcomes, strict=True):
            if Path(rule.file) == self.path:
                for number, outcome in enumerate(outcomes):
                    yield Holds.from_parent(self, name=f"{rule.name}-{number}", rule=rule, outcome=outcome)

    def _load(self) -> Loaded:
        """Load the folder once for all its files, because they may import each other; no rule runs in this process."""
        folder, known = self.path.parent, self.config.stash[_LOADED]
        if folder not in known:
            known[folder] = asyncio.run(examine(folder))
        return known[folder]


class _Item(pytest.Item):
    """A test that fails with one sentence."""

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str:
        """Show the sentence without a traceback."""
        del style
        return str(excinfo.value)


class Loads(_Item):
    """Tests that a file loads."""

    def __init__(self, *, problems: Sequence[Problem], **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self._problems = problems

    def runtest(self) -> None:
        """Fail with every problem of the file."""
        if self._problems:
            raise to_error(self._problems)


class Holds(_Item):
    """Tests that a rule does what one example says."""

    def __init__(self, *, rule: RuleInfo, outcome: str, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self._rule, self._outcome = rule, outcome

    def runtest(self) -> None:
        """Fail with the difference when it did not."""
        if self._outcome:
            raise AssertionError(escape(self._outcome, LONGEST))

    def reportinfo(self) -> tuple[Path, int, str]:
        """Report the place of the rule as that of the test."""
        return self.path, self._rule.line - 1, self.name
