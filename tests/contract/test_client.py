"""Each operation, called by our client and answered by the sandbox: the result is the state of the account."""

from typing import Any

import pytest

from tests.cells import each
from tests.contract.rows import Row
from tests.contract.scene import Scene
from tests.contract.wires import ROWS, ask, recorded

KINDS_OF_API: dict[str, dict[str, Any]] = {
    "today": {},
    "today with old fields": {"deprecated": True},
    "seeds": {"era": "seeds"},
}


@each("kind", KINDS_OF_API)
@each("row", ROWS.values())
async def test_an_operation_returns_and_does_what_it_should(row: Row, kind: str) -> None:
    scene = Scene(domains_without_ids="all", **KINDS_OF_API[kind])
    result = await ask(recorded(scene)[0], row, scene)
    assert row.holds(result, scene), result


async def test_a_verified_domain_wants_nothing() -> None:
    scene = Scene()
    client, _ = recorded(scene)
    verified = [domain for domain in (await client.settings.domains.all()).entries if domain.status == "ACTIVE"]
    assert await client.settings.domains.verification(verified[0].id) == {}


async def test_every_domain_is_only_deleted_by_somebody_who_means_it() -> None:
    scene = Scene(domains_without_ids="all")
    client, recorder = recorded(scene)
    with pytest.raises(ValueError, match="DELETE /settings/domains"):
        await client.settings.domains.delete_all()
    assert recorder.sent == []
