"""Every answer that Cloudflare has published is read whole by our client."""

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import Raw

from tests.contract.published import ANSWERS, ERAS, Era, Example, examples
from tests.contract.scene import Scene
from tests.contract.wires import ROWS, Instead, ask
from worker.api import Budget, Client, RecordPage
from worker.api.collection import ListPage
from worker.api.search import SearchPage
from worker.language.base import Noun
from worker.language.models import Message, Report
from worker.language.reading import read
from worker.sandbox import ACCOUNT

pytestmark = pytest.mark.slow  # all examples, one by one

KINDS: dict[str, type[Noun]] = {"investigate.get": Message, "phishguard.reports": Report}
"""The records that the client hands on as they come."""
SHOWN: dict[Era, int] = {"seeds": 42, "today": 68}
"""How many operations the examples of an era show an answer of."""


async def answered(example: Example) -> Any:  # noqa: ANN401 (any result)
    """Call our client's method for an operation, which is answered with the example."""
    scene, row = Scene(domains_without_ids="all"), ROWS[example.operation.call]
    line = Instead(scene, row, example.response)
    return await ask(Client(line, Budget(scene.clock), scene.clock, ACCOUNT, jitter=lambda: 0.0), row, scene)


def records(result: Any, call: str) -> Iterator[Noun]:  # noqa: ANN401 (any result)
    """Yield the records in a result, also those that are handed on as they come."""
    if isinstance(result, Raw):
        yield read(KINDS[call], result)
    elif isinstance(result, SearchPage):
        yield from records(result.read(), call)
    elif isinstance(result, ListPage):
        assert result.unread == ()
        yield from result.entries
    elif isinstance(result, RecordPage):
        yield from (read(KINDS[call], record) for record in result.records)
    elif isinstance(result, tuple):
        yield from result
    elif isinstance(result, Noun):
        yield result
    elif hasattr(result, "posts"):
        yield from (*result.patches, *result.puts, *result.posts)


@pytest.mark.parametrize("example", ANSWERS, ids=str)
async def test_an_answer_is_read_whole(example: Example) -> None:
    result = await answered(example)
    found = list(records(result, example.operation.call))
    assert {record.unread for record in found} <= {()}
    assert found or result is None or isinstance(result, str | tuple)


@pytest.mark.parametrize("era", ERAS)
def test_the_examples_show_an_answer_of_every_operation_that_has_one(era: Era) -> None:
    assert len({one.operation.call for one in examples(era) if one.answer}) == SHOWN[era]
