"""The state of a bulk job and of its rows over time; `endpoints/bulk_jobs` carries the job on."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from worker.sandbox.account.mail import PROVIDER, Mail, Test
from worker.sandbox.account.timeline import Timeline
from worker.sandbox.wire import Call, Json

OVER = frozenset({"COMPLETED", "FAILED", "CANCELLED"})
OPEN = frozenset({"PENDING", "PROCESSING"})
SKIPPED = "a submission cannot be acted on"
NOT_DELIVERED = "delivery failed"
BROKE_DOWN = "an internal error ended the job"
PASSING = frozenset({PROVIDER, NOT_DELIVERED})  # causes that may be gone at the next try


class JobProgress(Struct, frozen=True):
    """How far a job is; moments in epoch seconds."""

    status: str = "PENDING"
    started: float | None = None
    ended: float | None = None
    message: str | None = None


class Attempt(Struct, frozen=True):
    """How far one recipient of one message is."""

    status: str = "PENDING"
    tries: int = 0
    processed: float | None = None
    retry_after: float | None = None
    message: str | None = None


class Row(Timeline[Attempt]):
    """One recipient of one message of a job."""

    __slots__ = ("mail", "recipient")

    def __init__(self, since: float, mail: Mail, recipient: str, attempt: Attempt) -> None:
        super().__init__(since, attempt)
        self.mail, self.recipient = mail, recipient


class Job(Struct):  # not frozen: rows come in while it runs
    """A job that ``call`` created, and its search; ``progress`` is None once it was deleted.

    ``destination`` is None where it releases. ``echo`` is what a read repeats of the body. ``waiting`` is a heap of
    (moment from which they may be tried, number, rows of one message).
    """

    ident: str
    number: int
    call: Call
    destination: str | None
    window: tuple[float, float]
    tests: list[Test]
    echo: Json
    progress: Timeline[JobProgress | None]
    rows: list[Row] = []
    waiting: list[tuple[float, int, tuple[Row, ...]]] = []

    @property
    def running(self) -> bool:
        """Whether it has neither ended nor been deleted."""
        return self.progress.value is not None and self.progress.value.status not in OVER

    def advance(self, at: float, **changes: object) -> None:
        """Change its progress."""
        self.progress.become(at, replace(self.progress.value or JobProgress(), **changes))

    def end(self, at: float, status: str, message: str | None = None) -> None:
        """End it, and give up each row that is open or in the middle of an attempt."""
        for row in self.rows:
            if row.value.status in OPEN:
                row.become(at, replace(row.value, status="CANCELLED", processed=at, retry_after=None))
        self.waiting.clear()
        self.advance(at, status=status, ended=at, message=message)
