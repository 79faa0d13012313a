"""The account for all operations of the contract: some of everything, and a clock that stands still."""

from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import msgspec

from tests.sandbox.bodies import BODIES
from tests.support import BEGIN, TOKEN, TestClock
from worker.sandbox import ACCOUNT, IncomingRequest, SandboxOptions, World
from worker.sandbox.account.domains import outcome

ROOT = f"/client/v4/accounts/{ACCOUNT}/email-security"
HOUR = 3600.0
INTEGRATION = "0d6cfa2e-1111-4222-8333-444455556666"


class Scene:
    """Mail of every sort, a report, a submission, jobs, and three entries in each list."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 (what SandboxOptions takes)
        self.clock = TestClock()
        self.world = World(now=self.clock.now, options=SandboxOptions(**options))
        self.mail, self.moved = self.world.arrive(2, "outbreak")
        [self.held] = self.world.arrive(1, "phish_held")
        [self.clean] = self.world.arrive(1, "clean")
        self.world.move_by_hand(self.moved.id, "JunkEmail")
        self.report = self.world.add_report(self.mail)
        self.submission = self.world.submit_by_user(self.mail)
        self.entries = {name: [self._added(name, about) for about in ("one", "two", "three")] for name in BODIES}
        self.unverified = self._added("domains", "waiting", status="PENDING", integration_id=None)
        self.clock.advance(60)

    def _added(self, name: str, about: str, **more: object) -> str:
        self.clock.advance(1)
        fields: dict[str, Any] = {**BODIES[name](about)}
        if name == "domains":
            fields |= outcome(f"{about}.example", self.clock.now()) | {"integration_id": INTEGRATION}
        return self.world.add_entry(name, **fields | more)

    @property
    def start(self) -> float:
        """An hour before anything happened, in seconds since the epoch."""
        return BEGIN - HOUR

    @property
    def end(self) -> float:
        """Now, to the millisecond that can be written."""
        return self.clock.now()

    @cached_property
    def running(self) -> str:
        """A job that was just begun."""
        return self._job()

    @cached_property
    def ended(self) -> str:
        """A job that has moved the message it found."""
        ident = self._job()
        for _ in range(10):
            self.clock.advance(10)
            self.world.advance()
        return ident

    def _job(self) -> str:
        sought = {"subject": str(self.mail.read_fixed().subject), "start": iso(self.start), "end": iso(self.end)}
        body = {"action": "MOVE", "destination": "DeletedItems", "search_params": sought}
        return str(self.ask("POST", "/investigate/bulk", body)["job_id"])

    def ask(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 (any result)
        """Ask the account without any client, and return the result."""
        headers = {"authorization": f"Bearer {TOKEN}"}
        answer = self.world.handle(IncomingRequest(method, ROOT + path, (), headers, msgspec.json.encode(body)))
        return msgspec.json.decode(answer.body)["result"]

    def now(self, name: str, ident: str) -> dict[str, Any] | None:
        """Return an entry of a list as the sandbox has it; None when it was deleted."""
        return self.world.lists[name][ident].value


def utc(at: float) -> datetime:
    """Return a moment as the SDK takes it."""
    return datetime.fromtimestamp(at, UTC)


def iso(at: float) -> str:
    """Write a moment."""
    return utc(at).isoformat()
