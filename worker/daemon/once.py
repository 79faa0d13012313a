"""One round: read what is due, act, wait for proof, and return a summary."""

from collections import Counter
from collections.abc import Awaitable, Callable

from msgspec import Struct

from worker.api import Clock
from worker.daemon import maintenance
from worker.daemon.account import AccountWorker
from worker.daemon.app import App
from worker.daemon.opening import open_app
from worker.daemon.signing import Signing
from worker.errors import Temporary, Unsure
from worker.intake.coverage import BACK
from worker.ledger.entries import Entry
from worker.settings import Settings
from worker.telemetry import Outlets

PATIENCE = 3
"""How many settle times to wait for proof."""
LONGEST_REST = 1.0


class Summary(Struct, kw_only=True):
    """The result of a round, over all accounts."""

    entries: dict[str, dict[str, int]] = {}
    """Counts of the whole ledger by action and state; *later* is what becomes ready later."""
    calls: dict[str, int] = {}
    """Requests of this round by operation."""
    unsettled: int = 0
    open_gaps: int = 0
    unreadable: int = 0
    """Records that nobody has judged, because they could not be read."""
    reasons: tuple[str, ...] = ()
    """What a person should see: what was read but not heard, heard but not judged, decided but kept back."""


async def run_once(settings: Settings, outlets: Outlets) -> Summary:
    """Run one round; raises what the API raises when it cannot be reached, unless it only hangs."""
    summary = Summary()
    async with open_app(settings, outlets, gather_notices=0.0) as app:
        await app.begin()
        await maintenance.take_orders(app)
        try:
            for worker in app.workers:
                await _take_round(summary, app, worker)
        except (Temporary, Unsure):
            if not app.is_silent:  # an API that hangs is a finding, as it is for a daemon
                raise
        await maintenance.read_standstill(app)
        summary.unreadable = sum(still.unreadable for still in app.standstill.values())
        summary.reasons = app.find_reasons()
        await app.end()
        await Signing(app, streams=False).end()
    return summary


async def _take_round(summary: Summary, app: App, worker: AccountWorker) -> None:
    """Take one round of an account."""
    await _read_account(worker, app.services.clock)
    summary.unsettled += await _settle(app, worker)
    await worker.announcer.step()
    await _add_up(summary, app, worker)
    await worker.integration.check()


async def _read_account(worker: AccountWorker, clock: Clock) -> None:
    """Read the head of each source, what is missing or to be judged again, held events, and what was unreadable."""
    await worker.look_for_requests()
    await worker.fields.keep()
    for intake in worker.needed:
        begun = clock.now()
        await intake.read_head()
        if intake.reached < begun - BACK:  # it only finished what an earlier round had left
            await intake.read_head()
        await _step_to_the_end(intake.read_behind)
    await _step_to_the_end(worker.held.step)
    for _ in ("from their bytes", "from the API"):
        await worker.unreadable.step()


async def _step_to_the_end(step: Callable[[], Awaitable[float]]) -> None:
    """Step until there is nothing to do right now."""
    while await step() <= 0:
        pass


async def _settle(app: App, worker: AccountWorker) -> int:
    """Act and look for proof; return how many entries are still open at the end."""
    services = app.services
    patience = PATIENCE * services.settings.settle
    until = services.clock.monotonic() + patience
    app.log.info("acting, and waiting for proof", account=worker.account, at_most_seconds=round(patience))
    while True:
        moved = await worker.executor.step()
        left = await find_unsettled(app, worker)
        if not left or services.clock.monotonic() > until:
            return len(left)
        if not moved:
            await services.clock.sleep(await _choose_rest(app, worker))


async def find_unsettled(app: App, worker: AccountWorker) -> tuple[Entry, ...]:
    """Return the entries that are under way; the scheduled end of a long block is not yet."""
    return await app.services.ledger.unsettled(worker.account, app.services.clock.now())


async def _choose_rest(app: App, worker: AccountWorker) -> float:
    """Return the seconds until something is due, within bounds."""
    now = app.services.clock.now()
    due = await app.services.ledger.next_due(worker.account, now)
    return min(max((due or now) - now, LONGEST_REST / 10), LONGEST_REST)


async def _add_up(summary: Summary, app: App, worker: AccountWorker) -> None:
    """Add one account to the summary."""
    for kind, states in (await app.services.ledger.counts(worker.account, app.services.clock.now())).items():
        summary.entries[kind] = dict(Counter(summary.entries.get(kind, {})) + Counter(states))
    for (operation, _), count in worker.client.calls.items():
        summary.calls[operation] = summary.calls.get(operation, 0) + count
    for intake in worker.needed:
        summary.open_gaps += len(await intake.find_gaps())
