"""Health, readiness and metrics for machines that watch the worker."""

from worker.web.server import PATHS, Readiness, free, serve

__all__ = ["PATHS", "Readiness", "free", "serve"]
