"""The front door for rule authors: exactly this, sorted, each documented."""

import inspect
from types import ModuleType

import worker
from tests.cells import each
from worker.language.actions import ACTIONS
from worker.language.models import FACTS, TRIGGERS
from worker.language.rules import Mode


def test_the_list_is_sorted_and_is_what_there_is() -> None:
    offered = {
        name for name, one in vars(worker).items() if not name.startswith("_") and not isinstance(one, ModuleType)
    }
    assert offered | {"sample"} == set(worker.__all__)
    constants = [name for name in worker.__all__ if name.isupper()]
    classes = [name for name in worker.__all__ if name[0].isupper() and not name.isupper()]
    functions = [name for name in worker.__all__ if name[0].islower()]
    assert worker.__all__ == [*sorted(constants), *sorted(classes), *sorted(functions)]


def test_every_noun_verb_and_mode_is_offered() -> None:
    assert {*TRIGGERS, *FACTS, *ACTIONS, *Mode.__members__} <= set(worker.__all__)


@each("name", worker.__all__)
def test_everything_offered_is_documented(name: str) -> None:
    assert len(inspect.getdoc(getattr(worker, name)) or "") > 20


@each("name", [name for name in vars(worker.sample) if name[0].islower()])
def test_every_sample_is_documented(name: str) -> None:
    assert inspect.getdoc(getattr(worker.sample, name))
