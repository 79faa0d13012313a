"""Loopback: addresses that never leave this machine."""

from contextlib import suppress
from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine itself."""
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host.lower() == "localhost"
