"""The client for Cloudflare's Email Security API."""

from worker.api.calls import SlowSearch
from worker.api.client import Client
from worker.api.clock import ApiClock, Clock
from worker.api.credential import Credential
from worker.api.envelope import CutShort, RecordPage
from worker.api.operations import OPERATIONS
from worker.api.pacing import Budget, Urgency
from worker.api.transport import HttpTransport, Request, Response, Transport

__all__ = [
    "OPERATIONS",
    "ApiClock",
    "Budget",
    "Client",
    "Clock",
    "Credential",
    "CutShort",
    "HttpTransport",
    "RecordPage",
    "Request",
    "Response",
    "SlowSearch",
    "Transport",
    "Urgency",
]
