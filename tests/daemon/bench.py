"""What tests of the daemon stand on: a folder, a served account, and the streams of the workers that run there."""

import asyncio
import io
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from tests.rule_files import rule_files
from tests.support import Memory
from worker import daemon
from worker.api import ApiClock
from worker.daemon import App
from worker.sandbox import ACCOUNT, World, serve
from worker.settings import Settings
from worker.telemetry import Metrics, Outlets, open_log

TOKEN = "s3cret-token"  # noqa: S105 (the sandbox takes any)
PATIENCE = 20.0
MOVES = """
@rule(mode=ENFORCE, limit=per_hour(1000))
@example(sample.message(final_disposition="MALICIOUS"), gives=Move("DeletedItems"))
@example(sample.message(), gives=None)
def moves(message: Message) -> Move | None:
    "Move what is malicious."
    return Move("DeletedItems") if message.final_disposition == "MALICIOUS" else None
"""


async def hasten(seconds: float) -> None:
    """Pause between two tries for a moment only."""
    await asyncio.sleep(min(seconds, 0.05))


class MovedClock(ApiClock):
    """The API's time, and as many seconds more as a bench says."""

    def __init__(self, bench: "Bench") -> None:
        super().__init__(sleep=hasten)
        self._bench = bench

    def now(self) -> float:
        """Return that time."""
        return super().now() + self._bench.ahead

    def past(self) -> float:
        """Return that time: both clocks are moved on."""
        return super().past() + self._bench.ahead

    def latest(self) -> float:
        """Return that time."""
        return super().latest() + self._bench.ahead


class Bench:
    """A folder, an account, and the streams of the workers that run there."""

    def __init__(self, folder: Path) -> None:
        """Begin with an empty account and one rule."""
        self.folder = folder
        self.rules = folder / "rules"
        self.rules.mkdir()
        rule_files(self.rules, moves=MOVES)
        self.world = World(now=time.time)
        self.ahead = 0.0
        """Seconds by which the clock of the workers is moved on."""
        self.log, self.records = io.StringIO(), Memory()
        self.environment = {
            "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
            "CLOUDFLARE_API_TOKEN": TOKEN,
            "WORKER_STORE_URL": f"sqlite:///{folder / 'worker.db'}",
            "WORKER_RULES": str(self.rules),
            "CLOUDFLARE_BASE_URL": "http://127.0.0.1:1/client/v4",
            "WORKER_CEILING": "enforce",
            "WORKER_SETTLE": "1s",
            "WORKER_POLL_EVERY": "200ms",
            "WORKER_LISTEN": "127.0.0.1:0",
            "WORKER_REQUEST_TIMEOUT": "1s",
        }

    def told(self) -> list[dict[str, str]]:
        """Return what was logged."""
        return [msgspec.json.decode(line) for line in self.log.getvalue().splitlines()]

    @asynccontextmanager
    async def api(self, latency: float = 0.0) -> AsyncIterator[None]:
        """Serve the account."""
        async with serve(self.world, latency=latency) as url:
            self.environment["CLOUDFLARE_BASE_URL"] = f"{url}/client/v4"
            yield

    @asynccontextmanager
    async def app(self, **more: str) -> AsyncIterator[App]:
        """Open a worker that does nothing yet."""
        settings = Settings.load({**self.environment, **more})
        outlets = Outlets(open_log(self.log, secrets=[TOKEN]), self.records, Metrics())
        async with daemon.open_app(settings, outlets, clock=MovedClock(self), gather_notices=0.0) as app:
            yield app

    @asynccontextmanager
    async def worker(self, **more: str) -> AsyncIterator[App]:
        """Run a worker while the block does."""
        async with self.app(**more) as app, daemon.run_loops(app):
            yield app


async def until(true: Callable[[], bool]) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110 (what is waited for happens in another process, or deep inside)
            await asyncio.sleep(0.02)
