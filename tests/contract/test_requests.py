"""What our client sends is what Cloudflare's own SDK sends for the same call."""

import pytest

from tests.contract.rows import Row
from tests.contract.scene import Scene
from tests.contract.wires import OPERATION_OF, ROWS, ask, fits, of_ours, of_theirs, recorded, sent_by_sdk

pytestmark = pytest.mark.slow  # all operations, one by one

BOTH = [row for row in ROWS.values() if row.sdk]


@pytest.mark.parametrize("row", BOTH, ids=str)
async def test_both_send_the_same(row: Row) -> None:
    scene = Scene(domains_without_ids="all")
    theirs = of_theirs(await sent_by_sdk(row, scene))
    client, recorder = recorded(scene)
    await ask(client, row, scene)
    assert of_ours(recorder.sent[-1]) == theirs


@pytest.mark.parametrize("row", ROWS.values(), ids=str)
async def test_a_method_sends_its_operation_and_nothing_else(row: Row) -> None:
    scene = Scene(domains_without_ids="all")
    client, recorder = recorded(scene)
    await ask(client, row, scene)
    *before, last = [of_ours(request) for request in recorder.sent]
    assert fits(last, OPERATION_OF[row.call])
    # A job is counted by a search before it is begun.
    assert [request.path for request in before] == [("", "investigate")] * (row.call == "investigate.bulk.create")


async def test_the_older_body_of_a_release_is_the_bare_list() -> None:
    scene = Scene(release_body="array")
    client, recorder = recorded(scene)
    await ask(client, ROWS["investigate.release"], scene)
    assert [of_ours(request).body for request in recorder.sent] == [{"ids": [scene.held.id]}, [scene.held.id]]


async def test_a_search_goes_on_with_the_cursor_and_not_with_a_page() -> None:
    scene = Scene()
    scene.world.arrive(3, "spam")
    client, recorder = recorded(scene)
    row = ROWS["investigate.search"].ours(scene)
    first = await client.investigate.search(**row.named | {"per_page": 2})
    await client.investigate.search(**row.named | {"per_page": 2, "cursor": first.next})
    names = [name for name, _ in recorder.sent[-1].query]
    assert ("cursor" in names, "page" in names) == (True, False)
