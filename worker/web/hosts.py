"""Hosts: by which names the web server may be called.

A page in somebody's browser can send its requests here, once its own name leads to this address; the Host header still
has that public name then.
"""

from collections.abc import Collection
from contextlib import suppress
from ipaddress import ip_address

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

IN_CLUSTER = (".svc", ".svc.cluster.local")
"""Names of services in Kubernetes, which nobody can register."""


def is_ours(host: str, hosts: Collection[str]) -> bool:
    """Tell whether a Host header names an IP address, a name that cannot be public, or one of ``hosts``."""
    name = host.lower()
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") == 1:
        name = name.partition(":")[0]
    with suppress(ValueError):
        ip_address(name)
        return True
    return "." not in name or name.endswith(IN_CLUSTER) or name in hosts


def check_host(hosts: Collection[str], always: Collection[str]) -> Middleware:
    """Make what refuses requests for another host; the paths in ``always`` answer whatever it is."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in always or is_ours(request.headers.get("Host", ""), hosts):
            return await handler(request)
        return web.json_response(
            {"error": "this worker does not know itself by that host: add the name to WORKER_HOSTS"}, status=421
        )

    return check
