"""Decode: CPU to make typed messages of a page's bytes, by this client and by the official SDK in one process."""

import asyncio
import gc
import time
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

import httpx
from cloudflare import Cloudflare

from benchmarks.table import Row
from worker.api import ApiClock, Budget, Client, Request, Response, Urgency
from worker.sandbox import ACCOUNT, MailFlow, World
from worker.sandbox import IncomingRequest as Asked

MESSAGES, ROUNDS = 1000, 31
GOAL = 15.0
HEADERS = {"content-type": "application/json"}


class Costs(NamedTuple):
    """CPU seconds for a page, by round: of this client, of the SDK right after it."""

    ours: list[float]
    theirs: list[float]

    @property
    def ratio(self) -> float:
        """How many times as much the SDK takes: the median over rounds, each compared within itself."""
        return median(theirs / ours for ours, theirs in zip(self.ours, self.theirs, strict=True))


class Held:
    """A transport that has the answer already."""

    def __init__(self, body: bytes) -> None:
        self._response = Response(status=200, headers=HEADERS, body=body)

    async def send(self, request: Request) -> Response:  # noqa: ARG002 (whatever is asked)
        """Give it."""
        return self._response


def page() -> bytes:
    """Return one page of a search as the sandbox answers it."""
    world = World(now=time.time, mail_flow=MailFlow(messages=MESSAGES), quota=None)
    query = (("per_page", str(MESSAGES)), ("detections_only", "false"))
    path = f"/client/v4/accounts/{ACCOUNT}/email-security/investigate"
    return world.handle(Asked("GET", path, query, {"authorization": "Bearer any"})).body


def measure(rounds: int = ROUNDS) -> Costs:
    """Let both read the same bytes by turns, from their own question to typed messages."""
    body = page()
    clock = ApiClock()
    client = Client(Held(body), Budget(clock, quota=10**6), clock, ACCOUNT)

    async def ours() -> int:
        found = await client.investigate.search(start=0, end=1, urgency=Urgency.HEAD)
        return len(found.read().entries)

    given = httpx.MockTransport(lambda _: httpx.Response(200, headers=HEADERS, content=body))
    with asyncio.Runner() as runner, httpx.Client(transport=given) as http:
        sdk = Cloudflare(api_token="any", base_url="http://sandbox.example", http_client=http)  # noqa: S106 (nobody asks)

        def theirs() -> int:
            return len(sdk.email_security.investigate.list(account_id=ACCOUNT, per_page=MESSAGES).result)

        def mine() -> int:
            return runner.run(ours())

        turns = [(_spent(mine), _spent(theirs)) for _ in range(rounds + 1)][1:]  # the first one warms up
    return Costs([one for one, _ in turns], [other for _, other in turns])


def _spent(read: Callable[[], int]) -> float:
    gc.collect()  # each clears up after itself alone
    began = time.process_time()
    assert read() == MESSAGES
    return time.process_time() - began


def rows(costs: Costs) -> list[Row]:
    """Write the figures down."""
    ours, theirs = (1e6 * median(seconds) / MESSAGES for seconds in costs)
    size = len(page()) / MESSAGES
    return [
        Row(
            f"CPU to decode a message of {size:,.0f} bytes, in pages of {MESSAGES:,}: this client, SDK",
            f"{ours:.1f} µs, {theirs:.0f} µs = {costs.ratio:.1f} ×",
            f"≥ {GOAL:g} ×",
            costs.ratio >= GOAL,
        )
    ]


if __name__ == "__main__":  # for a process of its own, which nobody traces or measures
    print(measure().ratio)
