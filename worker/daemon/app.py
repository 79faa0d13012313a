"""The app: everything that one process has open, its loops, and whether they do their work."""

import asyncio
import errno
import os
import time
from collections.abc import Iterable, Iterator
from importlib.metadata import version

from worker.api.pacing import Urgency
from worker.audit.stream import Head
from worker.daemon import figures
from worker.daemon.account import BEHIND, AccountWorker, Loop, Services
from worker.daemon.exposure import find_exposed
from worker.daemon.fields import MissingField, find_missing
from worker.daemon.readiness import (
    SILENT,
    TURNS,
    Reason,
    Reasons,
    SourceProgress,
    Trouble,
    find_reasons,
    find_silence,
    find_standstill,
    find_stuck,
    judge_readiness,
    warn_of_clock,
    warn_of_held,
    warn_of_notices,
    warn_of_pauses,
    warn_of_records,
    warn_of_spending,
    warn_of_stuck,
    warn_of_stuck_log,
)
from worker.daemon.scheduler import Scheduler
from worker.errors import NotEntitled, Permanent, Temporary, WorkerError
from worker.ledger.records import Json, NewRecord
from worker.ledger.standstill import Standstill
from worker.telemetry import Log
from worker.walls import explain_missing
from worker.web import Readiness

REFUSED_AGAIN = 60.0
"""Seconds until a step is tried again that the API refused."""
NOT_ENTITLED_AGAIN = 3600.0
UNENCRYPTED = "the credential is sent unencrypted, because WORKER_PLAIN_HTTP is yes and CLOUDFLARE_BASE_URL http://"
OUT_OF_DESCRIPTORS = {errno.EMFILE, errno.ENFILE}
NO_DESCRIPTORS = "too many files are open: raise the limit of open files (ulimit -n), or find out who opens so many"
STOPS = "it stopped the rule process too often"
FAILED_LATELY = 3600.0
"""Seconds for which it is told that a rule has failed on an event."""


