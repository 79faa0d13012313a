"""What tests of the worker's loops stand on: a clock that is moved by hand, and the sandbox without a network."""

import asyncio
from collections.abc import Callable
from urllib.parse import unquote

from worker.api import Budget, Client, Request, Response
from worker.errors import Unreachable, Unsure
from worker.mime.letter import Letter
from worker.mime.octets import restore_bytes
from worker.mime.reader import read_letter
from worker.sandbox import ACCOUNT, World
from worker.sandbox import IncomingRequest as Asked
from worker.sandbox.wire import refuse
from worker.telemetry.writer import Nowhere, Written

BEGIN = 1_790_000_000.0
"""When virtual time begins, in seconds since the epoch."""
TOKEN = "a-token"  # noqa: S105 (the sandbox takes any)
BASE = "/client/v4"


class Memory(Nowhere):
    """An outlet that takes all lines at once, and keeps them."""

    def __init__(self) -> None:
        self._lines = b""

    def offer(self, lines: bytes) -> Written | None:
        """Take lines."""
        self._lines += lines
        return super().offer(lines)

    def getvalue(self) -> bytes:
        """Return all lines."""
        return self._lines


class TestClock:
    """API time and monotonic time as one number; sleeping moves it at once."""

    __test__ = False

    def __init__(self, now: float = BEGIN) -> None:
        self.time = now

    def now(self) -> float:
        """API time."""
        return self.time

    def monotonic(self) -> float:
        """The same."""
        return self.time

    def past(self) -> float:
        """The same."""
        return self.now()

    latest = past

    def remember(self, newest: float) -> None:
        """Nobody doubts this time."""

    is_known, off, doubted = True, 0.0, 0.0

    async def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.advance(max(0.0, seconds))
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Move the clock."""
        self.time += seconds

    def sync(self, date: str, *, sent: float, received: float) -> None:
        """Our time is the sandbox's own; its Date tells nothing new."""


async def open_mail(mail: str, *, is_cut: bool = False) -> Letter:
    """Take a mail apart in this process."""
    return read_letter(restore_bytes(mail)._replace(is_cut=is_cut))


class LoopClock(TestClock):
    """The running loop's time: in a loop that jumps it passes when nobody has anything to do."""

    def now(self) -> float:
        """API time."""
        return BEGIN + asyncio.get_running_loop().time()

    monotonic = now

    async def sleep(self, seconds: float) -> None:
        """Sleep as the loop does."""
        await asyncio.sleep(max(0.0, seconds))


Meddle = Callable[[Request, Response], Response]


def untouched(_: Request, answer: Response) -> Response:
    """Leave an answer as the sandbox gave it."""
    return answer


def garbling(good: bytes, bad: bytes) -> Meddle:
    """Write something else in the place of some bytes, the first time that they stand in an answer."""
    return lambda _, answer: Response(
        status=answer.status, headers=answer.headers, body=answer.body.replace(good, bad, 1), url=answer.url
    )


def refusing(path: str, status: int = 400, code: int = 10001) -> Meddle:
    """Answer with a refusal wherever a path ends so."""
    refusal = refuse(status, code, "it is not valid")
    given = Response(status=status, headers=refusal.headers, body=refusal.body)
    return lambda request, answer: given if request.path.endswith(path) else answer


class WorldTransport:
    """Carries requests to a sandbox in the same process; a cut answer is what it would be on the wire.

    ``meddle`` makes something else of answers.
    """

    def __init__(self, world: World, clock: TestClock, token: str = TOKEN, meddle: Meddle = untouched) -> None:
        self.world, self.clock, self.token, self.meddle = world, clock, token, meddle

    async def send(self, request: Request) -> Response:
        """Ask the sandbox."""
        await asyncio.sleep(0)
        answer = self.world.handle(
            Asked(
                request.method,
                BASE + unquote(request.path),
                request.query,
                {"authorization": f"Bearer {self.token}"},
                request.body or b"",
            )
        )
        if answer.cut == "before":
            raise Unreachable("the connection was reset before anything was sent")
        if answer.delay:
            await self.clock.sleep(answer.delay)
        await asyncio.sleep(0)
        if answer.cut:
            raise Unsure("the connection was reset before the answer was whole")
        return self.meddle(request, Response(status=answer.status, headers=answer.headers, body=answer.body))


def client_of(
    world: World, clock: TestClock, *, token: str = TOKEN, quota: int = 1200, meddle: Meddle = untouched
) -> tuple[Client, Budget]:
    """Return a client of a sandbox, and its budget."""
    budget = Budget(clock, quota=quota)
    return Client(WorldTransport(world, clock, token, meddle), budget, clock, ACCOUNT, jitter=lambda: 0.0), budget
