"""Maintenance: the loops beside reading and acting: orders, rules, audit records, metrics, retention."""

import asyncio
from contextlib import suppress
from functools import partial

from worker.audit.alerts import Alerts
from worker.audit.outcomes import Outcomes
from worker.audit.stream import Follower, Stream
from worker.daemon import figures
from worker.daemon.account import AccountWorker, Loop
from worker.daemon.app import App
from worker.daemon.readiness import KINDS
from worker.daemon.reload import RuleWatch
from worker.daemon.signing import Signing
from worker.intake import coverage
from worker.intake.reader import Intake
from worker.language.rules import OBSERVE
from worker.ledger.db.lock import LedgerFile
from worker.ledger.db.place import place_of

ORDERS_EVERY = READINESS_EVERY = 1.0
RECORDS_EVERY = 2.0
STANDSTILL_EVERY = 5.0
FIGURES_EVERY = 10.0
ENTRIES_EVERY = 60.0
"""Counting reads every entry that is kept, so it runs less often."""
HOURLY = 3600.0
SWEPT_TOO = 7 * 86400.0
"""Seconds beyond the sweep for which sights are kept."""


def list_loops(app: App, records: "Records", signing: Signing) -> list[Loop]:
    """Return the maintenance loops."""
    return [
        Loop("orders", lambda: take_orders(app)),
        Loop("ledger file", partial(check_file, LedgerFile(place_of(app.services.settings.store_url)))),
        Loop("file modes", lambda: look_at_files(app)),
        Loop("standstill", lambda: read_standstill(app)),
        Loop("readiness", lambda: log_readiness(app)),
        Loop("rules", RuleWatch(app).step),
        Loop("records", records.step),
        Loop("alerts", records.follow),
        Loop("audit head", records.log_heads),
        Loop("signing", signing.step),
        Loop("figures", lambda: update_gauges(app)),
        Loop("entries", lambda: count_entries(app)),
        Loop("retention", lambda: apply_retention(app)),
        *records.list_alerts(),
    ]


async def check_file(file: LedgerFile) -> float:
    """End the worker if its ledger is not the file of its name any more."""
    file.check()
    return ORDERS_EVERY


async def look_at_files(app: App) -> float:
    """Look at the modes of the worker's files."""
    app.look_at_files()
    return ENTRIES_EVERY


async def take_orders(app: App) -> float:
    """Carry out what people ordered, and wake the executor for it."""
    services = app.services
    for worker in app.workers:
        may_approve = services.settings.ceiling > OBSERVE
        taken = await services.ledger.take_orders(worker.account, services.clock.now(), may_approve=may_approve)
        for order in taken:
            app.log.info("order taken", verb=order.verb, subject=order.subject, who=order.who, answer=order.answer)
        if taken:
            worker.wake.set()
    return ORDERS_EVERY


async def read_standstill(app: App) -> float:
    """Read what waits in the ledger without anybody working on it."""
    services = app.services
    for worker in app.workers:
        now, past = services.clock.now(), services.clock.past()
        found = await services.ledger.find_standstill(worker.account, now, services.host.lowered, past=past)
        app.standstill[worker.account] = found
        await _forgive_settled(app, worker)
    _measure_standstill(app)
    return STANDSTILL_EVERY


async def _forgive_settled(app: App, worker: AccountWorker) -> None:
    """Count no record as unreadable that somebody has judged or closed."""
    for intake in worker.intakes:
        if digests := intake.legibility.digests:
            for digest in await app.services.ledger.find_settled_records(worker.account, digests):
                intake.legibility.forgive(digest)


def _measure_standstill(app: App) -> None:
    """Measure what was last read of what waits, by how old that is now."""
    app.services.outlets.metrics.untaken.clear()
    for account, found in app.standstill.items():
        figures.measure_standstill(app.services.outlets.metrics, account, found, app.services.clock.now())


async def log_readiness(app: App) -> float:
    """Log changes of readiness, so that the log knows as soon as /readyz does."""
    app.log_lowered()
    app.log_readiness()
    return READINESS_EVERY


class Records:
    """Streams audit records to stdout, in order and at least once, and alerts people: neither waits for the other."""

    def __init__(self, app: App) -> None:
        """Continue after the last records that the ledger knows to be out, and told of."""
        services, accounts = app.services, [worker.account for worker in app.workers]
        self._app, self._log, self._out = app, app.log, services.outlets.records
        self._alerts = Alerts(app.log, services.outlets.metrics, services.channels)
        self._outcomes = Outcomes(services.outlets.metrics)
        self._streams = [Stream(services.ledger, account, self._out) for account in accounts]
        self._followers = [Follower(services.ledger, account, self._take) for account in accounts]
        self._torn = self._out.torn
        self._beginning, self._begun = asyncio.Lock(), False

    async def _begin(self) -> None:
        """Let followers begin before the stream goes on."""
        async with self._beginning:
            if not self._begun:
                for follower in self._followers:
                    await follower.begin()
                self._begun = True

    async def step(self) -> float:
        """Stream every new record, for a second at most where stdout does not take them."""
        await self._begin()
        if self._torn:
            await self._finish_torn()
        for stream in self._streams:
            await stream.step()
        self._app.heads = {stream.head.account: stream.head for stream in self._streams if stream.head}
        return RECORDS_EVERY

    async def _finish_torn(self) -> None:
        """Finish the line that the last process left torn, or else begin a new one, so that ours are whole."""
        torn, self._torn = self._torn, b""
        for stream in self._streams:
            if await stream.finish(torn):
                return
        self._out.offer(b"\n")

    async def follow(self) -> float:
        """Take note of every new record."""
        await self._begin()
        for follower in self._followers:
            await follower.step()
        return RECORDS_EVERY

    async def end(self, seconds: float) -> None:
        """Stream the last records, and send what notices channels take, in so many seconds."""
        await self.follow()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(self._stream_all(), self._alerts.send_all())
        if any(stream.is_behind for stream in self._streams):
            self._log.warning("audit records are not out yet; the next start hands them on", problem=self._out.problem)

    async def _stream_all(self) -> None:
        """Stream until everything is out."""
        await self.step()
        while any(stream.is_behind for stream in self._streams):
            await self.step()

    def list_alerts(self) -> list[Loop]:
        """Return a loop for each channel, which sends it notices of what records say."""
        return [Loop(f"alerts {channel}", partial(self._alert, channel)) for channel in self._alerts.orders]

    async def _alert(self, channel: str) -> float:
        await self._alerts.send(channel)
        return RECORDS_EVERY

    def _take(self, line: bytes) -> None:
        """Take note of one record."""
        self._alerts.take(line)
        self._outcomes.take(line)

    async def log_heads(self) -> float:
        """Log the newest hash of each chain: whoever keeps the log can detect a rewritten chain."""
        for head in self._app.heads.values():
            self._log.info("audit head", account=head.account, number=head.number, hash=head.hash)
        return HOURLY


