"""The sandbox: a stateful emulator of the Email Security API that knows nothing of the client."""

from worker.sandbox.edge.auth import label
from worker.sandbox.edge.faults import Fault, Faults
from worker.sandbox.options import MailFlow, SandboxOptions
from worker.sandbox.server import serve
from worker.sandbox.wire import Answer, Request
from worker.sandbox.world import ACCOUNT, World

__all__ = ["ACCOUNT", "Answer", "Fault", "Faults", "MailFlow", "Request", "SandboxOptions", "World", "label", "serve"]
