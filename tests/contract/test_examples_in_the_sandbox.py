"""The sandbox takes each request that Cloudflare has published in its era, and answers in the form that is shown."""

from collections.abc import Iterator

import msgspec
import pytest

from tests.contract.filled import fill_request
from tests.contract.published import ANSWERS, EXAMPLES, Era, Example
from tests.contract.scene import Scene

pytestmark = pytest.mark.slow  # all examples, one by one

KINDS = {str: "text", int: "number", float: "number", bool: "flag"}


def scene_of(era: Era) -> Scene:
    return Scene(era=era, domains_without_ids="all", duplicates="second")


def ask(example: Example) -> tuple[int, object]:
    """Return status and result of an example that is asked of the sandbox of its era."""
    scene = scene_of(example.era)
    answer = scene.world.handle(fill_request(example, scene))
    return answer.status, msgspec.json.decode(answer.body)["result"]


def shape(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path and the kind of each value, whatever their number; nothing is of every kind."""
    if isinstance(value, dict) and value:
        for name, one in value.items():
            yield from shape(one, f"{path}.{name}")
    elif isinstance(value, list) and value:
        for one in value:
            yield from shape(one, path)
    else:
        yield path, KINDS.get(type(value), "")


def find_strange(result: object, shown: object) -> set[tuple[str, str]]:
    """Return what is in a result and not in what is shown; where nothing is shown, anything may be."""
    known = set(shape(shown))
    open_ended = tuple(path for path, kind in known if not kind)
    found = {(path, kind) for path, kind in shape(result) if kind and not path.startswith(open_ended)}
    return found - known


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_a_published_request_is_accepted(example: Example) -> None:
    status, said = ask(example)
    assert status in {200, 201, 202}, said


@pytest.mark.parametrize("example", ANSWERS, ids=str)
def test_an_answer_has_no_field_and_no_kind_of_value_but_those_shown(example: Example) -> None:
    assert example.answer is not None
    assert find_strange(ask(example)[1], example.answer["result"]) == set()
