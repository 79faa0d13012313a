"""GET analytics/monthly_report: what the account's mail came to in each of the last twelve months."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from worker.sandbox.account.mail import TEN
from worker.sandbox.wire import Call, Json, OutgoingResponse, ok

if TYPE_CHECKING:
    from worker.sandbox.account.account import AccountState
    from worker.sandbox.account.mail import Mail, State

MONTHS = 12
BLOCKED, ALLOWED = b'"blocklisted_message":true', b'"allowlisted_pattern":"'
"""How the fixed part of a message says that an entry of a list decided about it."""


def report_months(account: AccountState, call: Call) -> OutgoingResponse:
    """Answer the report, oldest month first. Its fields are not documented; these are the sandbox's own."""
    seen = [(mail, state) for mail in account.mails if (state := account.read_mail(mail, call.now))]
    by_month: dict[str, list[tuple[Mail, State]]] = {month: [] for month in _list_months(call.now)}
    for mail, state in seen:
        by_month.get(_name_month(mail.scanned), []).append((mail, state))
    return ok([_sum_up(month, mails) for month, mails in by_month.items()])


def _list_months(now: float) -> list[str]:
    """Return the last twelve months, this one included."""
    today = datetime.fromtimestamp(now, UTC)
    last = today.year * MONTHS + today.month - 1
    return [f"{one // MONTHS:04}-{one % MONTHS + 1:02}" for one in range(last - MONTHS + 1, last + 1)]


def _name_month(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m}"


def _sum_up(month: str, mails: list[tuple[Mail, State]]) -> Json:
    """Count the mail of one month: verdicts, what the lists decided, and what was done after delivery."""
    verdicts = Counter(state.disposition for _, state in mails)
    done = Counter(operation for _, state in mails for operation in state.operations or ())
    return {
        "month": month,
        "messages": len(mails),
        "detections": len(mails) - verdicts["NONE"],
        "dispositions": {name: verdicts[name] for name in sorted(TEN)},
        "policies": {
            "blocked": sum(BLOCKED in mail.head for mail, _ in mails),
            "allowed": sum(ALLOWED in mail.head for mail, _ in mails),
        },
        "post_delivery_operations": dict(sorted(done.items())),
    }
