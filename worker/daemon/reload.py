"""Reloading: changed rule files come into force together or not at all."""

from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from worker.daemon.app import App
from worker.errors import RuleError
from worker.ledger.records import NewRecord

RULES_EVERY = 1.0


Stamp = tuple[tuple[str, bytes], ...]


def stamp(folder: Path) -> Stamp:
    """Return what changes when a rule file does: its content, as some tools keep time and size.

    Links are followed: a ConfigMap swaps one to change its files.
    """
    found = []
    for path in sorted(folder.glob("*.py")):
        with suppress(OSError):  # gone since it was listed
            found.append((path.name, sha256(path.read_bytes()).digest()))
    return tuple(found)


class RuleWatch:
    """Loads changed rule files; when they are refused, the running rules stay in force."""

    def __init__(self, app: App) -> None:
        """Begin without a stamp: the files may have changed since they were loaded at the start."""
        self._app = app
        self._folder = app.services.settings.rules
        self._taken: Stamp | None = None
        self._seen: Stamp = ()

    async def step(self) -> float:
        """Look at the files, and load them when they have changed and are not changing any more."""
        now = stamp(self._folder)
        settled, self._seen = now == self._seen, now
        if settled and (now != self._taken or self._app.reload_asked):
            self._taken, self._app.reload_asked = now, False
            await self._take_up()
        return RULES_EVERY

    async def _take_up(self) -> None:
        """Load the files; log, measure and record the result."""
        app, metrics = self._app, self._app.services.outlets.metrics
        before = app.services.host.bundle
        try:
            bundle = await app.services.host.load()
        except RuleError as error:
            metrics.refused.set(1)
            app.refused = problem = str(error)
            app.log.warning("rules refused; the ones before go on", problem=problem)
            await app.write(NewRecord("bundle refused", {"why": problem}))
            return
        if bundle is before and not app.refused:
            return  # only times have changed
        metrics.refused.set(0)
        app.refused = ""
        app.log.info("rules taken", generation=bundle.generation, rules=len(bundle.rules))
        for worker in app.workers:  # they may wait for what has been mended
            await app.services.ledger.hasten_held(worker.account, app.services.clock.now())
        await app.write_bundle()
