"""Invalid requests: each is rejected with a reason, and nothing else happens."""

from collections.abc import Awaitable, Callable

import pytest

from tests.contract.rows import Row
from tests.contract.scene import ROOT, Scene
from tests.contract.settings_rows import KINDS, Kind
from tests.contract.wires import OPERATION_OF, ROWS, asked_for, recorded
from tests.sandbox.bodies import BODIES
from tests.support import TestClock, client_of
from worker.api import Client, Urgency
from worker.api.bodies import NewBlock
from worker.api.bulk import BulkSearch
from worker.errors import NotFound, Rejected
from worker.sandbox import MailFlow, World

pytestmark = pytest.mark.slow  # all operations, one by one

WITH_ID = [row for row in ROWS.values() if "{id}" in OPERATION_OF[row.call].path]
STRANGE = ("a:b", "a/b", "/", "../block_senders", "a?b=c", "a#b", "%2e%2e", "{id}", "a b", "é\x00\n", "x" * 5000)
RESERVED = (
    *("10.0.0.1", "127.0.0.1", "169.254.1.1", "172.16.0.0/12", "192.168.0.0/16", "0.0.0.0", "255.255.255.255"),  # noqa: S104
    *("::", "::1", "fe80::1", "fc00::/7", "::ffff:10.0.0.1", "8.0.0.0/5"),
)
PATTERNED = [kind for kind in KINDS if "pattern" in BODIES[kind.name]("any")]
HOUR = 3600.0


@pytest.mark.parametrize("row", WITH_ID, ids=str)
async def test_an_id_stays_in_its_place_whatever_is_in_it(row: Row) -> None:
    scene = Scene()
    client, recorder = recorded(scene)
    for ident in STRANGE:
        args = (ident, *row.ours(scene).args[1:])
        effects, before = len(scene.world.effects), len(recorder.sent)
        with pytest.raises((NotFound, Rejected), match=OPERATION_OF[row.call].method):
            await asked_for(client, row)(*args, **row.ours(scene).named)
        first = recorder.sent[before]  # what is not found there may be asked for elsewhere
        assert len(first.path.split("/")) == len((ROOT + OPERATION_OF[row.call].path).split("/")) - 2
        assert len(scene.world.effects) == effects


@pytest.mark.parametrize("row", WITH_ID, ids=str)
@pytest.mark.parametrize("ident", ["", ".", ".."])
async def test_an_id_that_would_be_no_segment_is_not_sent(row: Row, ident: str) -> None:
    scene = Scene()
    client, recorder = recorded(scene)
    args = (ident, *row.ours(scene).args[1:])
    with pytest.raises(ValueError, match=OPERATION_OF[row.call].path):
        await asked_for(client, row)(*args, **row.ours(scene).named)
    assert recorder.sent == []


@pytest.mark.parametrize("kind", PATTERNED, ids=lambda kind: kind.name)
@pytest.mark.parametrize("length", [0, 1025])
async def test_a_pattern_that_is_empty_or_too_long_is_refused_everywhere(kind: Kind, length: int) -> None:
    scene = Scene()
    client, _ = recorded(scene)
    listing = getattr(client.settings, kind.name)
    new = kind.new(**BODIES[kind.name]("new") | {"pattern": "x" * length})
    change = type(kind.change)(pattern="x" * length)
    path = f"/settings/{kind.name}"
    with pytest.raises(Rejected, match=f"POST {path}: the API answered 400: pattern"):
        await listing.create(new)
    with pytest.raises(Rejected, match=f"PATCH {path}/{{id}}: the API answered 400: pattern"):
        await listing.edit(scene.entries[kind.name][0], change)
    if kind.batch:
        with pytest.raises(Rejected, match=f"POST {path}/batch: the API answered 400: pattern"):
            await listing.batch(deletes=scene.entries[kind.name], posts=[new])
    assert [effect for effect in scene.world.effects if effect.changed and effect.operation.startswith(kind.name)] == []


async def test_a_pattern_may_have_1024_characters() -> None:
    client, _ = recorded(Scene())
    made = await client.settings.block_senders.create(NewBlock(pattern="x" * 1024, pattern_type="EMAIL", is_regex=True))
    assert len(made.pattern) == 1024


