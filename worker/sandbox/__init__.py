"""The sandbox: a stateful emulator of the Email Security API that knows nothing of the client."""

from worker.sandbox.auth import label
from worker.sandbox.faults import Fault, Faults
from worker.sandbox.server import serve
from worker.sandbox.switches import Switches
from worker.sandbox.wire import Answer, Request
from worker.sandbox.world import ACCOUNT, World

__all__ = ["ACCOUNT", "Answer", "Fault", "Faults", "Request", "Switches", "World", "label", "serve"]
