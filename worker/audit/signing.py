"""Signing: says over and over, where nobody can take it back, which audit record is the last one."""

from collections.abc import Callable, Mapping

from worker.audit.heads import SignedHead, find_last, hash_head, seal
from worker.audit.signers import Signer
from worker.audit.sinks import ON_STDOUT, Sink
from worker.errors import Temporary
from worker.ledger.heads import KeptHead, Newest
from worker.ledger.ledger import Ledger
from worker.ledger.records import NOTHING, instant

EVERY, AT_MOST = 60.0, 1000
"""Seconds, and records, after the first record not covered yet, until a head is made."""


class HeadChain:
    """Signs the newest record of one account, and hands each head to every sink, in order and at least once."""

    def __init__(
        self, ledger: Ledger, account: str, signer: Signer, sinks: Mapping[str, Sink], clock: Callable[[], float]
    ) -> None:
        """Continue after the last head in the ledger; ``clock`` says what time it is, for people."""
        self._ledger, self._account, self._signer, self._sinks, self._clock = ledger, account, signer, sinks, clock
        self._kept: list[KeptHead] | None = None
        self._since: float | None = None
        self.signed = 0
        """The newest record that is signed."""

    async def step(self, now: float, *, at_once: bool = False) -> None:
        """Sign what is due, or everything, and hand on what is signed; ``now`` counts seconds from any moment.

        Raises Temporary, with what to do, when the signer or a sink fails; a later head covers what this one would.
        """
        kept = await self._recall()
        newest = await self._ledger.find_newest(self._account)
        if newest and self._is_due(newest, now, at_once=at_once):
            await self._sign(kept, newest)
        await self._hand_on(kept)

    async def _recall(self) -> list[KeptHead]:
        if self._kept is None:
            self._kept = list(await self._ledger.list_heads(self._account))
            last = find_last(self._kept)
            self.signed = last.number if last else 0
        return self._kept

    def _is_due(self, newest: Newest, now: float, *, at_once: bool) -> bool:
        """Tell whether the first record that is not signed has waited long enough, or is one of many."""
        behind = newest.number - self.signed
        if behind < 0:
            raise Temporary(
                f"record {self.signed} was signed and is not in the ledger any more: see `worker audit verify`"
            )
        if behind == 0:
            self._since = None
            return False
        self._since = now if self._since is None else self._since
        return at_once or behind >= AT_MOST or now - self._since >= EVERY

    async def _sign(self, kept: list[KeptHead], newest: Newest) -> None:
        last, before = (kept[-1] if kept else None), find_last(kept)
        head = SignedHead(
            account=self._account,
            at=instant(self._clock()),
            hash=newest.hash,
            head=last.number + 1 if last else 1,
            key=self._signer.key,
            number=newest.number,
            previous=hash_head(last.line) if last else NOTHING,
            recorded=instant(newest.at),
            succession=None if before and before.key == self._signer.key else self._signer.succession,
        )
        body = head.to_body()
        made = KeptHead(head.head, seal(body, await self._signer.sign(body)))
        await self._ledger.keep_head(self._account, made)
        kept.append(made)
        self.signed, self._since = newest.number, None

    async def _hand_on(self, kept: list[KeptHead]) -> None:
        """Give every sink what it has not taken; then only the last head is kept."""
        problem = ""
        for name, sink in self._sinks.items():
            problem = await self._fill(name, sink, kept) or problem
        if problem:
            raise Temporary(problem)
        if ON_STDOUT in self._sinks and len(kept) > 1:  # a single round keeps them for the next daemon's stdout
            await self._ledger.forget_heads(self._account, kept[-1].number)
            del kept[:-1]

    async def _fill(self, name: str, sink: Sink, kept: list[KeptHead]) -> str:
        """Give one sink what it has not taken; return what stands in the way."""
        taken = await self._ledger.cursor(self._account, name) if kept else 0
        for head in (head for head in kept if head.number > taken):
            try:
                await sink.write(head.line)
            except OSError as error:
                return f"signed heads cannot be written to {name} ({error.strerror or error}): they wait in the ledger"
            await self._ledger.keep_cursor(self._account, name, head.number)
        return ""
