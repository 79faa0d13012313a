"""GET submissions: what the security team and the users sent in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.sandbox.mail import SIX
from worker.sandbox.phishguard import when
from worker.sandbox.search import DAY
from worker.sandbox.wire import Answer, Call, Json, Reader, Request, page_of

if TYPE_CHECKING:
    from worker.sandbox.account import Account

ORDERS = frozenset(
    {"submission_id", "subject", "original_disposition", "requested_disposition", "outcome_disposition", "requested_at"}
)
VERDICTS = ("original_disposition", "requested_disposition", "outcome_disposition")


def submissions(account: Account, call: Call) -> Answer:
    """Answer a page of the submissions requested in the window, by default newest first."""
    reader, request = account.reader, call.request
    start = reader.time(request, "start", call.now - 30 * DAY)
    end = reader.time(request, "end", call.now)
    size = reader.number(request, "per_page", 20, 1000)
    wanted = _wanted(reader, request)
    rows = [row for row in account.shown(account.submissions, call.now) if start <= when(row, "requested_at") <= end]
    rows = [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]
    if text := request.get("query"):
        rows = [row for row in rows if text.lower() in str(row.get("subject") or "").lower()]
    return page_of(_in_order(reader, request, rows), reader.number(request, "page", 1, 10**9), size)


def _wanted(reader: Reader, request: Request) -> Json:
    """Return what a row must say. The filter knows TEAM and USER, the rows say Team and User."""
    kind = reader.one_of(request, "type", frozenset({"TEAM", "USER"}))
    wanted: Json = {"type": kind.title()} if kind else {}
    wanted |= {name: value for name in VERDICTS if (value := reader.one_of(request, name, SIX))}
    if status := request.get("status"):
        wanted["customer_status"] = status
    if ident := request.get("submission_id"):
        wanted["submission_id"] = ident
    return wanted


def _in_order(reader: Reader, request: Request, rows: list[Json]) -> list[Json]:
    order = reader.one_of(request, "order", ORDERS) or "requested_at"
    downwards = reader.one_of(request, "direction", frozenset({"asc", "desc"})) != "asc"
    return sorted(rows, key=lambda row: str(row.get(order) or ""), reverse=downwards)
