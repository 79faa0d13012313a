"""Faults on the wire: drawn from a table with a seed, or scripted by a test."""

from __future__ import annotations

from collections import deque
from random import Random
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, get_args

from msgspec import Struct
from msgspec.structs import replace

from worker.sandbox.wire import IncomingRequest, OutgoingResponse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FaultKind = Literal["reset", "lost", "html", "html_after", "cut", "garbled", "accepted", "paced", "slow"]
KINDS = frozenset(get_args(FaultKind))
EDGE_PAGE = b"<!DOCTYPE html><html><head><title>502: Bad gateway</title></head><body>Bad gateway</body></html>"

# Shares of all requests. "rough" is a bad day, "hostile" one that nobody has seen yet.
TABLES: Mapping[str, Mapping[FaultKind, float]] = MappingProxyType({
    "none": {},
    "rough": {
        "reset": 0.01, "lost": 0.01, "html": 0.01, "html_after": 0.005, "cut": 0.01, "garbled": 0.005,
        "accepted": 0.02, "paced": 0.002, "slow": 0.02,
    },
    "hostile": {
        "reset": 0.04, "lost": 0.05, "html": 0.04, "html_after": 0.03, "cut": 0.04, "garbled": 0.03,
        "accepted": 0.08, "paced": 0.005, "slow": 0.04,
    },
})  # fmt: skip


class Fault(Struct, frozen=True):
    """One fault, for the next ``count`` requests that fit ``method`` and ``path``.

    "" fits all; a path fits as a prefix of what follows ``email-security/``, e.g. ``investigate/move``.

    reset: the connection breaks, nothing happened · lost: it happened, then the connection breaks · html: a 502 page,
    nothing happened · html_after: the same, it happened · cut: half of the body · garbled: a body that is not JSON ·
    accepted: a search answers 202 for ``seconds`` · paced: 429 on everything for ``seconds`` · slow: ``seconds`` late.
    """

    kind: FaultKind
    method: str = ""
    path: str = ""
    count: int = 1
    seconds: float = 2.0

    def __post_init__(self) -> None:
        """Refuse a kind that does not exist."""
        if self.kind not in KINDS:
            raise ValueError(f"fault kind {self.kind!r} is not one of {', '.join(sorted(KINDS))}")

    def fits(self, request: IncomingRequest) -> bool:
        """Tell whether the fault is meant for this request."""
        tail = request.path.partition("/email-security/")[2]
        return tail.startswith(self.path) and self.method in {"", request.method}


class Faults:
    """Picks the fault of each request: the script comes first, then the table is drawn from with a seed of its own."""

    def __init__(self, table: str | Mapping[FaultKind, float] = "none", *, seed: int = 1) -> None:
        """``table`` is none, rough, hostile, or shares of one's own."""
        self.rng = Random(f"faults {seed}")
        self.written: deque[Fault] = deque()
        self.use(table)

    def use(self, table: str | Mapping[FaultKind, float]) -> None:
        """Change the table."""
        if isinstance(table, str) and table not in TABLES:
            raise ValueError(f"faults {table!r} is not one of {', '.join(TABLES)}")
        self.table = TABLES[table] if isinstance(table, str) else table

    def script(self, faults: Iterable[Fault]) -> None:
        """Add faults that come before the table. Each is used ``count`` times; where several fit, the first is used."""
        self.written.extend(faults)

    def next(self, request: IncomingRequest) -> Fault | None:
        """Return the fault of this request, if it has one."""
        for place, fault in enumerate(self.written):
            if fault.fits(request):
                del self.written[place]
                if fault.count > 1:
                    self.written.insert(place, replace(fault, count=fault.count - 1))
                return fault
        return self._draw(request) if self.table else None

    def _draw(self, request: IncomingRequest) -> Fault | None:
        left = self.rng.random()
        for kind, share in self.table.items():
            left -= share
            if left < 0:
                fault = Fault(kind, seconds=0.5 + 4 * self.rng.random())
                return fault if kind != "accepted" or is_search(request) else None
        return None


def is_search(request: IncomingRequest) -> bool:
    """Tell whether a request is a search: the only operation that may answer 202 with a Location."""
    return request.method == "GET" and request.path.endswith("/email-security/investigate")


def answer_instead(fault: Fault) -> OutgoingResponse | None:
    """Return the response to a request that is not carried out; None for faults that strike later."""
    if fault.kind == "reset":
        return OutgoingResponse(0, {}, b"", cut="before")
    return _make_edge_page() if fault.kind == "html" else None


def _make_edge_page() -> OutgoingResponse:
    return OutgoingResponse(502, {"content-type": "text/html; charset=UTF-8"}, EDGE_PAGE)


def spoil(fault: Fault, response: OutgoingResponse) -> OutgoingResponse:
    """Return a response as it arrives."""
    match fault.kind:
        case "lost":
            return replace(response, cut="after")
        case "html_after":
            return _make_edge_page()
        case "cut":
            return replace(response, cut="body")
        case "garbled":
            return replace(response, body=response.body[: len(response.body) // 2] + b"\x00<!-- ")
        case "slow":
            return replace(response, delay=fault.seconds)
        case _:
            return response
