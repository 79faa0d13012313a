"""Notifiers: deliver notices to channels; a channel is a URL that apprise knows, or log:// for the operations log."""

import asyncio
import logging
import re
import warnings
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from worker.errors import SettingsError, Temporary

Send = Callable[[str], Awaitable[None]]
"""Delivers one notice; raises Temporary when it was not taken."""
LOG = "log://"
TITLE = "Email Security worker"
STEERING = re.compile(r"(\](?=\()|<(?=[@#!])|@(?=(?:everyone|here|channel|all)(?![\w-]|\.\w)))", re.IGNORECASE)
"""What some chats take for a link under another text, or for a call to everybody; strangers write it in subjects."""


class Channels:
    """Channels by name. A notice that was not taken is tried again by the caller, so it arrives at least once."""

    def __init__(self, sends: Mapping[str, Send]) -> None:
        """``sends`` delivers to each channel."""
        self._sends = dict(sends)

    @property
    def names(self) -> frozenset[str]:
        """The channels that rules may name."""
        return frozenset(self._sends)

    async def notify(self, channel: str, text: str) -> None:
        """Deliver a notice; raises Temporary when the channel did not take it, or is not set up (any more)."""
        if channel not in self._sends:
            raise Temporary(f"channel {channel!r} has no address: set WORKER_NOTIFY_{channel.upper()}", after=300)
        await self._sends[channel](text)

    async def broadcast(self, text: str) -> dict[str, Exception]:
        """Deliver a notice to every channel; return the errors of those that did not take it."""
        errors: dict[str, Exception] = {}
        for channel in self._sends:
            try:
                await self.notify(channel, text)
            except Exception as error:  # noqa: BLE001 (a channel is other people's code)
                errors[channel] = error
        return errors


def open_channels(addresses: Mapping[str, str], log: Callable[[str, str], None]) -> Channels:
    """Open each channel; ``log`` takes (channel, text). Raises SettingsError for an address that apprise rejects.

    The address is never shown: it often holds a password.
    """
    return Channels({channel: _open_channel(channel, address, log) for channel, address in addresses.items()})


def _open_channel(channel: str, address: str, log: Callable[[str, str], None]) -> Send:
    """Open one channel."""
    if address == LOG:

        async def to_log(text: str) -> None:
            log(channel, _join_lines(text))

        return to_log
    return _send_by_apprise(channel, _open_apprise(channel, address))


def _join_lines(text: str) -> str:
    """Join the lines of a notice with bars; a bar inside a line is escaped, so that it cannot end one."""
    return " | ".join(line.removeprefix("- ") for line in text.replace("|", "\\u007C").split("\n"))


def _open_apprise(channel: str, address: str) -> Any:  # noqa: ANN401 (the library has no types)
    """Give the address to apprise. It is imported only here: it is large, and many installations do not need it."""
    import apprise  # noqa: PLC0415

    service, library = apprise.Apprise(), logging.getLogger("apprise")
    with warnings.catch_warnings():
        # The first address makes apprise load all its services; one of them imports a module that Python deprecates.
        warnings.simplefilter("ignore", DeprecationWarning)
        library.disabled = True  # it would log the address, which often holds a password
        known = service.add(address)
        library.disabled = False
    if not known:
        raise SettingsError(
            f"WORKER_NOTIFY_{channel.upper()} is not an address apprise knows: write one such as "
            "slack://…, mailto://…, json://host/path, or log://"
        )
    return service


def _send_by_apprise(channel: str, service: Any) -> Send:  # noqa: ANN401 (the library has no types)
    """Return what sends through apprise, in a thread, since apprise blocks."""

    async def send(text: str) -> None:
        plain = STEERING.sub(r"\1 ", text)
        if not await asyncio.to_thread(service.notify, body=plain, title=TITLE, body_format="text"):
            raise Temporary(f"channel {channel!r} did not take the notice: check that its address still works")

    return send
