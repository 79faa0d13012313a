"""The daemon: open everything, run the loops side by side, and stop in order."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from worker import web
from worker.daemon import maintenance, memory
from worker.daemon.app import App
from worker.daemon.once import Summary, run_once
from worker.daemon.opening import open_app
from worker.daemon.scheduler import Scheduler
from worker.daemon.signing import Signing
from worker.errors import WorkerError
from worker.language.domains import load_lists
from worker.ledger.db.lock import refuse_held
from worker.ledger.db.place import place_of
from worker.settings import Settings
from worker.telemetry import Outlets

__all__ = ["App", "Summary", "open_app", "run", "run_loops", "run_once", "serve", "stop_on_signals"]

ENDED_AT_ONCE = 3
"""Exit code after a second signal."""
LAST_WORD = 0.5
"""Seconds that the log line about a second signal has to leave."""


async def run(settings: Settings, outlets: Outlets) -> None:
    """Run until a signal asks to stop. Raises the first error when a part dies."""
    memory.give_back()
    load_lists()
    refuse_held(place_of(settings.store_url))  # whoever has the ledger mostly has the address, too
    await web.check_address(*settings.listen)
    async with open_app(settings, outlets) as app, stop_on_signals(app), serve(app), run_loops(app):
        memory.collect_seldom()
        await app.stopping.wait()


@asynccontextmanager
async def serve(app: App) -> AsyncIterator[str]:
    """Serve /livez, /readyz and /metrics; yield the address."""
    host, port = app.services.settings.listen

    async def metrics() -> bytes:
        await maintenance.update_gauges(app)
        return app.services.outlets.metrics.render()

    async with web.serve(
        host, port, readiness=app.check_readiness, metrics=metrics, hosts=app.services.settings.hosts
    ) as url:
        app.log.info("listening", url=url)
        yield url


@asynccontextmanager
async def stop_on_signals(app: App) -> AsyncIterator[None]:
    """Stop in order on SIGTERM or Ctrl-C, end the process on a second one, and load the rules anew on SIGHUP."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if app.stopping.is_set():
            app.log.error("ended at once by a second signal; the next start goes on from the ledger")
            if lines := app.services.outlets.lines:
                lines.out.flush(LAST_WORD)
            os._exit(ENDED_AT_ONCE)
        app.stopping.set()

    def reload() -> None:
        app.reload_asked = True

    handlers = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: reload}
    for number, handle in handlers.items():
        loop.add_signal_handler(number, handle)
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)


@asynccontextmanager
async def run_loops(app: App) -> AsyncIterator[None]:
    """Run every loop while the block runs, then finish what is in progress.

    When a part dies, all others end and its error is raised; the next start resumes from the ledger.
    """
    await app.begin()
    records, signing, clock = maintenance.Records(app), Signing(app), asyncio.get_running_loop().time
    ends = clock() + app.services.settings.drain
    try:
        async with Scheduler(app.stopping, app.report_oversleep) as scheduler, asyncio.TaskGroup() as group:
            loops = [loop for worker in app.workers for loop in worker.list_loops()]
            loops += maintenance.list_loops(app, records, signing)
            keeping = [group.create_task(app.run_loop(loop, scheduler), name=loop.name) for loop in loops]
            acting = [group.create_task(worker.executor.run(), name="executor") for worker in app.workers]
            yield
            app.stopping.set()
            ends = clock() + app.services.settings.drain
            await _drain(app, keeping, acting)
    except BaseExceptionGroup as several:
        cause = _find_first_cause(several)
        app.log.critical("a part died, so the worker ends", problem=_describe(cause))
        raise cause from None
    await app.end()
    await records.end(ends - clock())
    await signing.end()


async def _drain(app: App, keeping: "Sequence[asyncio.Task[None]]", acting: "Sequence[asyncio.Task[None]]") -> None:
    """Stop in order: enter the current page, answer the current batch, then cancel everything.

    What takes longer than WORKER_DRAIN is cancelled too; the next process resumes it from the ledger.
    """
    app.log.info("stopping")
    drain = app.services.settings.drain
    await asyncio.wait(keeping, timeout=drain / 2)
    for worker in app.workers:
        worker.held.drop()
    drains = [asyncio.ensure_future(worker.executor.drain()) for worker in app.workers]
    _, late = await asyncio.wait(drains, timeout=drain / 2)
    if late:
        app.log.warning("the batch in hand was not answered in time; the next start looks what became of it")
    for task in (*keeping, *late, *acting):
        task.cancel()


def _describe(cause: BaseException) -> str:
    """Say what went wrong; only an error that nobody foresaw needs its type."""
    return str(cause) if isinstance(cause, WorkerError) else f"{type(cause).__name__}: {cause}"


def _find_first_cause(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error that was raised first, out of nested groups."""
    first = several.exceptions[0]
    return _find_first_cause(first) if isinstance(first, BaseExceptionGroup) else first
