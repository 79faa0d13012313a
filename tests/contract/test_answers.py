"""Cloudflare's own SDK as the sandbox's client: its models fit each answer exactly, and refusals are its exceptions."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import cloudflare
import pydantic
import pytest
from cloudflare import AsyncCloudflare

from tests.contract.rows import Row
from tests.contract.scene import Scene
from tests.contract.wires import ROWS, ask_with_sdk, sdk_at
from worker.sandbox import ACCOUNT, Fault, serve

pytestmark = pytest.mark.slow
BOTH = [row for row in ROWS.values() if row.sdk]
CREATED = 201
ACCEPTED = {"investigate.reclassify"}
MADE = {"investigate.bulk.create"}
BY_CURSOR = {"investigate.search", "investigate.bulk.list", "investigate.bulk.messages"}
UNPAGED = {"investigate.move", "investigate.move_one", "investigate.release", "settings.domains.delete_all"}
OLD = {"ts", "action_log", "last_modified"}
"""Fields past their end of life that the SDK's models still call required."""


@pytest.fixture(autouse=True)
def without_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK drops the token for this variable."""
    monkeypatch.delenv("CLOUDFLARE_EMAIL", raising=False)


@asynccontextmanager
async def calling(scene: Scene, token: str = "a-token") -> AsyncIterator[AsyncCloudflare]:  # noqa: S107 (any token works)
    async with serve(scene.world) as url, sdk_at(url, token=token) as sdk:
        yield sdk


async def answered(row: Row, scene: Scene) -> tuple[Any, dict[str, Any]]:
    """Return an answer as the SDK reads it, and the envelope it came in."""
    async with calling(scene) as sdk:
        raw = await ask_with_sdk(sdk, row, scene)
        envelope: dict[str, Any] = json.loads(await raw.read())
        assert raw.status_code == expected_status(row)
        return await raw.parse(), envelope


def expected_status(row: Row) -> int:
    if row.call in ACCEPTED:
        return 202
    made = row.call in MADE or (row.call.startswith("settings.") and row.call.endswith(".create"))
    return 201 if made else 200


def flaws(read: Any, envelope: dict[str, Any]) -> set[tuple[str, str]]:  # noqa: ANN401 (a model or a page of them)
    """Return (kind, field) of all that does not fit the models: a missing or unknown field, a value of another type."""
    if not isinstance(read, pydantic.BaseModel):
        return set() if envelope["result"] == {} else {("not empty", "result")}
    items = getattr(read, "result", None)
    pairs = [(read, envelope["result"])] if items is None else list(zip(items, envelope["result"], strict=True))
    assert pairs, "nothing was answered, so nothing was tested"
    return {flaw for model, value in pairs for flaw in _misfits(type(model), value)}


def _misfits(model: type[pydantic.BaseModel], value: object) -> set[tuple[str, str]]:
    try:
        model.model_validate_json(json.dumps(value), strict=True, extra="forbid")
    except pydantic.ValidationError as error:
        return {(one["type"], str(one["loc"][-1])) for one in error.errors()}
    return set()


@pytest.mark.parametrize("row", BOTH, ids=str)
async def test_an_answer_fits_the_model_exactly(row: Row) -> None:
    read, envelope = await answered(row, Scene(deprecated=True, domains_without_ids="all"))
    assert flaws(read, envelope) == set()
    assert (envelope["success"], envelope["errors"], envelope["messages"]) == (True, [], [])


@pytest.mark.parametrize("row", BOTH, ids=str)
async def test_without_old_fields_an_answer_lacks_nothing_else(row: Row) -> None:
    read, envelope = await answered(row, Scene(domains_without_ids="all"))
    assert {(kind, name) for kind, name in flaws(read, envelope) if kind != "missing" or name not in OLD} == set()


@pytest.mark.parametrize("row", BOTH, ids=str)
async def test_a_list_tells_how_to_go_on_and_nothing_else_does(row: Row) -> None:
    _, envelope = await answered(row, Scene(domains_without_ids="all"))
    info, found = envelope.get("result_info"), envelope["result"]
    if not isinstance(found, list) or row.call in UNPAGED:
        assert info is None
    elif row.call in BY_CURSOR:
        size = 7 if row.call == "investigate.search" else 9
        assert info == {
            "count": len(found),
            "page": 0,
            "per_page": size,
            "total_count": 0,
            "next": None,
            "previous": None,
        }
    else:
        assert info == {"count": len(found), "page": 1, "per_page": 9, "total_count": len(found)}


@pytest.mark.parametrize("deprecated", [False, True])
async def test_all_that_a_busy_account_shows_fits_the_models(*, deprecated: bool) -> None:
    scene = busy(deprecated=deprecated)
    expected = {("missing", name) for name in (set() if deprecated else OLD)}
    async with calling(scene) as sdk:
        mail: Any = sdk.email_security.investigate
        many: dict[str, Any] = {"account_id": ACCOUNT, "per_page": 1000}
        jobs = (await mail.bulk.list(**many)).result
        rooms = (mail, sdk.email_security.phishguard.reports, sdk.email_security.submissions)
        asking = [room.with_raw_response.list(**many) for room in rooms]
        asking += [mail.bulk.messages.with_raw_response.list(job.job_id, **many) for job in jobs]
        for one in asking:
            raw = await one
            found = json.loads(await raw.read())
            assert len(found["result"]) > 20
            assert flaws(await raw.parse(), found) <= expected
    assert [(job.action_type, job.status, job.messages_failed > 0) for job in jobs] == [
        ("MOVE", "COMPLETED", True),
        ("RELEASE", "COMPLETED", True),
    ]


def busy(*, deprecated: bool) -> Scene:
    """Let a thousand messages arrive, be judged anew, reported, sent in and moved by others and by a job."""
    often = {"verdicts": 0.2, "analysts": 0.2, "reports": 0.2, "user_submissions": 0.2, "late": 0.1, "move_failed": 0.2}
    scene = Scene(deprecated=deprecated, user_submissions_escalated=0.5, release_failed=0.3, job_handles=1000, **often)
    for _ in range(10):
        scene.world.arrive(100)
        scene.clock.advance(300)
    for action in ({"action": "RELEASE"}, {"action": "MOVE", "destination": "JunkEmail"}):
        scene.ask(
            "POST", "/investigate/bulk", {**action, "search_params": {"recipient": "corp.example"}, "comment": "x"}
        )
    for _ in range(100):
        scene.clock.advance(30)
        scene.world.advance()
    return scene


@pytest.mark.parametrize(
    ("token", "account", "ident", "error"),
    [
        ("wrong-token", ACCOUNT, "any", cloudflare.AuthenticationError),
        ("read-token", ACCOUNT, "any", cloudflare.PermissionDeniedError),
        ("a-token", "another", "any", cloudflare.PermissionDeniedError),
        ("a-token", ACCOUNT, "any", cloudflare.NotFoundError),
    ],
)
async def test_a_refusal_is_an_exception_of_the_sdk(
    token: str, account: str, ident: str, error: type[cloudflare.APIStatusError]
) -> None:
    async with calling(Scene(), token) as sdk:
        with pytest.raises(error) as refusal:
            await sdk.email_security.settings.block_senders.delete(ident, account_id=account)
    assert refusal.value.errors[0].code is not None
    assert refusal.value.errors[0].code >= 1000


async def test_what_does_not_fit_is_a_bad_request_and_a_second_one_a_conflict() -> None:
    scene = Scene()
    blocked: dict[str, Any] = {"account_id": ACCOUNT, "pattern_type": "IP", "is_regex": False}
    async with calling(scene) as sdk:
        blocks, move = sdk.email_security.settings.block_senders, sdk.email_security.investigate.move
        with pytest.raises(cloudflare.BadRequestError, match="reserved"):
            await blocks.create(pattern="10.1.2.3", **blocked)
        with pytest.raises(cloudflare.BadRequestError, match="1 to 1000"):
            await move.bulk(account_id=ACCOUNT, ids=[scene.mail.id] * 1001, destination="JunkEmail")
        await blocks.create(pattern="8.8.8.8", **blocked)
        with pytest.raises(cloudflare.ConflictError, match="exists"):
            await blocks.create(pattern="8.8.8.8", **blocked)
        with pytest.raises(cloudflare.BadRequestError, match="ids to delete"):
            await ask_with_sdk(sdk, ROWS["settings.domains.delete_all"], scene)


async def test_an_option_makes_what_does_not_fit_unprocessable() -> None:
    async with calling(Scene(invalid=422)) as sdk:
        with pytest.raises(cloudflare.UnprocessableEntityError):
            await sdk.email_security.settings.url_ignore_patterns.create(account_id=ACCOUNT, pattern="")


async def test_a_missing_subscription_is_forbidden_and_says_so() -> None:
    async with calling(Scene(entitled=False)) as sdk:
        with pytest.raises(cloudflare.PermissionDeniedError, match="subscription"):
            await sdk.email_security.submissions.list(account_id=ACCOUNT)


async def test_faults_on_the_way_are_exceptions_of_the_sdk() -> None:
    scene = Scene()
    scene.world.faults.script([Fault("html"), Fault("reset"), Fault("paced", seconds=240)])
    async with calling(scene) as sdk:
        mail = sdk.email_security.investigate
        with pytest.raises(cloudflare.InternalServerError) as broken:
            await mail.get(scene.mail.id, account_id=ACCOUNT)
        assert (broken.value.status_code, broken.value.errors) == (502, [])
        with pytest.raises(cloudflare.APIConnectionError):
            await mail.get(scene.mail.id, account_id=ACCOUNT)
        with pytest.raises(cloudflare.RateLimitError, match="1200 requests") as paced:
            await mail.get(scene.mail.id, account_id=ACCOUNT)
        assert paced.value.response.headers["retry-after"] == "240"


async def test_the_sdk_reads_a_search_that_goes_on_as_an_empty_page() -> None:
    scene = Scene()
    scene.world.faults.script([Fault("accepted")])
    async with calling(scene) as sdk:
        raw = await sdk.email_security.investigate.with_raw_response.list(account_id=ACCOUNT)
        assert (raw.status_code, (await raw.parse()).result) == (202, [])
        assert "/investigate/results/" in raw.headers["location"]


async def test_both_forms_of_authentication_are_taken() -> None:
    scene = Scene()
    async with serve(scene.world) as url:
        sdk = AsyncCloudflare(api_key="a-key", api_email="ada@corp.example", base_url=f"{url}/client/v4", max_retries=0)
        found = await sdk.email_security.investigate.get(scene.mail.id, account_id=ACCOUNT)
        await sdk.close()
    assert found.id == scene.mail.id
