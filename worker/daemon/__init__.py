"""The daemon, as a table of contents: what is opened, what runs side by side, and how it ends."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from worker.daemon import maintenance, memory
from worker.daemon.app import House, opened
from worker.daemon.once import Summary, once
from worker.daemon.scheduler import Wakes
from worker.settings import Settings
from worker.telemetry import Outlets
from worker.web import free, serve

__all__ = ["House", "Summary", "once", "opened", "run", "served", "stopped_by_signals", "working"]

ENDED_AT_ONCE = 3
"""Exit code after a second signal."""


async def run(settings: Settings, outlets: Outlets) -> None:
    """Run until a signal comes. Raises the first cause when a part dies."""
    memory.give_back()
    await free(*settings.listen)
    async with opened(settings, outlets) as house, stopped_by_signals(house), served(house), working(house):
        memory.collect_seldom()
        await house.stopping.wait()


@asynccontextmanager
async def served(house: House) -> AsyncIterator[str]:
    """Answer /livez, /readyz and /metrics; give the address."""
    host, port = house.rooms.settings.listen

    async def metrics() -> bytes:
        await maintenance.figures(house)
        return house.rooms.outlets.metrics.text()

    async with serve(host, port, readiness=house.readiness, metrics=metrics) as url:
        house.log.info("listening", url=url)
        yield url


@asynccontextmanager
async def stopped_by_signals(house: House) -> AsyncIterator[None]:
    """Let SIGTERM and Ctrl-C ask for an orderly stop, and end the process when one comes again."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if house.stopping.is_set():
            house.log.error("ended at once by a second signal; the next start goes on from the ledger")
            os._exit(ENDED_AT_ONCE)
        house.stopping.set()

    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


@asynccontextmanager
async def working(house: House) -> AsyncIterator[None]:
    """Keep everything going while the block runs; then finish what is in hand.

    A part that dies ends all others, and its error is raised: the ledger makes that harmless.
    """
    await house.begin()
    records = maintenance.Records(house)
    try:
        async with Wakes(house.stopping, house.overslept) as wakes, asyncio.TaskGroup() as group:
            loops = [*(loop for desk in house.desks for loop in desk.loops()), *maintenance.loops(house, records)]
            keeping = [group.create_task(house.keep(loop, wakes), name=loop.name) for loop in loops]
            acting = [group.create_task(desk.executor.run(), name="executor") for desk in house.desks]
            yield
            house.stopping.set()
            await _drained(house, keeping, acting)
    except BaseExceptionGroup as several:
        cause = first_cause(several)
        house.log.critical("a part died, so the worker ends", problem=f"{type(cause).__name__}: {cause}")
        raise cause from None
    await house.end()
    await records.step()


async def _drained(
    house: House, keeping: "Sequence[asyncio.Task[None]]", acting: "Sequence[asyncio.Task[None]]"
) -> None:
    """Stop in order: the page in hand is entered, the batch in hand is answered, then everything is let go.

    What does not end within WORKER_DRAIN is left to the ledger: the next process goes on from there.
    """
    house.log.info("stopping")
    drain = house.rooms.settings.drain
    await asyncio.wait(keeping, timeout=drain / 2)
    drains = [asyncio.ensure_future(desk.executor.drain()) for desk in house.desks]
    _, late = await asyncio.wait(drains, timeout=drain / 2)
    if late:
        house.log.warning("the batch in hand was not answered in time; the next start looks what became of it")
    for task in (*keeping, *late, *acting):
        task.cancel()


def first_cause(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error that came first."""
    first = several.exceptions[0]
    return first_cause(first) if isinstance(first, BaseExceptionGroup) else first