class App:
    """Everything that one process has open, and what keeps it from its work."""

    def __init__(self, services: Services, workers: Iterable[AccountWorker]) -> None:
        """Take what is open already; the caller closes it."""
        self.services, self.workers = services, tuple(workers)
        self.stopping = asyncio.Event()
        self.reload_asked = False
        """Whether the rule files are to be loaded although they have not changed (SIGHUP)."""
        self.missing: dict[str, tuple[float, str]] = {}
        """By source: the seconds not read yet, and why when something is in the way."""
        self.refused = ""
        """Why the rule files on disk are refused; empty when they are in force."""
        self.standstill: dict[str, Standstill] = {}
        """By account: what waits in the ledger without anybody working on it."""
        self.heads = dict[str, Head]()
        """By account: the newest audit record that went to stdout."""
        self.unsigned = ""
        """Why audit records that are to be signed are not, or where heads do not arrive; empty while all is well."""
        self.exposed: tuple[str, ...] = ()
        """Which files of the worker others can read or write, in sentences."""
        self._reasons = Reasons()
        self._troubles: dict[str, WorkerError] = {}
        self._held_up: dict[str, str] = {}
        self._lowered = frozenset[str]()
        self._told: frozenset[str] | None = None
        self._been_ready = False

    @property
    def log(self) -> Log:
        """The operations log."""
        return self.services.outlets.log

    async def begin(self) -> None:
        """Log and record the start, and which rules are in force."""
        bundle, settings, metrics = self.services.host.bundle, self.services.settings, self.services.outlets.metrics
        figures.describe_process(metrics, settings.ceiling, time.time())
        figures.declare_sources(metrics, [intake.source.name for worker in self.workers for intake in worker.intakes])
        ceiling = settings.ceiling.name.lower()
        for worker in self.workers:
            await worker.fields.recall()
        if settings.sends_unencrypted:
            self.log.warning(UNENCRYPTED)
        self.look_at_files()
        for exposed in self.exposed:
            self.log.warning(exposed)
        self.log.info("started", rules=len(bundle.rules), ceiling=ceiling, pid=os.getpid())
        self._log_walls()
        await self.write(NewRecord("started", {"ceiling": ceiling, "version": version("worker")}))
        await self.write_bundle()

    def look_at_files(self) -> None:
        """Find out which files of the worker others can read or write."""
        self.exposed = tuple(find_exposed(self.services.settings))

    def _log_walls(self) -> None:
        """Log which walls stand around the rules, as a warning if not all do."""
        standing = self.services.host.standing
        walls = ", ".join(wall for wall, why in standing.items() if not why)
        if missing := explain_missing(standing) if standing else "all, because WORKER_RULES_SANDBOX is off":
            self.log.warning("rules run without some walls around them", walls=walls, missing=missing)
        else:
            self.log.info("rules run behind walls", walls=walls)

    async def end(self) -> None:
        """Record and log an orderly end, and keep what was spent and seen."""
        await self.write(NewRecord("stopped"))
        for worker in self.workers:
            await worker.fields.keep()
            spent = worker.connection.budget.count_spent()
            await self.services.ledger.keep_spent(worker.connection.credential, spent, self.services.clock.now())
        self.log.info("stopped")

    async def write(self, record: NewRecord) -> None:
        """Write an audit record that belongs to no entry, for every account."""
        for worker in self.workers:
            await self.services.ledger.write(worker.account, [record], self.services.clock.now())

    async def write_bundle(self) -> None:
        """Record which rules are in force from now on."""
        bundle = self.services.host.bundle
        named = [[rule.name, rule.fingerprint, rule.mode.name.lower()] for rule in bundle.rules]
        fields: dict[str, Json] = {"generation": bundle.generation, "fingerprint": bundle.fingerprint, "rules": named}
        await self.write(NewRecord("bundle taken", fields))
        metrics = self.services.outlets.metrics
        metrics.generation.set(bundle.generation)
        figures.declare_rules(metrics, [worker.account for worker in self.workers], bundle.rules)

    def report_oversleep(self, name: str) -> None:
        """Count and log that the watchdog had to wake a loop."""
        self.services.outlets.metrics.overslept.inc()
        self.log.warning("woken by the watchdog: the wall clock must have been set back", loop=name)

    async def run_loop(self, loop: Loop, scheduler: Scheduler) -> None:
        """Take turn after turn until the worker stops."""
        while not self.stopping.is_set():
            await scheduler.rest(loop.name, await self.take_turn(loop))

    async def take_turn(self, loop: Loop) -> float:
        """Take one turn; return the seconds until the next, also when the API refuses or fails."""
        try:
            pause = await loop.step()
        except NotEntitled as error:
            return self._note_trouble(loop.name, error, NOT_ENTITLED_AGAIN)
        except Permanent as error:
            return self._note_trouble(loop.name, error, REFUSED_AGAIN)
        except Temporary as error:
            return self._note_trouble(loop.name, error, max(error.after, self.services.settings.poll_every))
        except OSError as error:
            if error.errno not in OUT_OF_DESCRIPTORS:
                raise
            return self._note_trouble(loop.name, Temporary(NO_DESCRIPTORS), self.services.settings.poll_every)
        if self._troubles.pop(loop.name, None):
            self.log.info("works again", loop=loop.name)
        return pause

    def _note_trouble(self, name: str, error: WorkerError, pause: float) -> float:
        """Log a failing loop when it begins to fail or fails in another way, not at each try; return the pause."""
        if type(self._troubles.get(name)) is not type(error):
            self.log.warning("could not; tries again", loop=name, problem=str(error), again_in_seconds=round(pause))
        self._troubles[name] = error
        return pause

    def log_problems(self) -> None:
        """Log what delays actions, once when it begins and once when it is over."""
        now = {name: said for worker in self.workers for name, said in worker.executor.problems.items()}
        for name in now.keys() - self._held_up.keys():
            self.log.warning("effects are held up", kind=name, problem=now[name])
        for name in self._held_up.keys() - now.keys():
            self.log.info("effects go on again", kind=name)
        self._held_up = now

    def log_lowered(self) -> None:
        """Log which rules only observe from now on, once for each until it is fixed."""
        now = self.services.host.lowered
        for name in sorted(now - self._lowered):
            self.log.warning("a rule only observes until it is fixed", rule=name, problem=STOPS)
        self._lowered = now

    def log_readiness(self) -> None:
        """Log when readiness ends or returns, and each kind of reason that is added to others.

        Not being ready yet, right after the start, is no warning.
        """
        found, told = self.check_readiness(), self._told
        self._told = frozenset(found.reasons)
        if found.ready and told != self._told:
            self.log.info("ready again" if self._been_ready else "ready")
            self._been_ready = True
        elif not self._told <= (told or frozenset()):
            begins = found.reasons == ("nothing_read",) and not self._been_ready
            reasons, why, warnings = ", ".join(found.reasons), "; ".join(found.why), "; ".join(found.warnings)
            (self.log.info if begins else self.log.warning)("not ready", reasons=reasons, why=why, warnings=warnings)

    def check_readiness(self) -> Readiness:
        """Return whether the work is being done, and why not."""
        sources = [each for worker in self.workers for each in self._list_sources(worker)]
        now, stopping = self.services.clock.now(), self.stopping.is_set()
        plain = find_reasons(sources, self._collect_troubles(), now, stopping=stopping)
        fields = tuple(self._find_missing(now))
        lasting = self._reasons.note(self._find_silent(fields, now), self.services.clock.monotonic())
        return judge_readiness((*plain, *lasting), sources, now, self._list_warnings(fields))

    @property
    def is_silent(self) -> bool:
        """Whether the API answers nothing at all."""
        return any(worker.connection.transport.silent >= SILENT for worker in self.workers)

    def find_reasons(self) -> tuple[str, ...]:
        """Return what is silent now, in sentences."""
        now = self.services.clock.now()
        return tuple(reason.says for reason in self._find_silent(self._find_missing(now), now))

    def _find_silent(self, fields: Iterable[MissingField], now: float) -> Iterator[Reason]:
        """Yield what is silent: read but not heard, heard but not judged, decided but not carried out."""
        for worker in self.workers:
            for intake in worker.needed:
                name = worker.name_source(intake)
                if unreadable := intake.legibility.explain():
                    yield Reason("records_unreadable", name, f"{name}: {unreadable}")
            yield from find_standstill(worker.account, self.standstill.get(worker.account, Standstill()), now)
            if worker.integration.problem:
                yield Reason("integration_lost", worker.account, worker.integration.problem)
        yield from (Reason("field_missing", one.about, one.says) for one in fields if one.is_needed)
        for connection in dict.fromkeys(worker.connection for worker in self.workers):
            yield from find_silence(connection.credential, connection.transport.silent)
        records = self.services.outlets.records
        yield from find_stuck(records.stuck, records.problem)

    def _find_missing(self, now: float) -> Iterator[MissingField]:
        """Yield the fields that have gone from what the accounts bring."""
        for worker in self.workers:
            for name, watch in worker.list_watches():
                yield from find_missing(watch, name, self.services.host.bundle.rules, now)

    def _collect_troubles(self) -> Iterator[Trouble]:
        """Yield what stands in the way, with the name of what it stops; a source that nobody needs is not missed."""
        resting = {worker.name_source(intake) for worker in self.workers for intake in worker.resting}
        failing = {worker.name_source(one): lost for worker, lost in self._list_lost() for one in worker.needed}
        failing |= {name: str(error) for name, error in self._troubles.items()}
        for name, problem in failing.items():
            if name.removesuffix(BEHIND) not in resting:
                yield Trouble("loop_failing", name, problem)
        for worker in self.workers:
            for name, problem in worker.executor.problems.items():
                yield Trouble("actions_delayed", name, problem)

    def _list_lost(self) -> Iterator[tuple[AccountWorker, str]]:
        """Yield the accounts whose connection does not reach the API, and why."""
        for worker in self.workers:
            if lost := worker.connection.transport.lost:
                yield worker, lost

    def _list_warnings(self, fields: Iterable[MissingField]) -> Iterator[str]:
        """Yield what a person has to fix while the worker continues."""
        if self.services.settings.sends_unencrypted:
            yield UNENCRYPTED
        yield from self.exposed
        if self.refused:
            problems = "; ".join(self.refused.splitlines())
            yield f"the rule files on disk are refused, and the rules loaded before stay in force: {problems}"
        if self.unsigned:
            yield f"audit records are not signed, and the worker goes on: {self.unsigned}"
        yield from self._warn_of_outlets()
        clock = self.services.clock
        yield from warn_of_clock(clock.off, clock.doubted, is_known=clock.is_known)
        for account, still in self.standstill.items():
            yield from warn_of_held(account, still, self.services.clock.now())
            yield from warn_of_records(account, still)
            yield from warn_of_notices(account, still, self.services.clock.now())
        yield from (field.says for field in fields if not field.is_needed)
        yield from (says for worker in self.workers for says in worker.list_unnamed())
        for connection in dict.fromkeys(worker.connection for worker in self.workers):
            budget = connection.budget
            yield from warn_of_pauses(self.services.clock.now(), budget.asked_to_wait, budget.put_off)
            wait = 0.0 if budget.asked_to_wait else budget.estimate_wait(Urgency.HEAD)
            yield from warn_of_spending(wait, budget.since_refusal)
        yield from filter(None, (worker.announcer.explain_unheard() for worker in self.workers))
        for name in sorted(self.services.host.lowered):
            yield f"rule {name} only observes until it is fixed: {STOPS}"
        failed_at, now = self.services.outlets.metrics.failed_at, time.monotonic()
        for name in (rule.name for rule in self.services.host.bundle.rules if rule.name in failed_at):
            if now - failed_at[name] < FAILED_LATELY:
                yield f"rule {name} failed in the last hour and had no say on an event: worker status shows why"

    def _warn_of_outlets(self) -> Iterator[str]:
        """Yield that stdout or stderr takes nothing."""
        records, lines = self.services.outlets.records, self.services.outlets.lines
        yield from warn_of_stuck(records.stuck, records.problem)
        if lines:
            yield from warn_of_stuck_log(lines.out.stuck, lines.out.problem, lines.left_out)

    def _list_sources(self, worker: AccountWorker) -> Iterable[SourceProgress]:
        """Yield how far each needed source is read."""
        settings = self.services.settings
        for intake in worker.needed:
            name = worker.name_source(intake)
            missing, slow = self.missing.get(name, (0.0, ""))
            allowed = TURNS * settings.poll_every * intake.source.pace + settings.request_timeout
            yield SourceProgress(name, intake.reached, missing, slow, allowed)
