"""GET phishguard/reports: what Cloudflare's analysts report."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING

from worker.sandbox.account.mail import DAY
from worker.sandbox.wire import Call, Json, OutgoingResponse, Refused, ok, ok_page

if TYPE_CHECKING:
    from worker.sandbox.account.account import AccountState

NOT_SUBSCRIBED = "PhishGuard is not available in your current subscription"


def list_reports(account: AccountState, call: Call) -> OutgoingResponse:
    """Answer a page of the reports created in the window, newest first; in the era of the seeds all of them."""
    subscribed, unsubscribed = account.options.phishguard, account.options.unsubscribed
    if not subscribed and unsubscribed == "403":
        raise Refused(403, 10004, NOT_SUBSCRIBED)
    reader, request = account.reader, call.request
    start, end = _read_window(account, call)
    size = reader.number(request, "per_page", 20, 1000)
    timelines = {str(ident): report for ident, report in account.reports.items()} if subscribed else {}
    rows = [row for row in account.read_all(timelines, call.now) if start <= read_time(row, "created_at") <= end]
    rows.sort(key=lambda row: read_time(row, "created_at"), reverse=True)
    rows = [_add_deprecated(account, row) for row in rows]
    return ok(rows) if account.options.seeds else ok_page(rows, reader.number(request, "page", 1, 10**9), size)


def _read_window(account: AccountState, call: Call) -> tuple[float, float]:
    """Read the window; in the era of the seeds also from days."""
    start, end = call.now - 30 * DAY, call.now
    if account.options.seeds:
        start = _read_day(account, call, "from_date", start)
        end = _read_day(account, call, "to_date", end - DAY) + DAY
    return account.reader.time(call.request, "start", start), account.reader.time(call.request, "end", end)


def _read_day(account: AccountState, call: Call, name: str, default: float) -> float:
    """Read the beginning of a day from the query."""
    text = call.request.get(name)
    try:
        day = date.fromisoformat(text) if text else None
    except ValueError:
        account.reader.refuse(f"{name} must be a date")
    return datetime.combine(day, time(), UTC).timestamp() if day else default


def _add_deprecated(account: AccountState, row: Json) -> Json:
    """Return a report with the fields that are past their end of life, if it has them."""
    fields = row["fields"]
    about = fields | account.keep_deprecated(ts=fields.get("occurred_at")) if isinstance(fields, dict) else fields
    return row | {"fields": about} | account.keep_deprecated(ts=row["created_at"])


def read_time(row: Json, name: str) -> float:
    """Read a moment of a row, in epoch seconds."""
    return datetime.fromisoformat(str(row[name])).timestamp()
