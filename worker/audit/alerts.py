"""Alerts: tells people once, in the log and on every channel, what audit records say needs a person."""

import asyncio
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from worker.audit.deliveries import NoticeChannels
from worker.ledger.entries import Item
from worker.telemetry import Log, Observer
from worker.wording import explain_refusal

if TYPE_CHECKING:
    from collections.abc import Callable

LOST = (
    "a record of {record.source} cannot be read, so no rule has judged it: {record.why}; "
    "the worker tries it again, and worker gaps lists it"
)
HALF_HEARD = "a record of {record.source} has an {record.why}; look at such mail, and update the worker"


class AuditRecord(msgspec.Struct, frozen=True):
    """The fields of an audit record that alerts need; empty where a record has none."""

    account: str
    at: str = ""
    verb: str = ""
    source: str = ""
    gap: str = ""
    entry: str = ""
    target: str = ""
    cause: str = ""
    item: str = ""
    rules: tuple[tuple[str, ...], ...] = ()
    """Name and fingerprint of each."""
    who: str = ""
    because: str = ""
    why: str = ""
    said: str = ""


class Alerts:
    """Alerts people when all mailboxes refuse, a proof is contradicted, a rule fails, or a limit is spent.

    So they are when a record cannot be read, or has an unknown verdict: of each, once an hour for each source.
    """

    def __init__(self, log: Log, observer: Observer, channels: NoticeChannels) -> None:
        """Begin with nothing told: after a restart, what still lasts is told once more."""
        self._log, self._observer, self._channels = log, observer, channels
        self._notices: dict[str, deque[str]] = {channel: deque() for channel in sorted(channels.names)}
        self._failing: set[tuple[tuple[str, ...], ...]] = set()
        self._spent: set[str] = set()
        self._unread: dict[tuple[str, str, bool], str] = {}
        self._tell: dict[str, Callable[[AuditRecord], None]] = {
            "circuit opened": self._tell_circuit,
            "drift": self._tell_drift,
            "rule failed": self._tell_failing_rule,
            "postponed": self._tell_spent_limit,
            "broken record": self._tell_unreadable,
        }

    def take(self, line: bytes) -> None:
        """Log the alert that a record calls for, and keep its notice for ``send``."""
        record = _decode(line)
        if tell := self._tell.get(record.verb):
            tell(record)

    @property
    def orders(self) -> tuple[str, ...]:
        """The channels, each of which is sent its notices by itself, so that one that hangs delays no other."""
        return tuple(self._notices)

    async def send_all(self) -> None:
        """Send the notices to every channel, side by side."""
        await asyncio.gather(*map(self.send, self._notices))

    async def send(self, channel: str) -> None:
        """Send a channel its notices, and log each that it did not take."""
        waiting = self._notices[channel]
        while waiting:
            try:
                await self._channels.notify(channel, waiting.popleft())
            except Exception as error:  # noqa: BLE001 (a channel is other people's code)
                self._log.warning("a notice was not taken", channel=channel, problem=explain_refusal(channel, error))

    def _notify(self, text: str) -> None:
        for waiting in self._notices.values():
            waiting.append(text)

    def _tell_circuit(self, record: AuditRecord) -> None:
        """Alert when all mailboxes refuse."""
        self._log.error("mail is not moved", account=record.account, because=record.because)
        self._notify(
            f"{record.account}: mail is not moved, and goes on waiting: {record.because}; look at the integration in "
            "Cloudflare's dashboard"
        )

    def _tell_drift(self, record: AuditRecord) -> None:
        """Alert when a proved effect is contradicted."""
        self._observer.on_drift()
        self._log.error("what was proved is contradicted", entry=record.entry, target=record.target, why=record.why)
        self._notify(f"{record.account}: entry {record.entry} on {record.target}: {record.why}; check it by hand")

    def _tell_failing_rule(self, record: AuditRecord) -> None:
        """Alert when a rule begins to fail; a metric counts how often it does."""
        if record.rules not in self._failing:
            self._failing.add(record.rules)
            self._log.warning("a rule failed", rule=record.rules[0][0], on=record.cause, problem=record.why)

    def _tell_spent_limit(self, record: AuditRecord) -> None:
        """Log when entries begin to wait because a limit is spent; people are called to them as to all that waits."""
        item = Item.parse(record.item)
        if item.kind != "limit" or item.name in self._spent:
            return
        self._spent.add(item.name)
        lists = "worker waiting lists the entries beyond it, which wait for a person"
        self._log.warning("a limit is spent", account=record.account, rule=item.of, because=record.said, then=lists)

    def _tell_unreadable(self, record: AuditRecord) -> None:
        """Alert when a record cannot be read, once an hour for each source; ``worker gaps`` lists all of them."""
        hour, spot = record.at[: len("2026-11-20T17")], (record.account, record.source, bool(record.gap))
        if self._unread.get(spot) == hour:
            return
        self._unread[spot] = hour
        account, source, why = record.account, record.source, record.why
        if record.gap:
            self._log.warning("a record cannot be read", account=account, source=source, why=why)
        else:
            self._log.warning("a record has an unknown verdict", account=account, source=source, why=why)
        self._notify(f"{record.account}: {(LOST if record.gap else HALF_HEARD).format(record=record)}")


_decode = msgspec.json.Decoder(AuditRecord).decode