async def update_gauges(app: App) -> float:
    """Update the metrics that are not counted as things happen."""
    metrics = app.services.outlets.metrics
    _measure_readiness(app)
    _measure_standstill(app)
    _measure_heads(app)
    app.log_problems()
    metrics.generation.set(app.services.host.bundle.generation)
    figures.describe_walls(metrics.walls, app.services.host.standing)
    for worker in app.workers:
        await _measure_budget(app, worker)
        for intake in worker.resting:  # a source that nobody needs has no gap
            metrics.gap.remove(worker.account, intake.source.name)
            metrics.coverage_age.remove(worker.account, intake.source.name)
        for intake in worker.needed:
            await _measure_source(app, worker, intake)
    return FIGURES_EVERY


def _measure_readiness(app: App) -> None:
    """Measure whether the worker is ready, and what keeps it from that."""
    metrics, found = app.services.outlets.metrics, app.check_readiness()
    metrics.ready.set(found.ready)
    for kind in KINDS:
        metrics.not_ready.labels(kind).set(kind in found.reasons)


def _measure_heads(app: App) -> None:
    """Measure the newest record of each chain: its number only grows, unless an older ledger was put in place."""
    metrics, now = app.services.outlets.metrics, app.services.clock.now()
    for account, head in app.heads.items():
        metrics.head.labels(account).set(head.number)
        metrics.head_age.labels(account).set(max(0.0, now - head.at.timestamp()))


async def _measure_budget(app: App, worker: AccountWorker) -> None:
    """Measure the budget left on a connection, and keep what was spent for the next start."""
    connection, services = worker.connection, app.services
    services.outlets.metrics.budget_left.labels(connection.credential).set(connection.budget.left)
    await services.ledger.keep_spent(connection.credential, connection.budget.count_spent(), services.clock.now())


async def _measure_source(app: App, worker: AccountWorker, intake: Intake) -> None:
    """Measure how far a source is read, and how much of it is missing."""
    metrics, source = app.services.outlets.metrics, intake.source.name
    app.missing[worker.name_source(intake)] = missing = await _find_missing(app, worker, source)
    metrics.gap.labels(worker.account, source).set(missing[0])
    if intake.reached:
        metrics.coverage_age.labels(worker.account, source).set(app.services.clock.now() - intake.reached)


async def count_entries(app: App) -> float:
    """Count entries by action and state, and requests for another verdict by rule and by what Cloudflare says."""
    ledger, metrics = app.services.ledger, app.services.outlets.metrics
    counted = [(worker.account, await ledger.counts(worker.account)) for worker in app.workers]
    reviewed = [(worker.account, await ledger.count_reviews(worker.account)) for worker in app.workers]
    metrics.entries.clear()
    metrics.reviews.clear()
    for account, kinds in counted:
        for kind, states in kinds.items():
            for state, count in states.items():
                metrics.entries.labels(account, kind, state).set(count)
    for account, rules in reviewed:
        for rule, reviews in rules.items():
            for review, count in reviews.items():
                metrics.reviews.labels(account, rule, review).set(count)
    return ENTRIES_EVERY


async def _find_missing(app: App, worker: AccountWorker, source: str) -> tuple[float, str]:
    """Return how many seconds of a source are not read, and why they cannot be read now."""
    found = await app.services.ledger.coverage(worker.account, source)
    gaps = coverage.find_gaps(found.closed, found.since, coverage.find_horizon(found))
    slow = next((slice_.why for slice_ in found.open if slice_.kind == "gap" and slice_.next_at), "")
    return sum(end - start for start, end in gaps), slow


async def apply_retention(app: App) -> float:
    """End what has waited too long, delete what is old, and measure the tables."""
    services, settings = app.services, app.services.settings
    now, past = services.clock.now(), services.clock.past()
    for worker in app.workers:
        if await services.ledger.lapse(worker.account, past, settings.lapse):
            worker.wake.set()
        # A first read may reach back further than the sweep and begin again, so its sights are kept, too.
        swept = {one.source.kind: max(settings.sweep, settings.lookback, one.source.swept) for one in worker.intakes}
        sights_before = {kind: past - back - SWEPT_TOO for kind, back in swept.items()}
        await services.ledger.prune(worker.account, now, sights_before, past - settings.keep)
    for table, size in (await services.ledger.sizes()).items():
        services.outlets.metrics.store_bytes.labels(table).set(size)
    return HOURLY
