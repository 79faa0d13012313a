"""investigate/bulk: jobs that move or release whatever a search finds, and the outcome for each message."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec.structs import replace

from worker.sandbox.account.account import Effect
from worker.sandbox.account.jobs import OPEN, Attempt, Job, JobProgress, Row
from worker.sandbox.account.mail import TEN, Test
from worker.sandbox.account.timeline import Timeline
from worker.sandbox.endpoints import bulk_jobs, search
from worker.sandbox.endpoints.moves import read_destination
from worker.sandbox.wire import Call, IncomingRequest, Json, OutgoingResponse, Reader, Refused, format_moment, ok

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.sandbox.account.account import AccountState

ACTIONS = frozenset({"MOVE", "RELEASE"})
STATUSES = frozenset({"PENDING", "DISCOVERING", "PROCESSING", "COMPLETED", "FAILED", "CANCELLED"})
ROW_STATUSES = frozenset({"PENDING", "PROCESSING", "COMPLETED", "FAILED", "CANCELLED", "SKIPPED"})
COUNTERS = MappingProxyType({
    "messages_cancelled": frozenset({"CANCELLED"}),
    "messages_failed": frozenset({"FAILED"}),
    "messages_pending": OPEN,
    "messages_skipped": frozenset({"SKIPPED"}),
    "messages_successful": frozenset({"COMPLETED"}),
    "total_messages_discovered": ROW_STATUSES,
})  # fmt: skip
FLAGS = frozenset({"action_log", "detections_only", "submissions"})
MOMENTS = frozenset({"start", "end"})
WORDS = frozenset({"alert_id", "delivery_status", "domain", "exact_subject", "final_disposition", "message_action",
                   "message_id", "metric", "query", "recipient", "sender", "smtp_helo_ip", "subject"})  # fmt: skip


def create(account: AccountState, call: Call) -> OutgoingResponse:
    """Create a job. An empty search means every detection of the last 30 days."""
    job = _read_job(account, call, account.reader.mapping(call.request))
    account.jobs[job.ident] = job
    account.record(Effect(call.now, "bulk.create", _describe(job), call.by, changed=True, detail={"id": job.ident}))
    bulk_jobs.start(account, job)
    return ok(_render_job(job, job.progress.value, call.now), status=201)


def _read_job(account: AccountState, call: Call, body: Json) -> Job:
    """Read a job from a body. Its window is fixed here, so it never finds mail that is scanned later."""
    echo = {name: body.get(name) for name in ("comment", "expected_disposition")}
    if echo["comment"] is not None and not isinstance(echo["comment"], str):
        account.reader.refuse("comment must be a string")
    destination = _read_destination(account, body)
    sought = _read_search(account.reader, body.get("search_params"))
    request = _build_query(call.request, sought)
    return Job(
        ident=str(UUID(int=account.rng.getrandbits(128), version=4)),
        number=account.next_number(),
        call=call,
        destination=destination,
        window=search.read_window(account.reader, replace(call, request=request)),
        tests=_read_tests(account, request),
        echo=echo | {"search_params": sought},
        progress=Timeline(call.now, JobProgress()),
    )


def _read_destination(account: AccountState, body: Json) -> str | None:
    """Return where a job moves to, None where it releases."""
    action = body.get("action")
    if not isinstance(action, str) or action not in ACTIONS:
        account.reader.refuse(f"action must be one of {', '.join(sorted(ACTIONS))}")
    return read_destination(account, body) if action == "MOVE" else None


def _read_search(reader: Reader, sought: object) -> Json:
    """Read a search from a body; unknown parameters are ignored."""
    if not isinstance(sought, dict):
        reader.refuse("search_params must be an object")
    for name, value in sought.items():
        if name in FLAGS and not isinstance(value, bool):
            reader.refuse(f"{name} must be true or false")
        if name in MOMENTS | WORDS and not isinstance(value, str) and not (value is None and name in WORDS):
            reader.refuse(f"{name} must be a string")
    return {name: value for name, value in sought.items() if name in FLAGS | MOMENTS | WORDS}


def _build_query(request: IncomingRequest, sought: Json) -> IncomingRequest:
    """Return the GET of messages that searches for the same; null parameters are left out."""
    asked = {name: value for name, value in sought.items() if value is not None}
    pairs = ((name, str(value).lower() if name in FLAGS else str(value)) for name, value in asked.items())
    return IncomingRequest("GET", request.path, tuple(pairs))


def _read_tests(account: AccountState, request: IncomingRequest) -> list[Test]:
    """Return the filters of a job, which has two that the list of messages no longer has."""
    return [*search.read_filters(account.reader, request, account, TEN), *search.read_older_filters(request)]


def list_jobs(account: AccountState, call: Call) -> OutgoingResponse:
    """Answer a page of the jobs, newest first."""
    reader, request = account.reader, call.request
    action, status = reader.one_of(request, "action_type", ACTIONS), reader.one_of(request, "status", STATUSES)
    rows = (
        (job.number, job.ident, _render_job(job, progress, account.horizon(call.now, job.ident)))
        for job in reversed(account.jobs.values())
        if (progress := job.progress.read(account.horizon(call.now, job.ident))) is not None
        and action in {None, _action_of(job)}
        and status in {None, progress.status}
    )
    place = search.read_cursor(account, call)
    return _answer_page(account, call, (row for row in rows if place is None or row[0] < place[0]))


def get(account: AccountState, call: Call) -> OutgoingResponse:
    """Answer one job."""
    job, progress = _find_job(account, call)
    return ok(_render_job(job, progress, account.horizon(call.now, job.ident)))


def list_messages(account: AccountState, call: Call) -> OutgoingResponse:
    """Answer a page of what a job found: a row per message and recipient, in the order they were found."""
    job, _ = _find_job(account, call)
    horizon = account.horizon(call.now, job.ident)
    status = account.reader.one_of(call.request, "status", ROW_STATUSES)
    place = search.read_cursor(account, call)
    first = 0 if place is None else place[0] + 1
    rows = (
        (number, job.ident, _render_row(account, call, job, row, attempt))
        for number, row in enumerate(job.rows[first:], first)
        if (attempt := row.read(horizon)) is not None and status in {None, attempt.status}
    )
    return _answer_page(account, call, rows)


def cancel(account: AccountState, call: Call) -> OutgoingResponse:
    """End a job that runs. What it did stays done, and its record stays."""
    job = _find_to_change(account, call, "bulk.cancel", running=True)
    job.end(call.now, "CANCELLED")
    return ok(_render_job(job, job.progress.value, call.now))


def delete(account: AccountState, call: Call) -> OutgoingResponse:
    """Delete the record of a job that has ended."""
    job = _find_to_change(account, call, "bulk.delete", running=False)
    job.progress.become(call.now, None)
    return ok({"id": job.ident})


def _find_job(account: AccountState, call: Call) -> tuple[Job, JobProgress]:
    job = account.jobs.get(call.ids[0])
    progress = job.progress.read(account.horizon(call.now, job.ident)) if job is not None else None
    if job is None or progress is None:
        raise Refused(404, 10005, f"no job {call.ids[0]}")
    return job, progress


def _find_to_change(account: AccountState, call: Call, operation: str, *, running: bool) -> Job:
    """Return a job if it is running, or is not, as asked; the attempt is on record either way."""
    job = account.jobs.get(call.ids[0])
    if job is None:
        raise Refused(404, 10005, f"no job {call.ids[0]}")
    gone, fits = job.progress.value is None, job.running is running
    account.record(Effect(call.now, operation, job.ident, call.by, changed=fits and not gone))
    if gone:
        raise Refused(404, 10005, f"no job {job.ident}")
    if not fits:
        raise Refused(account.options.job_refusal, 10007, f"the job is {'over' if running else 'still running'}")
    return job


def _answer_page(account: AccountState, call: Call, rows: Iterable[tuple[int, str, object]]) -> OutgoingResponse:
    """Answer with a page of rows; each comes with the number and the id of its cursor."""
    reader, request, pages = account.reader, call.request, account.options.job_pages
    size, number = reader.number(request, "per_page", 20, 1000), reader.number(request, "page", 1, 10**9)
    skipped = 0 if pages == "cursor" or request.get("cursor") else size * (number - 1)
    found = list(islice(rows, skipped, skipped + size + 1))
    shown, more = found[:size], len(found) > size and pages != "numbers"
    following = search.write_cursor(account, call, *shown[-1][:2]) if more else None
    return ok([row for _, _, row in shown], search.make_result_info(len(shown), size, following))


# -- rendering --------------------------------------------------------------------------------------------------------


def _action_of(job: Job) -> str:
    return "RELEASE" if job.destination is None else "MOVE"


def _describe(job: Job) -> str:
    """Return a text that is the same for two jobs that do the same."""
    about = [_action_of(job), job.destination, job.echo["search_params"]]
    return msgspec.json.encode(about, order="deterministic").decode()


def _render_params(job: Job, **more: object) -> Json:
    if job.destination is None:
        return {"type": "RELEASE", **more}
    expected = job.echo["expected_disposition"]
    return {"type": "MOVE", "destination": job.destination, "expected_disposition": expected, **more}


def _render_job(job: Job, progress: JobProgress | None, horizon: float) -> Json:
    """Render a job as it was at a moment. Counters are counted from its rows, so that they always add up."""
    now = progress or JobProgress()
    attempts = Counter(attempt.status for row in job.rows if (attempt := row.read(horizon)) is not None)
    return {
        "job_id": job.ident,
        "action_type": _action_of(job),
        "action_params": _render_params(job),
        "search_params": job.echo["search_params"],
        "comment": job.echo["comment"],
        "status": now.status,
        "status_message": now.message,
        "created_at": format_moment(job.call.now),
        "started_at": _format_if_any(now.started),
        "completed_at": _format_if_any(now.ended),
        **{name: sum(attempts[status] for status in statuses) for name, statuses in COUNTERS.items()},
    }


def _render_row(account: AccountState, call: Call, job: Job, row: Row, attempt: Attempt) -> Json:
    """Render a row, with its message as a read would show it now."""
    mail, state = row.mail, account.read_mail(row.mail, call.now)
    whole = mail.encode(state or mail.now, deprecated=account.options.deprecated)
    return {
        "message_id": mail.id,
        "postfix_id": mail.postfix,
        "alert_id": mail.id.rpartition("-")[0],
        "email_message_id": mail.read_fixed().message_id,
        "action_type": _action_of(job),
        "action_params": _render_params(job, client_recipient=row.recipient),
        "status": attempt.status,
        "status_message": attempt.message,
        "retry_count": attempt.tries,
        "retry_after": _format_if_any(attempt.retry_after),
        "created_at": format_moment(row.past[0][0] if row.past else row.since),
        "processed_at": _format_if_any(attempt.processed),
        "message": msgspec.Raw(whole),
    }


def _format_if_any(at: float | None) -> str | None:
    return None if at is None else format_moment(at)
