"""The operations of the API: each handler answers one call in an account."""

from collections.abc import Callable

from worker.sandbox.account.account import AccountState
from worker.sandbox.wire import Call, OutgoingResponse

Handler = Callable[[AccountState, Call], OutgoingResponse]
