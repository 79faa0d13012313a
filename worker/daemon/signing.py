"""Signing: the loop that signs each account's newest audit record, if a key is set."""

from worker.audit.signing import HeadChain
from worker.audit.sinks import ELSEWHERE, ON_STDOUT, Sink, StreamSink, open_sink
from worker.daemon.app import App
from worker.errors import Temporary

EVERY, AFTER_FAILURE = 2.0, 10.0
"""Seconds until the next try."""


class Signing:
    """Signs what is due in every account; what fails is told, and never stops anything else."""

    def __init__(self, app: App, *, streams: bool = True) -> None:
        """Sign with what is set; a single round does not write to stdout, so its heads wait for the next daemon."""
        services = app.services
        self._app, self._metrics = app, services.outlets.metrics
        signer, sinks = services.signer, _open_sinks(app, streams=streams)
        self._chains = {
            worker.account: HeadChain(services.ledger, worker.account, signer, sinks, services.clock.now)
            for worker in (app.workers if signer else ())
            if signer
        }

    async def step(self) -> float:
        """Sign what is due."""
        await self._sign(at_once=False)
        return AFTER_FAILURE if self._app.unsigned else EVERY

    async def end(self) -> None:
        """Sign whatever is not signed yet."""
        await self._sign(at_once=True)

    async def _sign(self, *, at_once: bool) -> None:
        problem = ""
        for account, chain in self._chains.items():
            try:
                await chain.step(self._app.services.clock.monotonic(), at_once=at_once)
            except Temporary as error:
                self._metrics.unsigned.inc()
                problem = str(error)
            self._metrics.signed.labels(account).set(chain.signed)
        self._tell(problem)

    def _tell(self, problem: str) -> None:
        """Log when signing begins to fail, or fails in another way, and when it works again."""
        if problem and problem != self._app.unsigned:
            self._app.log.warning("records are not signed", problem=problem)
        elif self._app.unsigned and not problem:
            self._app.log.info("records are signed again")
        self._app.unsigned = problem


def _open_sinks(app: App, *, streams: bool) -> dict[str, Sink]:
    stream, place = app.services.outlets.records, app.services.settings.audit_heads
    sinks: dict[str, Sink] = {ON_STDOUT: StreamSink(stream)} if streams else {}
    return sinks | ({ELSEWHERE: open_sink(place)} if place else {})
