"""Health, readiness and metrics for machines that watch the worker."""

from worker.web.server import PATHS, Readiness, check_address, serve

__all__ = ["PATHS", "Readiness", "check_address", "serve"]
