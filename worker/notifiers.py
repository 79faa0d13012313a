"""Notifiers: deliver notices to channels; a channel is a URL that apprise knows, or log:// for the operations log."""

import asyncio
import logging
import re
import warnings
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from functools import partial
from threading import Thread
from typing import Any

from worker.errors import SettingsError, Temporary
from worker.escaping import DOTS, defang

Send = Callable[[str], Awaitable[None]]
"""Delivers one notice; raises Temporary when it was not taken."""
LOG = "log://"
TITLE = "Email Security worker"
DEADLINE = 30.0
"""Seconds that a channel has to take a notice."""
HANGS = "did not answer whole in {seconds:g} s: see what its server does"
REFUSES = "did not take the notice: check that its address still works and its server answers"
STEERING = re.compile(r"(\](?=\()|<(?=[@#!])|@(?=everyone|here|(?:channel|all)(?![a-z0-9])))", re.IGNORECASE)
"""What some chats take for a link under another text, or for a call to everybody; strangers write it in subjects."""


NAME = re.compile(rf"(?<=[^\W\d_])[{DOTS}](?=\w)|(?<=\w)[{DOTS}](?=[^\W\d_])")
"""The dot in a name of a host, of which chats make a link even without a scheme."""
MARKDOWN = frozenset({"discord", "mmost", "mmosts", "revolt", "rocket", "rockets"})
"""Services by their scheme that format what they are given, and take a backslash for: not this character."""
FORMATTING = re.compile(r"([\\`*_~|>#\[\]()])")


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


def open_channels(
    addresses: Mapping[str, str], log: Callable[[str, str], None], *, deadline: float = DEADLINE
) -> Channels:
    """Open each channel; ``log`` takes (channel, text). Raises SettingsError for an address that apprise rejects.

    The address is never shown: it often holds a password.
    """
    opened = {channel: _open_channel(channel, address, log, deadline) for channel, address in addresses.items()}
    return Channels(opened)


def disarm(text: str, scheme: str = "") -> str:
    """Return a notice that calls nobody, links nowhere and is not formatted, whatever strangers wrote into it.

    ``scheme`` is that of the channel's address.
    """
    plain = NAME.sub(r"[\g<0>]", defang(STEERING.sub(r"\1 ", text)))
    return FORMATTING.sub(r"\\\1", plain) if scheme in MARKDOWN else plain


def _open_channel(channel: str, address: str, log: Callable[[str, str], None], deadline: float) -> Send:
    """Open one channel."""
    if address == LOG:

        async def to_log(text: str) -> None:
            log(channel, _join_lines(text))

        return to_log
    service, scheme = _open_apprise(channel, address), address.partition("://")[0].lower()
    return _AppriseChannel(channel, service, deadline, partial(disarm, scheme=scheme)).send


def _join_lines(text: str) -> str:
    """Join the lines of a notice with bars; a bar inside a line is escaped, so that it cannot end one."""
    return " | ".join(line.removeprefix("- ") for line in text.replace("|", "\\u007C").split("\n"))


def _open_apprise(channel: str, address: str) -> Any:  # noqa: ANN401 (the library has no types)
    """Give the address to apprise. It is imported only here: it is large, and many installations do not need it."""
    import apprise  # noqa: PLC0415

    # In whose thread it is called: in one of its own pool, which Python waits for, the worker could not end.
    here = apprise.AppriseAsset(async_mode=False, service_timeout=0)
    service, library = apprise.Apprise(asset=here), logging.getLogger("apprise")
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


class _AppriseChannel:
    """A channel behind apprise, which blocks, and may hang: one call at a time, in a thread that nobody waits for."""

    def __init__(
        self,
        channel: str,
        service: Any,  # noqa: ANN401 (the library has no types)
        deadline: float,
        prepare: Callable[[str], str],
    ) -> None:
        self._channel, self._service, self._deadline, self._prepare = channel, service, deadline, prepare
        self._turn = asyncio.Lock()
        self._call: asyncio.Future[bool | Exception] | None = None

    async def send(self, text: str) -> None:
        """Deliver a notice; raises Temporary when it was not taken in time, at once while an earlier call hangs."""
        async with self._turn:
            if self._call is None or self._call.done():
                self._call = _call_in_thread(partial(self._notify, self._prepare(text)))
                await asyncio.wait({self._call}, timeout=self._deadline)
            taken = self._call.result() if self._call.done() else None
        if isinstance(taken, Exception):
            raise taken
        if not taken:
            how = HANGS.format(seconds=self._deadline) if taken is None else REFUSES
            raise Temporary(f"channel {self._channel!r} {how}")

    def _notify(self, text: str) -> bool:
        return bool(self._service.notify(body=text, title=TITLE, body_format="text"))


def _call_in_thread(call: Callable[[], bool]) -> "asyncio.Future[bool | Exception]":
    """Call in a thread of its own: one of the pool that hangs would keep others waiting, and the worker from ending."""
    came: Future[bool | Exception] = Future()

    def run() -> None:
        try:
            came.set_result(call())
        except Exception as error:  # noqa: BLE001 (a channel is other people's code)
            came.set_result(error)

    Thread(target=run, daemon=True).start()
    return asyncio.wrap_future(came)
