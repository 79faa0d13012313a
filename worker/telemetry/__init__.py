"""Telemetry: the operations log, the metrics, and the Observer that the loops call."""

import logging
import time
from collections.abc import Collection, Iterable
from itertools import product
from typing import Any, NamedTuple, Protocol, TextIO, cast

import msgspec
import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from structlog.typing import EventDict, FilteringBoundLogger

from worker.escaping import escape
from worker.telemetry.writer import Outlet

Log = FilteringBoundLogger
LONGEST = 2000
"""Characters of one value in a log line."""
SECONDS = (0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 900, 3600)
TROUBLES = ("429", "none")
"""Statuses of requests that each operation has a series for from its first request."""
STARS = "***"
SHORTEST = 6
"""Characters below which a text is not masked: it would be found inside ordinary words."""


class Harmless:
    """A processor that masks secrets and escapes what a terminal would obey."""

    def __init__(self, secrets: Collection[str]) -> None:
        """Take every text that must never be printed, the longest first, since one may contain another."""
        self._secrets = sorted((one for one in secrets if len(one) >= SHORTEST), key=len, reverse=True)

    def __call__(self, _logger: object, _method: str, event: EventDict) -> EventDict:
        """Clean every value of a log line."""
        return {name: self._clean(value) for name, value in event.items()}

    def _clean(self, value: Any) -> Any:  # noqa: ANN401 (whatever is logged)
        if value is None or isinstance(value, bool | int | float):
            return value
        text = str(value)
        for secret in self._secrets:
            text = text.replace(secret, STARS)
        return escape(text, LONGEST)


class LogStream(Protocol):
    """Where the operations log goes: a text stream, or lines that leave from a thread of their own."""

    def isatty(self) -> bool:
        """Tell whether a person reads along."""

    def write(self, text: str, /) -> object:
        """Write a line."""

    def flush(self) -> object:
        """Hand on what was written."""


class LogLines:
    """Log lines on their way out. Nobody waits for them: those that there is no room for are left out, and counted."""

    def __init__(self, out: Outlet, stream: TextIO | None) -> None:
        """``stream`` tells whether ``out`` leads to a terminal."""
        self.out, self.left_out = out, 0
        self._is_terminal = bool(stream and stream.isatty())

    def isatty(self) -> bool:
        """Tell whether a person reads along."""
        return self._is_terminal

    def write(self, text: str, /) -> None:
        """Take a line."""
        if self.out.offer(text.encode("utf-8", "backslashreplace")) is None:
            self.left_out += 1

    def flush(self) -> None:
        """Do nothing: lines leave by themselves."""


def open_log(stream: LogStream, *, level: str = "INFO", secrets: Collection[str] = ()) -> Log:
    """Open the operations log: ``key=value`` on a terminal, a JSON object per line anywhere else."""
    render = (
        structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False)
        if stream.isatty()
        else structlog.processors.JSONRenderer(serializer=_json)
    )
    log: Log = structlog.wrap_logger(
        structlog.WriteLogger(cast("TextIO", stream)),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            Harmless(secrets),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
    )
    return log


def _json(event: EventDict, **_: object) -> str:
    return msgspec.json.encode(event).decode()


