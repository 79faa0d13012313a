"""A rig for faults: an account on a real socket, and workers that are real processes, to be killed and told to stop."""

import asyncio
import re
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from aiohttp import ClientError, ClientSession

from tests.rule_files import rule_files
from tests.serving import passed_on
from worker.sandbox import ACCOUNT, IncomingRequest, OutgoingResponse, World, serve

ROOT = Path(__file__).parents[2]
TOKEN = "s3cret-t0ken-never-to-be-seen"  # noqa: S105 (the sandbox takes any)
PATIENCE = 60.0
LISTENS = r'"url":"(http://[\d.:]+)"'
OPEN = ("ready", "claimed", "sent", "unsure")
MOVES = """
@rule(mode=ENFORCE, limit=per_hour(100_000))
@example(sample.message(final_disposition="MALICIOUS"), gives=Move("DeletedItems"))
@example(sample.message(), gives=None)
def moves(message: Message) -> Move | None:
    "Move what is malicious and was delivered."
    fits = message.final_disposition == "MALICIOUS" and not message.is_quarantined
    return Move("DeletedItems") if fits else None
"""
INFORMS = """
@rule(mode=ENFORCE)
@example(sample.message(final_disposition="MALICIOUS"), gives=Notify("soc"))
@example(sample.message(), gives=None)
def informs(message: Message) -> Notify | None:
    "Tell what is malicious."
    return Notify("soc") if message.final_disposition == "MALICIOUS" else None
"""


class Trapped(World):
    """An account whose answers a test may see, and change, when the request is carried out and nothing is sent yet."""

    trap: Callable[[IncomingRequest, OutgoingResponse], OutgoingResponse | None] | None = None

    def handle(self, request: IncomingRequest) -> OutgoingResponse:
        """Carry out, let the trap have its way, and only then answer."""
        answer = super().handle(request)
        return (self.trap and self.trap(request, answer)) or answer

    @property
    def asked(self) -> int:
        """How many requests came."""
        return sum(sum(statuses.values()) for statuses in self.requests.values())

    def was_asked(self, count: int) -> Callable[[], bool]:
        """Return what tells whether so many requests came."""
        return lambda: self.asked >= count

    def statuses(self, *names: str) -> int:
        """How many requests ended so."""
        return sum(statuses[name] for statuses in self.requests.values() for name in names)


