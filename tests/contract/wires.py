"""Requests of our client and of Cloudflare's SDK, recorded or carried out."""

import json
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from operator import attrgetter
from typing import Any, NamedTuple
from urllib.parse import unquote

import httpx
from cloudflare import AsyncCloudflare

from tests.contract.mail_rows import MAIL_ROWS
from tests.contract.rows import Row
from tests.contract.scene import ROOT, Scene
from tests.contract.settings_rows import SETTINGS_ROWS
from tests.support import TOKEN, WorldTransport
from worker.api import Budget, Client, Request, Response, Transport
from worker.api.operations import OPERATIONS, Operation
from worker.sandbox import ACCOUNT

ROWS = {row.call: row for row in (*MAIL_ROWS, *SETTINGS_ROWS)}
OPERATION_OF = {operation.call: operation for operation in OPERATIONS}
NEVER_COMPARED = {"page", "cursor"}
MOMENTS = {"start", "end"}


class Asked(NamedTuple):
    """A request as far as it must be the same: the segments of its path, its query, its body."""

    method: str
    path: tuple[str, ...]
    query: tuple[tuple[str, object], ...]
    body: object


class Recorder:
    """Writes down what our client sends, and passes it on."""

    def __init__(self, to: Transport) -> None:
        self.to = to
        self.sent: list[Request] = []

    async def send(self, request: Request) -> Response:
        """Write down and pass on."""
        self.sent.append(request)
        return await self.to.send(request)


def recorded(scene: Scene) -> tuple[Client, Recorder]:
    """Return our client, asking the account of a scene, and what writes down its requests."""
    recorder = Recorder(WorldTransport(scene.world, scene.clock))
    return Client(recorder, Budget(scene.clock), scene.clock, ACCOUNT, jitter=lambda: 0.0), recorder


async def ask(client: Client, row: Row, scene: Scene) -> Any:  # noqa: ANN401 (any result)
    """Make the call of a row with our client."""
    said = row.ours(scene)
    return await asked_for(client, row)(*said.args, **said.named)


def asked_for(client: Client, row: Row) -> Callable[..., Awaitable[Any]]:
    """Return the method of our client that a row is about."""
    method: Callable[..., Awaitable[Any]] = attrgetter(row.call)(client)
    return method


async def ask_with_sdk(sdk: AsyncCloudflare, row: Row, scene: Scene) -> Any:  # noqa: ANN401 (the SDK's raw answer)
    """Make the call of a row with the SDK; the answer is unread."""
    owner, _, name = row.sdk.rpartition(".")
    said, room = row.theirs(scene), attrgetter(owner)(sdk.email_security)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # reclassify has no successor that anybody documents
        return await getattr(room.with_raw_response, name)(*said.args, account_id=ACCOUNT, **said.named)


@asynccontextmanager
async def sdk_at(url: str, *, token: str = TOKEN) -> AsyncIterator[AsyncCloudflare]:
    """Open the SDK, which sends once; CLOUDFLARE_EMAIL must not be set, for it would then drop the token."""
    async with AsyncCloudflare(api_token=token, base_url=f"{url}/client/v4", max_retries=0) as sdk:
        yield sdk


async def sent_by_sdk(row: Row, scene: Scene) -> httpx.Request:
    """Return what the SDK sends for a row."""
    sent: list[httpx.Request] = []

    def hear(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={"success": True, "errors": [], "messages": [], "result": None})

    async with httpx.AsyncClient(transport=httpx.MockTransport(hear), trust_env=False) as http:
        sdk = AsyncCloudflare(
            api_token=TOKEN, base_url="http://sandbox.test/client/v4", max_retries=0, http_client=http
        )
        await ask_with_sdk(sdk, row, scene)
    [request] = sent
    return request


def of_ours(request: Request) -> Asked:
    """Read a request of our client."""
    body = json.loads(request.body) if request.body is not None else None
    return asked(request.method, "/client/v4" + request.path, request.query, body)


def of_theirs(request: httpx.Request) -> Asked:
    """Read a request of the SDK."""
    path = request.url.raw_path.decode().partition("?")[0]
    body = json.loads(request.content) if request.content else None
    return asked(request.method, path, request.url.params.multi_items(), body)


def asked(method: str, path: str, query: Iterable[tuple[str, str]], body: object) -> Asked:
    """Compare paths by segment, the query as a bag, and moments by what they mean rather than how they are written."""
    segments = tuple(unquote(part) for part in path.removeprefix(ROOT).split("/"))
    bag = sorted((name, str(_meant(name, value))) for name, value in query if name not in NEVER_COMPARED)
    return Asked(method, segments, tuple(bag), _with_moments(body))


def _meant(name: str, value: object) -> object:
    return datetime.fromisoformat(str(value)) if name in MOMENTS else value


def _with_moments(body: object) -> object:
    if isinstance(body, dict):
        return {name: _with_moments(_meant(name, value)) for name, value in body.items()}
    return [_with_moments(one) for one in body] if isinstance(body, list) else body


def fits(request: Asked, operation: Operation) -> bool:
    """Tell whether a request is one of an operation: its method, and its path with something in each placeholder."""
    wanted = tuple(operation.path.split("/"))
    pairs = zip(request.path, wanted, strict=False)
    same = all(part == name or (name == "{id}" and part) for part, name in pairs)
    return request.method == operation.method and len(request.path) == len(wanted) and same


class Instead:
    """Gives one operation prepared answers; all other requests go to the sandbox."""

    def __init__(self, scene: Scene, row: Row, *answers: Response) -> None:
        self.world = WorldTransport(scene.world, scene.clock)
        self.row, self.answers, self.times = row, list(answers), 0

    async def send(self, request: Request) -> Response:
        """Give the answers one after the other, and the last one again and again."""
        if not fits(of_ours(request), OPERATION_OF[self.row.call]):
            return await self.world.send(request)
        self.times += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
