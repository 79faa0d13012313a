"""A bulk job as time passes: it waits, finds its messages, handles them some at a time, and ends."""

from __future__ import annotations

from functools import partial
from heapq import heappop, heappush
from itertools import islice
from typing import TYPE_CHECKING

from msgspec.structs import replace

from worker.sandbox.account.jobs import BROKE_DOWN, NOT_DELIVERED, PASSING, SKIPPED, Attempt, Job, Row
from worker.sandbox.account.mail import DONE, NOT_HELD
from worker.sandbox.endpoints import moves, search

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from worker.sandbox.account.account import AccountState
    from worker.sandbox.account.mail import Mail
    from worker.sandbox.wire import Call


def start(account: AccountState, job: Job) -> None:
    """Start a new job."""
    _schedule_step(account, job, job.call.now, _discover)


def _schedule_step(account: AccountState, job: Job, at: float, act: Callable[[AccountState, Job, float], None]) -> None:
    """Let a job go on one step later, unless it has ended by then."""
    account.schedule(at + account.options.job_step, lambda when: act(account, job, when) if job.running else None)


def _discover(account: AccountState, job: Job, at: float) -> None:
    """Search in the mail that reads see now."""
    job.advance(at, status="DISCOVERING", started=at)
    matches = search.find_matches(account, at, job.window, job.tests, None)
    _schedule_step(account, job, at, partial(_collect, found=iter([mail for mail, _ in matches])))


def _collect(account: AccountState, job: Job, at: float, found: Iterator[Mail]) -> None:
    """Add rows for the next of the messages found; when there are no more, begin to handle them."""
    page = list(islice(found, account.options.job_discovers))
    for mail in page:
        _take_in(account, job, mail, at)
    if page:
        _schedule_step(account, job, at, partial(_collect, found=found))
    elif account.rng.random() < account.options.job_failed:
        job.end(at, "FAILED", BROKE_DOWN)
    else:
        job.advance(at, status="PROCESSING")
        _claim(account, job, at)


def _take_in(account: AccountState, job: Job, mail: Mail, at: float) -> None:
    fixed = mail.read_fixed()
    skipped = fixed.is_phish_submission
    attempt = Attempt("SKIPPED", processed=at, message=SKIPPED) if skipped else Attempt()
    rows = tuple(Row(at, mail, recipient, attempt) for recipient in fixed.client_recipients)
    job.rows += rows
    if rows and not skipped:
        heappush(job.waiting, (at, account.next_number(), rows))


def _claim(account: AccountState, job: Job, at: float) -> None:
    """Claim the next messages. Where all wait for another try, wait too; where none is left, end the job."""
    if not job.waiting:
        job.end(at, "COMPLETED")
        return
    claimed: list[tuple[Row, ...]] = []
    while job.waiting and job.waiting[0][0] <= at and len(claimed) < account.options.job_handles:
        claimed.append(heappop(job.waiting)[2])
    for row in (row for rows in claimed for row in rows):
        row.become(at, replace(row.value, status="PROCESSING", retry_after=None))
    if claimed:
        _schedule_step(account, job, at, partial(_handle, claimed=claimed))
    else:
        _schedule_step(account, job, job.waiting[0][0], _claim)


def _handle(account: AccountState, job: Job, at: float, claimed: list[tuple[Row, ...]]) -> None:
    """Handle each message as a single request would."""
    call = replace(job.call, now=at)
    for rows in claimed:
        statuses = _attempt(account, call, job, rows)
        again = tuple([row for row in rows if _settle(account, row, statuses[row.recipient], at)])
        if again:
            heappush(job.waiting, (at + account.options.job_retry_after, account.next_number(), again))
    _claim(account, job, at)


def _attempt(account: AccountState, call: Call, job: Job, rows: tuple[Row, ...]) -> Mapping[str, str]:
    mail = rows[0].mail
    if job.destination is not None:
        return moves.move(account, call, mail, job.destination, tuple(row.recipient for row in rows))
    lost = NOT_DELIVERED if mail.now.quarantined else NOT_HELD
    moves.release_one(account, call, mail)
    reached = mail.now.released if lost == NOT_DELIVERED else ()
    return {row.recipient: DONE if row.recipient in reached else lost for row in rows}


def _settle(account: AccountState, row: Row, status: str, at: float) -> bool:
    """Record the outcome of an attempt, and tell whether there will be another."""
    tries = row.value.tries
    if status == DONE:
        row.become(at, Attempt("COMPLETED", tries, processed=at))
    elif status in PASSING and tries < account.options.job_retries:
        row.become(at, Attempt("PENDING", tries + 1, retry_after=at + account.options.job_retry_after, message=status))
        return True
    else:
        row.become(at, Attempt("FAILED", tries, processed=at, message=status))
    return False
