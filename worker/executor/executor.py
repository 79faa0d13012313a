"""Executor: takes what is due from the ledger to the API, and brings answers and proof back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from worker.errors import Permanent, Temporary, Unsure
from worker.executor.deferral import DUE_AGAIN
from worker.executor.dispatch import Dispatcher
from worker.executor.handlers import MOVES, Handler
from worker.executor.hooks import Hooks
from worker.executor.observer import TargetObserver
from worker.executor.preflight import Preflight
from worker.executor.verifier import Verifier
from worker.judging.services import AccountServices, Timing

SHORTEST_REST, IDLE_REST = 0.25, 900.0
"""Seconds to rest while nothing is due: whoever makes something due wakes the executor."""


class Executor:
    """Carries out one account's entries: each effect once, or not at all until it is known not to have happened."""

    def __init__(self, services: AccountServices, timing: Timing, hooks: Hooks) -> None:
        """Put the parts together; nothing is asked or written yet."""
        self._account, self._ledger, self._clock = services.account, services.ledger, services.clock
        self._busy, self._wake, self._timeout = hooks.is_reading, services.wake, timing.timeout
        self._recovered = False
        self._contact = services.contact
        self._unanswered: dict[str, str] = {}
        self._in_hand: dict[Handler, asyncio.Task[int]] = {}
        self._acted = asyncio.Event()
        observer = TargetObserver(services.client, services.looks, services.clock)
        preflight = Preflight(services, timing, hooks, observer)
        self._verifier = Verifier(services, timing, observer, self._more_to_come)
        self._dispatcher = Dispatcher(
            services, timing, hooks, observer=observer, preflight=preflight, verifier=self._verifier
        )

    async def run(self) -> None:
        """Act and prove, side by side, until cancelled."""
        while not await self._recover():
            await self._clock.sleep(DUE_AGAIN)
        async with _together() as group:
            group.create_task(self._keep_acting(group), name="acting")
            group.create_task(self._keep_proving(), name="proving")

    async def step(self) -> int:
        """Act on what is due and look for proof of what was sent, once; return how many entries moved on."""
        if not await self._recover():
            return 0
        async with _together() as group:
            tasks = await self._start(group)
        return sum(task.result() for task in tasks) + await self._verifier.step()

    async def drain(self) -> None:
        """Start nothing new, and return when the batches in hand are answered and written."""
        self._dispatcher.stopping = True
        await asyncio.gather(*self._in_hand.values(), return_exceptions=True)

    @property
    def problems(self) -> dict[str, str]:
        """What keeps entries from being carried out or proved now, in a sentence by kind; empty when all is well."""
        return self._unanswered | self._dispatcher.problems | self._verifier.problems

    async def _recover(self) -> bool:
        """Take what a predecessor left claimed for unsure: its requests may still be on their way.

        Not before the API has answered anything at all: until then nobody knows what time it is.
        """
        if self._recovered:
            return True
        try:
            await self._contact()
        except (Temporary, Permanent, Unsure) as error:
            self._unanswered = {"all actions": str(error)}
            return False
        self._unanswered = {}
        now = self._clock.now()
        await self._ledger.abandon(self._account, now, now + self._timeout)
        self._recovered, self._dispatcher.began = True, now
        return True

    async def _start(self, group: asyncio.TaskGroup) -> list[asyncio.Task[int]]:
        """Start what is due of each kind of which nothing is in hand: kinds do not wait for each other."""
        started = []
        for handler, entries in (await self._dispatcher.due(self._in_hand)).items():
            task = group.create_task(self._dispatcher.act(handler, entries), name=handler.queue)
            self._in_hand[handler] = task
            task.add_done_callback(partial(self._finish, handler))
            started.append(task)
        return started

    def _finish(self, handler: Handler, _: asyncio.Task[int]) -> None:
        del self._in_hand[handler]
        self._wake.set()  # it may end while nobody waits for it, and more of its kind be ready by then
        self._acted.set()

    async def _keep_acting(self, group: asyncio.TaskGroup) -> None:
        while True:
            self._wake.clear()
            await self._start(group)
            await self._rest(self._dispatcher.resume, self._wake)

    async def _keep_proving(self) -> None:
        while True:
            self._acted.clear()
            if await self._verifier.step():
                self._wake.set()  # what did not happen, or waited for what has ended, may be ready now
            else:
                await self._rest(self._verifier.resume, self._acted)

    async def _rest(self, resume: float, wake: asyncio.Event) -> None:
        """Sleep until it is time to resume, or until ``wake`` is set."""
        pause = min(IDLE_REST, max(SHORTEST_REST, resume - self._clock.now()))
        sleep = asyncio.ensure_future(self._clock.sleep(pause))
        woken = asyncio.ensure_future(wake.wait())
        try:
            await asyncio.wait((sleep, woken), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleep.cancel()
            woken.cancel()
            await asyncio.gather(sleep, woken, return_exceptions=True)

    def _more_to_come(self) -> bool:
        """Tell whether more will soon want proof, which then takes fewer calls together."""
        return self._busy() or MOVES in self._in_hand


@asynccontextmanager
async def _together() -> AsyncIterator[asyncio.TaskGroup]:
    """Run tasks side by side, and raise the first error as itself."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
