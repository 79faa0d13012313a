"""The sandbox: a stateful emulator of the Email Security API that knows nothing of the client."""

from worker.sandbox.edge.auth import label
from worker.sandbox.edge.faults import Fault, Faults
from worker.sandbox.options import MailFlow, SandboxOptions
from worker.sandbox.server import serve
from worker.sandbox.wire import IncomingRequest, OutgoingResponse
from worker.sandbox.world import ACCOUNT, World

__all__ = [
    "ACCOUNT",
    "Fault",
    "Faults",
    "IncomingRequest",
    "MailFlow",
    "OutgoingResponse",
    "SandboxOptions",
    "World",
    "label",
    "serve",
]
