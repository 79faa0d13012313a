"""A sandbox to test: a world, a clock to turn, and a short way to ask."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from worker.sandbox import ACCOUNT, Faults, IncomingRequest, MailFlow, OutgoingResponse, SandboxOptions, World

START = 1_790_000_000.0


class Reply(Struct, frozen=True):
    """A response, and what its JSON says."""

    response: OutgoingResponse

    @property
    def status(self) -> int:
        """The status."""
        return self.response.status

    @property
    def body(self) -> dict[str, Any]:
        """The envelope."""
        envelope: dict[str, Any] = msgspec.json.decode(self.response.body)
        return envelope

    @property
    def result(self) -> Any:  # noqa: ANN401 - whatever the operation answers
        """What is in the envelope."""
        return self.body["result"]

    @property
    def ids(self) -> list[Any]:
        """The ids of the rows in it."""
        return [row["id"] for row in self.result]


def told(line: Any) -> tuple[Any, ...]:  # noqa: ANN401 - a line of an action log
    """Return where a line says that something was moved to, by whom, and through which service."""
    return tuple(line["properties"][name] for name in ("folder", "requested_by", "service"))


class Sandbox:
    """A world whose clock stands still until it is turned."""

    def __init__(
        self,
        *,
        seed: int = 1,
        messages: int = 0,
        arrivals: float = 0.0,
        quota: tuple[int, float] | None = (1200, 300.0),
        faults: str = "none",
        options: SandboxOptions | None = None,
    ) -> None:
        self.time = START
        self.world = World(
            seed=seed,
            now=lambda: self.time,
            mail_flow=MailFlow(messages=messages, arrivals=arrivals),
            quota=quota,
            faults=Faults(faults, seed=seed),
            options=options,
        )

    def ask(self, method: str, path: str, body: object = None, **query: object) -> Reply:
        """Ask with a token that may do anything."""
        return self.ask_as({"authorization": "Bearer a-token"}, method, path, body, **query)

    def ask_as(self, headers: dict[str, str], method: str, path: str, body: object = None, **query: object) -> Reply:
        """Ask with other headers."""
        whole = f"/client/v4/accounts/{ACCOUNT}/email-security/{path}"
        pairs = tuple((name, str(value)) for name, value in query.items())
        data = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        return self.send(IncomingRequest(method, whole, pairs, headers, data))

    def send(self, request: IncomingRequest) -> Reply:
        """Send a request as it is."""
        return Reply(self.world.handle(request))
