"""Web: liveness, readiness and metrics over HTTP."""

from worker.web.server import PATHS, Readiness, check_address, serve

__all__ = ["PATHS", "Readiness", "check_address", "serve"]
