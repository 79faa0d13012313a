"""Which handler answers which path: the table of contents of the emulated API."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct

from worker.sandbox.endpoints import (
    Handler,
    analytics,
    bulk,
    investigate,
    moves,
    phishguard,
    search,
    settings,
    submissions,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.sandbox.wire import IncomingRequest

BASE = ["", "client", "v4", "accounts"]
ROOM = "email-security"

ROUTES: Mapping[tuple[str, str], Handler] = MappingProxyType({
    ("GET", "analytics/monthly_report"): analytics.report_months,
    ("GET", "investigate"): search.search,
    ("GET", "investigate/results/{id}"): search.get_results,
    ("GET", "investigate/bulk"): bulk.list_jobs,
    ("POST", "investigate/bulk"): bulk.create,
    ("GET", "investigate/bulk/{id}"): bulk.get,
    ("DELETE", "investigate/bulk/{id}"): bulk.delete,
    ("POST", "investigate/bulk/{id}/cancel"): bulk.cancel,
    ("GET", "investigate/bulk/{id}/messages"): bulk.list_messages,
    ("POST", "investigate/move"): moves.move_many,
    ("POST", "investigate/preview"): investigate.preview_other,
    ("POST", "investigate/release"): moves.release,
    ("GET", "investigate/{id}"): investigate.get,
    ("GET", "investigate/{id}/action_log"): investigate.get_action_log,
    ("GET", "investigate/{id}/detections"): investigate.get_detections,
    ("GET", "investigate/{id}/preview"): investigate.get_preview,
    ("GET", "investigate/{id}/raw"): investigate.get_raw,
    ("GET", "investigate/{id}/trace"): investigate.get_trace,
    ("POST", "investigate/{id}/move"): moves.move_one,
    ("POST", "investigate/{id}/reclassify"): investigate.reclassify,
    ("GET", "phishguard/reports"): phishguard.list_reports,
    ("GET", "submissions"): submissions.list_submissions,
    ("POST", "submissions"): submissions.create,
    **{(method, path): handler for method, path, handler in settings.list_routes()},
})  # fmt: skip
_FIXED = frozenset(segment for _, path in ROUTES for segment in path.split("/")) - {"{id}"}


class Route(Struct, frozen=True):
    """The operation a request asks for, e.g. ``POST investigate/{id}/move``; without a handler there is none."""

    operation: str
    account: str
    ids: tuple[str, ...]
    handler: Handler | None


def find_route(request: IncomingRequest) -> Route:
    """Find the operation of a request."""
    parts = request.path.split("/")
    if parts[:4] != BASE or len(parts) <= len(BASE) + 2 or parts[5] != ROOM:
        return Route(f"{request.method} ?", "", (), None)
    segments, account = parts[6:], parts[4]
    for path, ids in _read_path(segments):
        if handler := ROUTES.get((request.method, path)):
            return Route(f"{request.method} {path}", account, ids, handler)
    return Route(f"{request.method} ?", account, (), None)


def _read_path(segments: list[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Return the ways to read a path: literally, and with each segment in turn as the id."""
    readings: list[tuple[str, tuple[str, ...]]] = [("/".join(segments), ())] if "{id}" not in segments else []
    for place, segment in enumerate(segments):
        if segment and segment not in _FIXED:
            readings.append(("/".join([*segments[:place], "{id}", *segments[place + 1 :]]), (segment,)))
    return readings
