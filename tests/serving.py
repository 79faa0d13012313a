"""A sandbox on a real socket in a thread of its own, for commands that bring their own event loop."""

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from worker.sandbox import ACCOUNT, World, serve

RULES = Path(__file__).parents[1] / "rules"


class Serving:
    """What serves a world."""

    def __init__(self, world: World) -> None:
        """Take the world; nothing is served yet."""
        self.world = world
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._up, self._over = threading.Event(), asyncio.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve while the block runs."""
        thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        thread.start()
        self._up.wait(10)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._over.set)
            thread.join(10)
            self._loop.close()

    async def _serve(self) -> None:
        async with serve(self.world) as self.url:
            self._up.set()
            await self._over.wait()

    def environment(self, folder: Path, **more: str) -> dict[str, str]:
        """Return the settings of a worker for this account."""
        return {
            "CLOUDFLARE_BASE_URL": f"{self.url}/client/v4",
            "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
            "CLOUDFLARE_API_TOKEN": "s3cret-token",
            "WORKER_STORE_URL": f"sqlite:///{folder / 'worker.db'}",
            "WORKER_RULES": str(RULES),
            "WORKER_SETTLE": "1s",
            "WORKER_POLL_EVERY": "500ms",
            "WORKER_NOTIFY_SOC": "log://",
            "WORKER_LISTEN": "127.0.0.1:0",
            **more,
        }


@contextmanager
def sandbox(**world: Any) -> Iterator[Serving]:  # noqa: ANN401 (what World takes)
    """Serve an account with these properties."""
    serving = Serving(World(now=time.time, **world))
    with serving.running():
        yield serving


def passed_on() -> dict[str, str]:
    """Return what a process needs of our environment: where programs are, and how its coverage is measured."""
    return {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("COVERAGE_")}


def find_children(pid: int) -> list[int]:
    """Return the processes that a process has started, in any of its threads."""
    lists = [task.read_text().split() for task in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(child) for children in lists for child in children]