class Told(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


class Daemon:
    """A worker as a process of its own; what it says is appended to two files."""

    def __init__(self, process: asyncio.subprocess.Process, out: Path, err: Path) -> None:
        """Remember where in the files its own part begins."""
        self.process, self._out, self._err = process, out, err
        self.killed = False
        self._begins = (out.stat().st_size, err.stat().st_size)

    @property
    def records(self) -> list[dict[str, Any]]:
        """The audit records it has handed on."""
        whole = self._out.read_bytes()[self._begins[0] :].rpartition(b"\n")[0]
        return [msgspec.json.decode(line) for line in whole.splitlines()]

    @property
    def log(self) -> str:
        """What it has logged."""
        return self._err.read_bytes()[self._begins[1] :].decode()

    @property
    def events(self) -> list[dict[str, Any]]:
        """The same, line by line."""
        return [msgspec.json.decode(line) for line in self.log.rpartition("\n")[0].splitlines()]

    async def logged(self, pattern: str) -> str:
        """Wait until a pattern is in the log; return its first group, or all that fitted."""
        await until(lambda: bool(re.search(pattern, self.log)), self._why)
        found = re.search(pattern, self.log)
        assert found
        return found[1] if found.re.groups else found[0]

    async def ready(self) -> dict[str, Any]:
        """Ask whether it is ready; return the answer."""
        async with ClientSession() as web, web.get(await self.logged(LISTENS) + "/readyz") as answer:
            told: dict[str, Any] = await answer.json()
            return told

    async def is_ready(self) -> bool:
        """Tell whether it is ready."""
        try:
            return bool((await self.ready())["ready"])
        except ClientError:
            return False

    def kill(self) -> None:
        """Kill it, unless it has gone already.

        Once only: a second signal would ask for the exit code of the dead, and take it away from whoever waits for it.
        """
        if not self.killed:
            self.killed = True
            with suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to stop."""
        self.process.send_signal(signal.SIGTERM)

    async def ended(self) -> int:
        """Wait for its end; return its exit code."""
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()

    def _why(self) -> str:
        return f"exit code {self.process.returncode}, log: {self.log[-3000:]}"


class Rig:
    """A folder with rules and a ledger, an account, and the environment of the workers there."""

    def __init__(self, folder: Path, world: Trapped | None = None, /, **rules: str) -> None:
        """Begin with the rules given by the stem of their file, or with one that moves."""
        self.folder, self.world = folder, world or Trapped(now=time.time)
        self.rules = folder / "rules"
        self.rules.mkdir()
        rule_files(self.rules, **(rules or {"moves": MOVES}))
        self.ledger = folder / "worker.db"
        self.program: tuple[str, ...] = ("-m", "worker")
        self.environment = {
            **passed_on(),
            "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
            "CLOUDFLARE_API_TOKEN": TOKEN,
            "WORKER_STORE_URL": f"sqlite:///{self.ledger}",
            "WORKER_RULES": str(self.rules),
            "WORKER_CEILING": "enforce",
            "WORKER_SETTLE": "1s",
            "WORKER_POLL_EVERY": "500ms",
            "WORKER_REQUEST_TIMEOUT": "2s",
            "WORKER_LISTEN": "127.0.0.1:0",
        }

    @asynccontextmanager
    async def api(self, *, latency: float = 0.0, port: int = 0) -> AsyncIterator[None]:
        """Serve the account while the block runs."""
        async with serve(self.world, port=port, latency=latency) as url:
            self.environment["CLOUDFLARE_BASE_URL"] = f"{url}/client/v4"
            yield

    async def start(self, *words: str, **more: str) -> Daemon:
        """Start a worker."""
        out, err = self.folder / "stdout", self.folder / "stderr"
        with out.open("ab") as to_out, err.open("ab") as to_err:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, *self.program, *(words or ("run",))),
                env={**self.environment, **more},
                cwd=ROOT,
                stdout=to_out,
                stderr=to_err,
            )
        return Daemon(process, out, err)

    @asynccontextmanager
    async def daemon(self, **more: str) -> AsyncIterator[Daemon]:
        """Run a worker while the block runs, at most."""
        daemon = await self.start(**more)
        try:
            yield daemon
        finally:
            daemon.kill()
            await daemon.ended()

    async def command(self, *words: str, **more: str) -> Told:
        """Run a command to its end."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "worker", *words),
            env={**self.environment, **more},
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate()
        return Told(process.returncode or 0, out.decode(), err.decode())

    async def has_read_all(self) -> bool:
        """Ask whether any gap is open."""
        told = await self.command("gaps")
        return (told.code, told.out.startswith("no gap is open: messages are read up to ")) == (0, True)

    def moved(self, count: int) -> Callable[[], bool]:
        """Return what tells whether so many messages were moved."""
        return lambda: len(set(self.ours())) >= count

    def unsettled(self) -> int:
        """Count what the ledger still has in hand; a request that Cloudflare has taken is not."""
        held = (
            "SELECT (SELECT count(*) FROM held)"
            " + (SELECT count(*) FROM entries WHERE state IN (?, ?, ?, ?) AND review != 'accepted')"
        )
        with closing(sqlite3.connect(f"file:{self.ledger}?mode=ro", uri=True)) as ledger:
            return int(ledger.execute(held, OPEN).fetchone()[0])

    def ours(self, operation: str = "move") -> list[str]:
        """Return the targets of an operation of ours, once for each time."""
        people = {"analyst", "user", "auto", "cloudflare"}
        return [one.target for one in self.world.effects if one.operation == operation and one.by not in people]


async def until(true: Callable[[], bool], why: Callable[[], str] = str, patience: float = PATIENCE) -> None:
    """Wait until something is true, which happens in another process; ``why`` says what is amiss when it never is."""

    async def told() -> bool:
        return true()

    await until_it(told, why, patience)


async def until_it(
    true: Callable[[], Awaitable[bool]], why: Callable[[], str] = str, patience: float = PATIENCE
) -> None:
    """Wait until something is true that has to be asked for."""
    deadline = time.monotonic() + patience
    while not await true():
        assert time.monotonic() < deadline, f"this never came true; {why()}"
        await asyncio.sleep(0.02)
