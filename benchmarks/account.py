"""The benchmarks' account: the sandbox in a process of its own, filled by orders on stdin, with a log of its requests.

Each line on stdin is an order, each line on stdout its answer: ``Fill`` puts mail in, ``Tell`` asks for the log.
"""

import asyncio
import sys
import time
from random import Random
from typing import Literal

import msgspec

from worker.sandbox import IncomingRequest, OutgoingResponse, SandboxOptions, World, serve
from worker.sandbox.account import traffic
from worker.sandbox.account.mail import Mail, first_state

MATCHING, OTHER = "outbreak", "spam"
"""Kinds of mail: delivered and judged MALICIOUS, and what no benchmark rule is about."""


class Options(msgspec.Struct, frozen=True):
    """How the account answers. Times in seconds."""

    latency: float = 0.0
    lag: float = 0.0
    quota: tuple[int, float] = (1200, 300.0)
    log: bool = False
    honours_page: bool = False
    """Whether the parameter that the SDK's own paging sends still works; it is documented as ended."""


class Fill(msgspec.Struct, frozen=True, tag="fill"):
    """Put ``count`` messages in, scanned evenly between two moments; times in seconds from now.

    ``visible`` is when all of them can be read at once; without it each can when it is scanned.
    """

    count: int
    every: int
    """Every how manieth one matches."""
    start: float
    end: float
    visible: float | None = None


class Filled(msgspec.Struct, frozen=True):
    """When each matching message became visible, in seconds since the epoch."""

    visible: dict[str, float]


class Tell(msgspec.Struct, frozen=True, tag="tell"):
    """Ask for the log."""


class Seen(msgspec.Struct, frozen=True):
    """One request: what it asked for, how many records it was given, and how many of them for the first time."""

    at: float
    operation: str
    proof: bool
    records: int
    fresh: int


class Ident(msgspec.Struct, frozen=True):
    """A record, as far as it is counted."""

    id: str | int = ""


class Many(msgspec.Struct, frozen=True):
    """A page of records."""

    result: list[Ident] = []


class Account(World):
    """A world that remembers its requests when asked to."""

    def __init__(self, options: Options) -> None:
        """Begin without mail."""
        page: Literal["honoured", "ignored"] = "honoured" if options.honours_page else "ignored"
        super().__init__(now=time.time, quota=options.quota, options=SandboxOptions(lag=options.lag, page=page))
        self._rng = Random("mail")
        self._logs = options.log
        self._known: set[str | int] = set()
        self.log: list[Seen] = []

    def fill(self, order: Fill) -> Filled:
        """Put mail in."""
        now = self.advance()
        visible: dict[str, float] = {}
        for n in range(order.count):
            at = now + order.start + (order.end - order.start) * n / order.count
            shown = at if order.visible is None else now + order.visible
            name = OTHER if n % order.every else MATCHING
            nature = traffic.KINDS[name]
            state = first_state(nature.disposition, quarantined=False)
            mail = self.keep(Mail(traffic.compose(self._rng, int(at), nature), int(at), shown, state))
            if name == MATCHING:
                visible[mail.id] = shown
        return Filled(visible)

    def handle(self, request: IncomingRequest) -> OutgoingResponse:
        """Answer, and remember what was asked and given."""
        at = self.clock()
        answer = super().handle(request)
        if self._logs:
            self.log.append(self._seen(at, request, answer))
        return answer

    def _seen(self, at: float, request: IncomingRequest, answer: OutgoingResponse) -> Seen:
        way = request.path.partition("/email-security/")[2]
        many = request.method == "GET" and way in {"investigate", "phishguard/reports"}
        ids = {one.id for one in msgspec.json.decode(answer.body, type=Many).result} if many else set()
        fresh = len(ids - self._known)
        self._known |= ids
        proof = request.method == "GET" and way.startswith("investigate") and not _reads(request, way)
        return Seen(at, f"{request.method} {way}", proof, len(ids), fresh)


def _reads(request: IncomingRequest, way: str) -> bool:
    """Tell a search for new mail from one for what became of known mail."""
    return way == "investigate" and request.get("message_action") is None and request.get("detections_only") == "true"


async def _serve(options: Options) -> None:
    """Serve until stdin ends."""
    account = Account(options)
    loop = asyncio.get_running_loop()
    async with serve(account, latency=options.latency) as url:
        _say(url)
        while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
            order = msgspec.json.decode(line, type=Fill | Tell)
            _say(account.fill(order) if isinstance(order, Fill) else account.log)


def _say(answer: object) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    asyncio.run(_serve(msgspec.json.decode(sys.argv[1], type=Options)))
