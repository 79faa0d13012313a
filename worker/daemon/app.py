"""The app: everything that one process has open, its loops, and whether they do their work."""

import asyncio
import os
from collections.abc import Iterable, Iterator

from worker.daemon.account import BEHIND, AccountWorker, Loop, Services
from worker.daemon.readiness import (
    TURNS,
    Reasons,
    SourceProgress,
    find_silence,
    find_standstill,
    judge_readiness,
)
from worker.daemon.scheduler import Scheduler
from worker.errors import NotEntitled, Permanent, Temporary, WorkerError
from worker.ledger.records import Json, NewRecord
from worker.ledger.standstill import Standstill
from worker.telemetry import Log
from worker.web import Readiness

REFUSED_AGAIN = 60.0
"""Seconds until a step is tried again that the API refused."""
NOT_ENTITLED_AGAIN = 3600.0


class App:
    """Everything that one process has open, and what keeps it from its work."""

    def __init__(self, services: Services, workers: Iterable[AccountWorker]) -> None:
        """Take what is open already; the caller closes it."""
        self.services, self.workers = services, tuple(workers)
        self.stopping = asyncio.Event()
        self.missing: dict[str, tuple[float, str]] = {}
        """By source: the seconds not read yet, and why when something is in the way."""
        self.refused = ""
        """Why the rule files on disk are refused; empty when they are in force."""
        self.standstill: dict[str, Standstill] = {}
        """By account: what waits in the ledger without anybody working on it."""
        self._reasons = Reasons()
        self._troubles: dict[str, WorkerError] = {}
        self._held_up: dict[str, str] = {}
        self._was_ready: bool | None = None
        self._been_ready = False

    @property
    def log(self) -> Log:
        """The operations log."""
        return self.services.outlets.log

    async def begin(self) -> None:
        """Log and record the start, and which rules are in force."""
        bundle, settings = self.services.host.bundle, self.services.settings
        self.log.info("started", rules=len(bundle.rules), ceiling=settings.ceiling.name.lower(), pid=os.getpid())
        await self.write(NewRecord("started", {"ceiling": settings.ceiling.name.lower()}))
        await self.write_bundle()

    async def end(self) -> None:
        """Record and log an orderly end, and keep what was spent."""
        await self.write(NewRecord("stopped"))
        for worker in self.workers:
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
        self.services.outlets.metrics.generation.set(bundle.generation)

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

    def log_readiness(self) -> None:
        """Log each change of readiness; not being ready yet, right after the start, is no warning."""
        found, before = self.check_readiness(), self._was_ready
        self._was_ready = found.ready
        if found.ready and not before:
            self.log.info("ready again" if self._been_ready else "ready")
            self._been_ready = True
        elif not found.ready and before is not False:
            (self.log.warning if before else self.log.info)("not ready", why="; ".join(found.why))

    def check_readiness(self) -> Readiness:
        """Return whether the work is being done, and why not."""
        sources = [each for worker in self.workers for each in self._list_sources(worker)]
        now, stopping = self.services.clock.now(), self.stopping.is_set()
        warnings = self._list_warnings()
        reasons = self._reasons.note(dict(self._find_reasons(now)), self.services.clock.monotonic())
        troubles = self._collect_troubles()
        return judge_readiness(sources, troubles, now, stopping=stopping, warnings=warnings, reasons=reasons)

    def find_reasons(self) -> tuple[str, ...]:
        """Return what is silent now, in sentences."""
        return tuple(says for _, says in self._find_reasons(self.services.clock.now()))

    def _find_reasons(self, now: float) -> Iterator[tuple[str, str]]:
        """Yield by kind what is silent: read but not heard, heard but not judged, decided but not carried out."""
        for worker in self.workers:
            silent = worker.connection.transport.silent
            for intake in worker.needed:
                yield from find_silence(worker.name_source(intake), intake.legibility.explain(), silent)
            yield from find_standstill(worker.account, self.standstill.get(worker.account, Standstill()), now)
            if worker.integration.problem:
                yield f"integration {worker.account}", worker.integration.problem

    def _collect_troubles(self) -> dict[str, str]:
        """Return what stands in the way, by the name of what it stops; a source that nobody needs is not missed."""
        resting = {worker.name_source(intake) for worker in self.workers for intake in worker.resting}
        named = {name: str(error) for name, error in self._troubles.items()}
        troubles = {name: error for name, error in named.items() if name.removesuffix(BEHIND) not in resting}
        for worker in self.workers:
            lost = worker.connection.transport.lost
            unread = {worker.name_source(intake): lost for intake in worker.needed if lost}
            troubles = unread | troubles | worker.executor.problems
        return troubles

    def _list_warnings(self) -> Iterator[str]:
        """Yield what a person has to fix while the worker continues."""
        if self.refused:
            yield f"the rule files on disk are refused, and the rules loaded before stay in force: {self.refused}"
        for account, still in self.standstill.items():
            if still.unreadable:
                records = "1 record was" if still.unreadable == 1 else f"{still.unreadable:,} records were"
                yield f"account {account}: {records} never judged, because they cannot be read; they are tried again"
        yield from filter(None, (worker.announcer.explain_unheard() for worker in self.workers))
        for name in sorted(self.services.host.lowered):
            yield f"rule {name} only observes until it is fixed: it stopped the rule process too often"

    def _list_sources(self, worker: AccountWorker) -> Iterable[SourceProgress]:
        """Yield how far each needed source is read."""
        settings = self.services.settings
        for intake in worker.needed:
            name = worker.name_source(intake)
            missing, slow = self.missing.get(name, (0.0, ""))
            allowed = TURNS * settings.poll_every * intake.source.pace + settings.request_timeout
            yield SourceProgress(name, intake.reached, missing, slow, allowed)
