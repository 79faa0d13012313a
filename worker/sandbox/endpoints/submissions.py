"""GET and POST submissions: messages that the security team and the users sent in."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from worker.sandbox.account import reviews
from worker.sandbox.account.mail import DAY, SIX
from worker.sandbox.endpoints.phishguard import read_time
from worker.sandbox.wire import Call, IncomingRequest, Json, OutgoingResponse, Reader, Refused, ok, ok_page

if TYPE_CHECKING:
    from worker.sandbox.account.account import AccountState

ORDERS = frozenset(
    {"submission_id", "subject", "original_disposition", "requested_disposition", "outcome_disposition", "requested_at"}
)
VERDICTS = ("original_disposition", "requested_disposition", "outcome_disposition")
# The types of request, and the disposition that each asks for when it names none.
USUALLY_WANTED = MappingProxyType({"reclassification": "NONE", "missed_detection": "MALICIOUS"})
MOST_AT_ONCE = 1000
SEARCHED = ("subject", "requested_by")


def list_submissions(account: AccountState, call: Call) -> OutgoingResponse:
    """Answer a page of the submissions requested in the window, by default newest first."""
    reader, request = account.reader, call.request
    start = reader.time(request, "start", call.now - 30 * DAY)
    end = reader.time(request, "end", call.now)
    if start > end:
        reader.refuse("start must not be later than end")
    size, number = reader.number(request, "per_page", 20, 1000), reader.number(request, "page", 1, 10**9)
    everything = account.read_all(account.submissions, call.now)
    wanted = _read_filters(reader, request, older=account.options.seeds)
    rows = [row for row in everything if start <= read_time(row, "requested_at") <= end]
    rows = [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]
    rows = _filter_escalated(reader, request, rows, everything)
    if text := request.get("query"):
        rows = [row for row in rows if any(text.lower() in str(row.get(name) or "").lower() for name in SEARCHED)]
    rows = [row | account.keep_deprecated(requested_ts=row["requested_at"]) for row in _sort(reader, request, rows)]
    return ok_page(rows, number, size)


def _read_filters(reader: Reader, request: IncomingRequest, *, older: bool) -> Json:
    """Read the values that rows must have. The filter takes TEAM and USER, where rows have Team and User."""
    kind = reader.one_of(request, "type", frozenset({"TEAM", "USER"}))
    wanted: Json = {"type": kind.title()} if kind else {}
    wanted |= {name: value for name in VERDICTS if (value := reader.one_of(request, name, SIX))}
    if status := request.get("status") or (older and request.get("customer_status")):
        wanted["customer_status"] = status
    if ident := request.get("submission_id"):
        wanted["submission_id"] = ident
    return wanted


def _filter_escalated(reader: Reader, request: IncomingRequest, rows: list[Json], everything: list[Json]) -> list[Json]:
    """Keep the rows that were escalated from a user's submission, or those that were not, as the request asks."""
    flag = reader.flag(request, "escalated_from_user", default=None)
    if flag is None:
        return rows
    escalated = {row.get("escalated_submission_id") for row in everything}
    return [row for row in rows if (row["submission_id"] in escalated) is flag]


def _sort(reader: Reader, request: IncomingRequest, rows: list[Json]) -> list[Json]:
    order = reader.one_of(request, "order", ORDERS) or "requested_at"
    downwards = reader.one_of(request, "direction", frozenset({"asc", "desc"})) != "asc"
    return sorted(rows, key=lambda row: str(row.get(order) or ""), reverse=downwards)


def create(account: AccountState, call: Call) -> OutgoingResponse:
    """Accept up to 1,000 requests for another verdict, all or none; each becomes a TEAM submission."""
    body = account.reader.mapping(call.request)
    kind, items = body.get("type"), body.get("messages")
    if not isinstance(kind, str) or kind not in USUALLY_WANTED:
        account.reader.refuse(f"type must be one of {', '.join(sorted(USUALLY_WANTED))}")
    if not isinstance(items, list) or not 1 <= len(items) <= MOST_AT_ONCE:
        account.reader.refuse(f"messages must be a list of 1 to {MOST_AT_ONCE} objects")
    for request in [_read_item(account, call, kind, item) for item in items]:  # all are read before one is made
        reviews.request_verdict(account, request)
    return ok({}, status=202)


def _read_item(account: AccountState, call: Call, kind: str, item: object) -> reviews.VerdictRequest:
    """Read one of the messages.

    Its fields are not documented. The sandbox takes the investigate id as ``id``, the wanted disposition as
    ``expected_disposition`` (as in a reclassification) or ``requested_disposition`` (as in the list), and the other
    fields of a reclassification.
    """
    if not isinstance(item, dict) or not isinstance(item.get("id"), str):
        account.reader.refuse("each of messages must be an object with an id")
    mail = account.find_mail(item["id"], call.now)
    if mail is None:
        raise Refused(404, 10002, "message not found")
    wanted = item.get("expected_disposition", item.get("requested_disposition", USUALLY_WANTED[kind]))
    return reviews.read_request(account, mail, call.by, call.now, item | {"expected_disposition": wanted})