@pytest.mark.parametrize("pattern", RESERVED)
async def test_an_address_that_is_nobodys_own_cannot_be_blocked(pattern: str) -> None:
    scene = Scene()
    client, _ = recorded(scene)
    new = NewBlock(pattern=pattern, pattern_type="IP")
    for call in (client.settings.block_senders.create(new), client.settings.block_senders.batch(posts=[new])):
        with pytest.raises(Rejected, match=r"answered 400: pattern .*reserved"):
            await call
    assert len((await client.settings.block_senders.all()).entries) == 3


MANY = [f"id-{n}" for n in range(1001)]
TOO_MANY: dict[str, Callable[[Client], Awaitable[object]]] = {
    "POST /investigate/move": lambda client: client.investigate.move(MANY, "JunkEmail"),
    "POST /investigate/release": lambda client: client.investigate.release(MANY),
    "POST /settings/block_senders/batch": lambda client: client.settings.block_senders.batch(deletes=MANY),
    "POST /settings/domains/batch": lambda client: client.settings.domains.batch(deletes=MANY),
    "POST /settings/sending_domain_restrictions/batch": lambda client: (
        client.settings.sending_domain_restrictions.delete_many(MANY)
    ),
}


@pytest.mark.parametrize("operation", TOO_MANY)
async def test_1001_at_once_are_not_even_sent(operation: str) -> None:
    client, recorder = recorded(Scene())
    with pytest.raises(ValueError, match=f"{operation}.*1001"):
        await TOO_MANY[operation](client)
    assert recorder.sent == []


async def test_a_thousand_at_once_are_sent() -> None:
    client, recorder = recorded(Scene())
    with pytest.raises(NotFound):
        await client.settings.block_senders.batch(deletes=MANY[1:])
    assert len(await client.investigate.move(MANY[1:], "JunkEmail")) == 1000
    assert len(recorder.sent) == 2


async def test_a_search_whose_cursor_expires_on_the_way_begins_again_and_loses_nothing() -> None:
    clock = TestClock()
    world = World(now=clock.now, mail_flow=MailFlow(messages=2500))
    client, _ = client_of(world, clock)
    start, end = clock.now() - HOUR, clock.now()
    found: list[list[str]] = []
    async for page in client.investigate.walk(start=start, end=end, urgency=Urgency.SWEEP, detections_only=False):
        found.append([one.id for one in page.read().entries])
        clock.advance(2 * HOUR if len(found) == 2 else 1)
    assert [len(ids) for ids in found] == [1000, 1000, 1000, 1000, 500]
    assert found[:2] == found[2:4]
    assert {ident for ids in found for ident in ids} == {mail.id for mail in world.mails}


async def test_the_rows_of_a_job_are_walked_again_too() -> None:
    clock = TestClock()
    world = World(now=clock.now, mail_flow=MailFlow(messages=1500, history=HOUR / 2))
    client, _ = client_of(world, clock)
    search = BulkSearch(start=clock.now() - HOUR, end=clock.now(), recipient="corp.example", detections_only=False)
    job = await client.investigate.bulk.create("MOVE", search, expected=1500, destination="DeletedItems")
    clock.advance(HOUR)
    found: list[list[str]] = []
    async for page in client.investigate.bulk.walk_messages(job.job_id):
        found.append([row.message_id + row.action_params.client_recipient for row in page.entries])
        clock.advance(2 * HOUR if len(found) == 1 else 1)
    total = (await client.investigate.bulk.get(job.job_id)).total_messages_discovered
    assert [len(rows) for rows in found][:2] == [1000, 1000]
    assert len({row for rows in found for row in rows}) == total


async def test_a_cursor_that_is_never_taken_ends_the_walk_with_what_the_api_said() -> None:
    clock = TestClock()
    world = World(now=clock.now, mail_flow=MailFlow(messages=1500))
    client, _ = client_of(world, clock)
    walk = client.investigate.walk(
        start=clock.now() - HOUR, end=clock.now(), urgency=Urgency.SWEEP, detections_only=False
    )
    for _ in range(4):
        await anext(walk)
        clock.advance(2 * HOUR)
    with pytest.raises(Rejected, match="GET /investigate: the API answered 400: cursor has expired"):
        await anext(walk)


async def test_a_saved_cursor_that_is_garbage_begins_again() -> None:
    scene = Scene()
    client, recorder = recorded(scene)
    walk = client.investigate.walk(start=scene.start, end=scene.end, urgency=Urgency.SWEEP, cursor="garbage")
    pages = [page async for page in walk]
    assert [len(page.read().entries) for page in pages] == [3]
    assert ["cursor" in dict(request.query) for request in recorder.sent] == [True, False]
