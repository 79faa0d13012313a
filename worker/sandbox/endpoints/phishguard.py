"""GET phishguard/reports: what Cloudflare's analysts report."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from worker.sandbox.account.mail import DAY
from worker.sandbox.wire import Call, Json, OutgoingResponse, Refused, ok_page

if TYPE_CHECKING:
    from worker.sandbox.account.account import AccountState

NOT_SUBSCRIBED = "PhishGuard is not available in your current subscription"


def list_reports(account: AccountState, call: Call) -> OutgoingResponse:
    """Answer a page of the reports created in the window, newest first."""
    subscribed, unsubscribed = account.options.phishguard, account.options.unsubscribed
    if not subscribed and unsubscribed == "403":
        raise Refused(403, 10004, NOT_SUBSCRIBED)
    reader, request = account.reader, call.request
    start = reader.time(request, "start", call.now - 30 * DAY)
    end = reader.time(request, "end", call.now)
    size = reader.number(request, "per_page", 20, 1000)
    timelines = {str(ident): report for ident, report in account.reports.items()} if subscribed else {}
    rows = [row for row in account.read_all(timelines, call.now) if start <= read_time(row, "created_at") <= end]
    rows.sort(key=lambda row: read_time(row, "created_at"), reverse=True)
    rows = [row | account.keep_deprecated(ts=row["created_at"]) for row in rows]
    return ok_page(rows, reader.number(request, "page", 1, 10**9), size)


def read_time(row: Json, name: str) -> float:
    """Read a moment of a row, in epoch seconds."""
    return datetime.fromisoformat(str(row[name])).timestamp()
