"""The sandbox on a socket: the official SDK as a client, connections that really break, and what /_sandbox/ shows."""

import asyncio
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest
from cloudflare import AsyncCloudflare

from worker.sandbox import ACCOUNT, Fault, MailFlow, World, serve

pytestmark = pytest.mark.slow
API = f"/client/v4/accounts/{ACCOUNT}/email-security/"
HEADERS = {"Authorization": "Bearer a-token"}


@pytest.fixture
def world() -> World:
    return World(now=time.time, mail_flow=MailFlow(messages=30))


@pytest.fixture
async def url(world: World) -> AsyncIterator[str]:
    async with serve(world) as address:
        yield address


@pytest.fixture
async def http(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(url, headers=HEADERS) as session:
        yield session


@pytest.fixture
async def sdk(url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AsyncCloudflare]:
    # With this variable set the SDK drops the token and sends an e-mail alone.
    monkeypatch.delenv("CLOUDFLARE_EMAIL", raising=False)
    async with AsyncCloudflare(api_token="a-token", base_url=f"{url}/client/v4", max_retries=0) as client:  # noqa: S106 - any token works
        yield client


async def test_the_official_client_lists_and_moves(world: World, sdk: AsyncCloudflare) -> None:
    mail = world.add_message(subject="from afar", client_recipients=["ada@corp.example"])
    page = await sdk.email_security.investigate.list(account_id=ACCOUNT, subject="from afar")
    assert [row.id for row in page.result] == [mail.id]
    one = await sdk.email_security.investigate.get(mail.id, account_id=ACCOUNT)
    assert one.client_recipients == ["ada@corp.example"]
    moved = await sdk.email_security.investigate.move.bulk(account_id=ACCOUNT, destination="JunkEmail", ids=[mail.id])
    assert [item.success for item in moved.result] == [True]
    assert mail.now.folder == "JunkEmail"


async def test_the_official_client_releases_and_blocks(world: World, sdk: AsyncCloudflare) -> None:
    held = world.add_message(quarantined=True)
    released = await sdk.email_security.investigate.release.bulk(account_id=ACCOUNT, ids=[held.id])
    assert released.result[0].delivered == ["ada@corp.example"]
    made = await sdk.email_security.settings.block_senders.create(
        account_id=ACCOUNT, pattern="ada@c0rp.example", pattern_type="EMAIL", is_regex=False
    )
    listed = await sdk.email_security.settings.block_senders.list(account_id=ACCOUNT)
    assert made is not None
    assert [row.id for row in listed.result] == [made.id]


async def test_an_answer_is_lost_after_its_effect(world: World, http: aiohttp.ClientSession) -> None:
    mail = world.add_message()
    world.faults.script([Fault("lost", "POST"), Fault("reset", "POST")])
    for folder in ("JunkEmail", "DeletedItems"):
        with pytest.raises(aiohttp.ClientConnectionError):
            await http.post(f"{API}investigate/move", json={"ids": [mail.id], "destination": folder})
    assert mail.now.folder == "JunkEmail"
    assert world.requests["POST investigate/move"] == {"after": 1, "before": 1}


async def test_half_a_body_arrives(world: World, http: aiohttp.ClientSession) -> None:
    world.faults.script([Fault("cut")])
    async with http.get(f"{API}investigate") as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_an_answer_takes_its_time(world: World) -> None:
    world.faults.script([Fault("slow", seconds=0.1)])
    async with serve(world, latency=0.05) as url, aiohttp.ClientSession(url, headers=HEADERS) as http:
        begun = asyncio.get_running_loop().time()
        async with http.get(f"{API}investigate") as response:
            assert response.status == 200
        # The lower bound alone is certain: a busy machine only makes it later.
        assert asyncio.get_running_loop().time() - begun >= 0.14


async def test_a_client_that_gives_up_has_moved_its_mail_all_the_same(world: World) -> None:
    mail = world.add_message()
    world.faults.script([Fault("lost"), Fault("cut")])
    patience = aiohttp.ClientTimeout(sock_read=0.02)
    async with serve(world, latency=0.05) as url, aiohttp.ClientSession(url, headers=HEADERS, timeout=patience) as http:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await http.post(f"{API}investigate/move", json={"ids": [mail.id], "destination": "JunkEmail"})
    assert mail.now.folder == "JunkEmail"
    assert [effect.changed for effect in world.effects] == [True, False]


async def test_an_id_may_be_url_encoded(world: World, http: aiohttp.ClientSession) -> None:
    mail = world.add_message()
    async with http.get(f"{API}investigate/{mail.id.replace(':', '%3A')}/action_log") as response:
        assert (response.status, (await response.json())["result"]) == (200, [])


async def test_the_oracle_costs_nothing_and_never_fails(world: World, http: aiohttp.ClientSession) -> None:
    world.faults.script([Fault("html", count=10)])
    mail = world.add_message()
    async with http.post("/_sandbox/messages", json={"change": [{"id": mail.id, "folder": "JunkEmail"}]}) as response:
        assert await response.json() == {"added": [], "changed": 1}
    async with http.get("/_sandbox/effects") as response:
        [effect] = await response.json()
    assert (effect["operation"], effect["target"], effect["by"]) == ("move", mail.id, "analyst")
    async with http.get("/_sandbox/effects?since=1") as response:
        assert await response.json() == []
    async with http.get("/_sandbox/requests") as response:
        assert await response.json() == {}


async def test_mail_can_be_added_changed_and_looked_at(world: World, http: aiohttp.ClientSession) -> None:
    stirred = {"add": [{"sender": "x@y.example", "disposition": "SPAM"}], "arrive": {"outbreak": 2}}
    async with http.post("/_sandbox/messages", json=stirred) as response:
        added = (await response.json())["added"]
    changed = {"change": [{"id": added[0], "disposition": "MALICIOUS"}]}
    async with http.post("/_sandbox/messages", json=changed) as response:
        assert response.status == 200
    async with http.get("/_sandbox/messages?limit=1000") as response:
        rows = {row["id"]: row for row in await response.json()}
    assert (rows[added[0]]["disposition"], rows[added[0]]["from"]) == ("MALICIOUS", "x@y.example")
    assert [rows[ident]["kind"] for ident in added[1:]] == ["outbreak", "outbreak"]
    assert len(rows) == len(world.mails)


async def test_faults_and_spending_can_be_set_from_outside(http: aiohttp.ClientSession) -> None:
    async with http.post("/_sandbox/faults", json={"table": "rough", "script": [{"kind": "html"}]}) as response:
        assert await response.json() == {"scripted": 1}
    async with http.get(f"{API}investigate") as response:
        assert response.status == 502
    async with http.post("/_sandbox/faults", json={"table": "none"}) as response:
        assert await response.json() == {"scripted": 0}
    async with http.post("/_sandbox/faults", json={"script": []}) as response:
        assert await response.json() == {"scripted": 0}
    async with http.post("/_sandbox/quota", json={"spend": 1200}) as response:
        assert response.status == 200
    async with http.get(f"{API}investigate") as response:
        assert response.status == 429


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("faults", {"table": "gentle"}, 400),
        ("faults", {"script": [{"kind": "fire"}]}, 400),
        ("messages", {"remove": []}, 400),
        ("messages", {"change": [{"id": "none", "folder": "Inbox"}]}, 400),
        ("messages", {"arrive": {"nonsense": 1}}, 400),
        ("nothing", {}, 404),
    ],
)
async def test_a_wrong_wish_is_told_so(
    http: aiohttp.ClientSession, path: str, body: dict[str, object], status: int
) -> None:
    async with http.post(f"/_sandbox/{path}", json=body) as response:
        assert response.status == status
        assert (await response.json())["error"]
