"""The review of blocks from before it was kept what a mail proved: first the mails that are still there are read."""

from contextlib import suppress

from worker.api import Urgency
from worker.errors import Permanent
from worker.judging.people import read_people
from worker.judging.services import AccountServices
from worker.ledger.entries import Entry
from worker.ledger.values import EventKey
from worker.observations import read_message

MOST = 1_000
"""Mails that are read; about what further ones asked for, a person is asked at once."""
DONE = 86_400.0


class BlockReview:
    """Asks a person once about the standing blocks of an account of which no mail proves the pattern."""

    def __init__(self, services: AccountServices) -> None:
        self._account, self._ledger, self._clock = services.account, services.ledger, services.clock
        self._client, self._contact = services.client, services.contact

    async def step(self) -> float:
        """Read what asked for the blocks in doubt, and ask about those that it does not prove; return a long pause."""
        await self._contact()
        doubted = await self._ledger.review_blocks(self._account, self._clock.now())
        proofs = {entry.id: await self._read_proof(entry) for entry in doubted[:MOST]}
        await self._ledger.review_blocks(self._account, self._clock.now(), proofs)
        return DONE

    async def _read_proof(self, entry: Entry) -> str:
        """Return what the mail proves that asked for a block; empty when it is not there any more, or no mail."""
        cause = EventKey.parse(entry.cause)
        if cause and cause.kind == "Message":
            with suppress(Permanent, ValueError):
                raw = await self._client.investigate.get(cause.id, Urgency.SWEEP)
                return read_people(read_message(raw, self._clock.now())).name_proof(entry.target)
        return ""
