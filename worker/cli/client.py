"""An API client for the few questions of a command, while a person waits for the answers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from worker.api import ApiClock, Budget, Client, HttpTransport
from worker.daemon.opening import make_credential
from worker.errors import Temporary

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from worker.settings import Account, Settings

PATIENCE = 30.0
"""Seconds for one question."""
SOON = 0.1
"""Seconds until a question that failed is asked again."""
BUSY = (
    f"no answer came within {PATIENCE:g} s: the API is slow, or others have spent the request budget; "
    "try again in five minutes"
)
T = TypeVar("T")


class _Impatient(Client):
    """A client that asks again at once what failed; a search that the API still works on keeps its own pace."""

    def _choose_pause(self, state: "RetryCallState") -> float:
        return min(super()._choose_pause(state), SOON)


@asynccontextmanager
async def open_client(settings: "Settings", account: "Account", clock: ApiClock | None = None) -> AsyncIterator[Client]:
    """Open a client for an account."""
    clock = clock or ApiClock()
    async with HttpTransport(settings.base_url, make_credential(account), settings.request_timeout) as transport:
        yield _Impatient(transport, Budget(clock, *settings.budget, settings.budget_share), clock, account.id)


async def wait_for(question: Awaitable[T]) -> T:
    """Wait for one answer as long as a person would; raises Temporary when it takes longer."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await question
    except TimeoutError:
        raise Temporary(BUSY) from None
