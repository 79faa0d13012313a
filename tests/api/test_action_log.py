"""The action log of a message: read to its end, in order, with whatever an API of this or an earlier year tells."""

from datetime import UTC, datetime

import pytest

from tests.api.desk import Line, answer, client, quickly
from tests.cells import each
from worker.api import Request, Response
from worker.errors import ServerFault
from worker.language.models import ActionLog, LogEntry


def log_of(*entries: object) -> ActionLog:
    return quickly(lambda: client(Line(answer(list(entries)))).investigate.action_log("id"))


def test_an_action_log_is_put_in_order_and_old_names_are_a_fallback() -> None:
    noon = datetime(2026, 9, 21, 12, tzinfo=UTC)
    moved = {"operation": "MOVE", "completed_at": "2026-09-21T12:00:00Z", "completed_timestamp": "nonsense"}
    assert log_of(
        {"operation": "RELEASE", "completed_at": None},
        moved | {"properties": {"folder": "Inbox", "requested_by": "me"}, "status": "OK"},
        {"operation": "PREVIEW", "completed_timestamp": "2026-09-21T11:00:00Z"},
        {"operation": "SOMETHING_NEW", "completed_timestamp": int(noon.timestamp()) - 7200, "properties": None},
    ).entries == (
        LogEntry(operation="SOMETHING_NEW", completed_at=noon.replace(hour=10)),
        LogEntry(operation="PREVIEW", completed_at=noon.replace(hour=11)),
        LogEntry(operation="MOVE", completed_at=noon, folder="Inbox", requested_by="me", status="OK"),
        LogEntry(operation="RELEASE"),
    )


@pytest.mark.parametrize("entry", [{"operation": None}, {}, {"operation": "MOVE", "completed_timestamp": "soon"}])
def test_a_log_with_an_entry_that_cannot_be_read_is_not_half_a_log(entry: object) -> None:
    line = Line(*[answer([{"operation": "MOVE"}, entry])] * 5)
    with pytest.raises(ServerFault):
        quickly(lambda: client(line).investigate.action_log("id"))


def test_what_a_line_tells_of_a_request_for_another_verdict_is_read() -> None:
    asked = {"requested_disposition": "SPAM", "service": "s", "submission_id": "1", "submission_type": "Team"}
    (line,) = log_of(
        {"operation": "RECLASSIFY", "started_at": "2026-09-21T12:00:00Z", "success": False, "properties": asked}
    ).entries
    assert (line.success, line.started_at) == (False, datetime(2026, 9, 21, 12, tzinfo=UTC))
    assert {name: getattr(line, name) for name in asked} == asked


class Log:
    """An API that shows a log of so many lines; ``pages`` says how well it knows pages, ``told`` the total it tells."""

    def __init__(self, length: int, *, pages: str, told: int | None = None, grows: int = 0) -> None:
        self.length, self.pages, self.told, self.grows, self.asked = length, pages, told, grows, 0

    async def send(self, request: Request) -> Response:
        """Answer a page, or everything."""
        query, self.asked = dict(request.query), self.asked + 1
        size = min(int(query["per_page"]), 20 if self.pages == "small" else 1000)
        page = min(int(query["page"]), {"first": 1, "stuck": 2}.get(self.pages, self.asked))
        lines = [{"operation": "MOVE", "status": str(n)} for n in range(self.length)]
        shown = lines if self.pages == "none" else lines[(page - 1) * size : page * size]
        total = self.length if self.pages in {"whole", "small"} else self.told
        self.length += self.grows
        return answer(shown, info=None if total is None else {"per_page": size, "total_count": total})


def read(log: Log) -> list[str]:
    """Read a log with the client."""
    return [line.status for line in quickly(lambda: client(log).investigate.action_log("id")).entries]


@pytest.mark.slow
@each("length", [0, 1, 20, 21, 999, 1000, 1001, 2000, 2500])
@each("pages", ["whole", "small", "bare", "none"])
def test_an_action_log_is_read_to_its_end_with_pages_or_without(length: int, pages: str) -> None:
    log = Log(length, pages=pages)
    assert read(log) == [str(n) for n in range(length)]
    assert log.asked <= (1 + length // 20 if pages == "small" else 1 + length // 1000)


def test_a_log_that_grows_while_an_api_without_pages_shows_it_has_no_line_twice() -> None:
    assert read(Log(1000, pages="none", grows=1)) == [str(n) for n in range(1001)]


@pytest.mark.parametrize(("pages", "found"), [("first", 1000), ("stuck", 2000)])
def test_an_api_that_shows_one_page_of_a_log_for_ever_is_not_asked_for_ever(pages: str, found: int) -> None:
    log = Log(5000, pages=pages)
    assert (len(read(log)), log.asked) == (found, 1 + found // 1000)
    with pytest.raises(ServerFault, match="the same page of the log again"):
        read(Log(5000, pages=pages, told=5000))