class Libraries(logging.Handler):
    """Passes on to the operations log what libraries log through the standard library."""

    def __init__(self, log: Log) -> None:
        """Pass warnings and errors on to ``log``."""
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record, with its traceback if there is one."""
        self._log.log(record.levelno, record.getMessage(), library=record.name, exc_info=record.exc_info or None)


class Outlets(NamedTuple):
    """Where the worker writes: the operations log, the audit stream, and the metrics."""

    log: Log
    records: Outlet
    metrics: "Metrics"
    lines: LogLines | None = None
    """What carries the log, when it can get stuck."""


class Observer(Protocol):
    """Is called by the loops where things happen. Metrics are one observer; traces could be another."""

    def on_call(self, operation: str, status: int, seconds: float) -> None:
        """A request was answered after so many seconds; status 0 means that no answer came."""

    def on_page(self, source: str, records: int, broken: int, new: int) -> None:
        """A page was read and entered, with so many records, some of them unreadable, some not seen so before."""

    def on_rule_failure(self, rule: str) -> None:
        """A rule failed on an event."""

    def on_rule_calls(self, rule: str, calls: int, seconds: float) -> None:
        """A rule was called so often, which took so many seconds."""

    def on_outcome(self, account: str, rule: str, kind: str, outcome: str) -> None:
        """An action that a rule wanted has ended."""

    def on_action(self, account: str, kind: str, seconds: float) -> None:
        """The API took an action of ours, so many seconds after its message became visible."""

    def on_answer(self, seconds: float | None) -> None:
        """The API answered an entry, so many seconds after its message became visible; None when that is unknown."""

    def on_proof(self, seconds: float) -> None:
        """An entry was proved, so many seconds after it was answered."""

    def on_drift(self) -> None:
        """A proved effect is contradicted now."""


class Metrics:
    """Every metric, in a registry of its own. The loops know it as an Observer only."""

    def __init__(self) -> None:
        """Begin at zero, in a registry of its own."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # when a series began says nothing that anybody asks
        self.registry = CollectorRegistry()
        one = self.registry
        self.build = Gauge("worker_build_info", "1, with the version", ["version", "python"], registry=one)
        self.started = Gauge("worker_start_time_seconds", "When this process began, since the epoch", registry=one)
        self.messages_read = Counter("worker_messages_read", "Records read of a source", ["source"], registry=one)
        self.requests = Counter("worker_api_requests", "Requests sent", ["operation", "status"], registry=one)
        self.budget_left = Gauge(
            "worker_api_budget_left_requests", "Requests that may leave now", ["credential"], registry=one
        )
        self.new_records = Counter(
            "worker_new_records", "Records that had not been seen in this state", ["source"], registry=one
        )
        self.broken = Counter("worker_records_broken", "Records nobody could read", ["source"], registry=one)
        self.seconds = Histogram(
            "worker_api_request_seconds", "How long an answer took", ["operation"], buckets=SECONDS, registry=one
        )
        self.entries = Gauge("worker_entries", "Entries of the ledger", ["account", "kind", "state"], registry=one)
        self.reviews = Gauge(
            "worker_reviews", "Requests for another verdict", ["account", "rule", "review"], registry=one
        )
        self.coverage_age = Gauge(
            "worker_coverage_age_seconds", "Age of the end of what is read", ["account", "source"], registry=one
        )
        self.gap = Gauge("worker_gap_seconds", "Time that is not read yet", ["account", "source"], registry=one)
        self.ceiling = Gauge("worker_ceiling", "1 for the most that any rule may do", ["ceiling"], registry=one)
        self.brakes = Gauge("worker_brakes", "Brakes that are on", ["account", "scope"], registry=one)
        self.kept_back = Gauge(
            "worker_kept_back_entries", "Entries that something keeps back", ["account", "by"], registry=one
        )
        self.waiting = Gauge("worker_waiting_entries", "Entries that wait for a person", ["account"], registry=one)
        self.waiting_age = Gauge(
            "worker_waiting_oldest_seconds", "How long the oldest has waited", ["account"], registry=one
        )
        self.actions = Counter(
            "worker_actions", "Actions that have ended", ["account", "rule", "kind", "outcome"], registry=one
        )
        self.rule_calls = Counter("worker_rule_calls", "Calls of a rule that ended", ["rule"], registry=one)
        self.rule_seconds = Counter("worker_rule_seconds", "How long these calls took", ["rule"], registry=one)
        self.acted = Histogram(
            "worker_time_to_action_seconds", "From visible to done by the API", ["account", "kind"],
            buckets=SECONDS, registry=one,
        )  # fmt: skip
        self.head = Gauge("worker_audit_head_number", "Number of the newest audit record", ["account"], registry=one)
        self.head_age = Gauge("worker_audit_head_age_seconds", "Age of that record", ["account"], registry=one)
        self.signed = Gauge(
            "worker_audit_signed_number", "Number of the newest audit record that is signed", ["account"], registry=one
        )
        self.unsigned = Counter("worker_audit_signing_failures", "Heads that could not be signed or sent", registry=one)
        self.rule_failures = Counter("worker_rule_failures", "Events a rule had no say on", ["rule"], registry=one)
        self.failed_at = dict[str, float]()
        """By rule: when it last failed on an event, in monotonic time."""
        self.answered = Histogram(
            "worker_time_to_answered_seconds", "From scanned to answered by the API", buckets=SECONDS, registry=one
        )
        self.proved = Histogram(
            "worker_time_to_proved_seconds", "From answered to proved", buckets=SECONDS, registry=one
        )
        self.generation = Gauge("worker_bundle_generation", "How often rules were taken", registry=one)
        self.refused = Gauge("worker_bundle_refused", "1 while the rule files on disk cannot be taken", registry=one)
        self.walls = Gauge("worker_rules_sandbox_wall", "1 if it stands around the rules", ["wall"], registry=one)
        self.mail_walls = Gauge("worker_mail_sandbox_wall", "1 if it stands around mail", ["wall"], registry=one)
        self.drift = Counter("worker_drift", "Effects that were proved and are contradicted now", registry=one)
        self.overslept = Counter(
            "worker_overslept", "Pauses that the watchdog ended because the scheduler did not", registry=one
        )
        self.untaken = Gauge(
            "worker_untaken_notices", "Notices that a channel does not take", ["account", "channel"], registry=one
        )
        self.held = Gauge("worker_held_events", "Events that rules cannot judge yet", ["account"], registry=one)
        self.held_age = Gauge("worker_held_oldest_seconds", "How long the oldest waits", ["account"], registry=one)
        self.unreadable = Gauge(
            "worker_unreadable_records", "Records that nobody has judged", ["account"], registry=one
        )
        self.half_heard = Gauge(
            "worker_unknown_verdicts",
            "Messages with a verdict that this version does not know",
            ["account"],
            registry=one,
        )
        self.ready = Gauge("worker_ready", "1 while the worker is ready", registry=one)
        self.not_ready = Gauge("worker_not_ready", "1 while this keeps it from being ready", ["reason"], registry=one)
        self.store_bytes = Gauge("worker_store_bytes", "Size of a table of the ledger", ["table"], registry=one)

    def declare_rule(
        self, rule: str, accounts: Iterable[str], kinds: Collection[str], outcomes: Collection[str]
    ) -> None:
        """Begin every series of a rule at zero, given the kinds of its actions and how these may end."""
        for counter in (self.rule_calls, self.rule_seconds, self.rule_failures):
            counter.labels(rule)
        for account, kind in product(accounts, kinds):
            self.acted.labels(account, kind)
            for outcome in outcomes:
                self.actions.labels(account, rule, kind, outcome)

    def on_call(self, operation: str, status: int, seconds: float) -> None:
        """Count a request and time its answer."""
        for rare in TROUBLES:
            self.requests.labels(operation, rare)
        self.requests.labels(operation, str(status or "none")).inc()
        self.seconds.labels(operation).observe(seconds)

    def on_page(self, source: str, records: int, broken: int, new: int) -> None:
        """Count what was read of a source."""
        self.new_records.labels(source).inc(new)
        self.messages_read.labels(source).inc(records)
        self.broken.labels(source).inc(broken)

    def on_rule_failure(self, rule: str) -> None:
        """Count an event on which a rule failed, and note when that was."""
        self.rule_failures.labels(rule).inc()
        self.failed_at[rule] = time.monotonic()

    def on_rule_calls(self, rule: str, calls: int, seconds: float) -> None:
        """Count and time the calls of a rule."""
        self.rule_calls.labels(rule).inc(calls)
        self.rule_seconds.labels(rule).inc(seconds)

    def on_outcome(self, account: str, rule: str, kind: str, outcome: str) -> None:
        """Count an action that has ended."""
        self.actions.labels(account, rule, kind, outcome).inc()

    def on_action(self, account: str, kind: str, seconds: float) -> None:
        """Time an action."""
        self.acted.labels(account, kind).observe(seconds)

    def on_answer(self, seconds: float | None) -> None:
        """Time an answer."""
        if seconds is not None:
            self.answered.observe(seconds)

    def on_proof(self, seconds: float) -> None:
        """Time a proof."""
        self.proved.observe(seconds)

    def on_drift(self) -> None:
        """Count a contradicted proof."""
        self.drift.inc()

    def render(self) -> bytes:
        """Render everything in the text format that Prometheus reads."""
        return generate_latest(self.registry)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name as it is exposed."""
        suffix = {"counter": "_total"}
        return tuple(sorted(one.name + suffix.get(one.type, "") for one in self.registry.collect()))
