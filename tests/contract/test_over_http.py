"""Our client on a real socket: each operation works there too, and no error gives the credential away."""

import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.contract.rows import Row
from tests.contract.scene import Scene
from tests.contract.wires import OPERATION_OF, ROWS, ask
from worker.api import Budget, Client, Credential, HttpTransport
from worker.errors import NotFound, Unauthorised
from worker.sandbox import ACCOUNT, serve

pytestmark = pytest.mark.slow
STRANGE = ("a:b", "a/b", "../block_senders", "../settings/block_senders", "a?b=c", "a#b", "%2e%2e", "é\x00\n")


@asynccontextmanager
async def calling(scene: Scene, token: str = "a-token") -> AsyncIterator[Client]:  # noqa: S107 (any token works)
    async with (
        serve(scene.world) as url,
        HttpTransport(f"{url}/client/v4", Credential.from_text(token)) as transport,
    ):
        yield Client(transport, Budget(scene.clock), scene.clock, ACCOUNT, jitter=lambda: 0.0)


@pytest.mark.parametrize("row", ROWS.values(), ids=str)
async def test_an_operation_works_over_http(row: Row) -> None:
    scene = Scene(domains_without_ids="all")
    async with calling(scene) as client:
        result = await ask(client, row, scene)
    assert row.holds(result, scene), result


async def test_a_wrong_credential_is_told_by_every_operation_and_shown_by_none() -> None:
    scene, token = Scene(), "wrong-s3cret-token"
    async with calling(scene, token) as client:
        for row in ROWS.values():
            with pytest.raises(Unauthorised, match="answered 401: Authentication error") as error:
                await ask(client, row, scene)
            assert "s3cret" not in spelled(error.value)
            assert "s3cret" not in repr(vars(client))


async def test_a_credential_that_may_only_read_is_told_what_it_lacks() -> None:
    scene = Scene()
    async with calling(scene, "read-s3cret-token") as client:
        for row in ROWS.values():
            if OPERATION_OF[row.call].method == "GET":
                await ask(client, row, scene)
                continue
            with pytest.raises(Unauthorised, match='"Cloud Email Security: Write"') as error:
                await ask(client, row, scene)
            assert str(error.value).startswith(OPERATION_OF[row.call].method)
            assert "s3cret" not in spelled(error.value)


async def test_a_strange_id_reaches_nothing_else_over_http() -> None:
    scene = Scene()
    before = scene.world.lists["block_senders"].copy()
    async with calling(scene) as client:
        for ident in STRANGE:
            with pytest.raises(NotFound):
                await client.investigate.get(ident)
            with pytest.raises(NotFound):
                await client.settings.trusted_domains.delete(ident)
    assert scene.world.lists["block_senders"] == before


def spelled(error: BaseException) -> str:
    """Write an error as a crash would show it."""
    return "".join(traceback.format_exception(error)) + repr(error)
