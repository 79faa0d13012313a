"""Alerts: what a person has to know is told once, in the log and to every channel, from the records as they leave."""

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from worker.ledger.limits import QUEUE
from worker.telemetry import Log, Observer

Broadcast = Callable[[str], Awaitable[Mapping[str, Exception]]]
"""Delivers a notice to every channel, and returns the errors of those that did not take it."""


class AuditRecord(msgspec.Struct, frozen=True):
    """The fields of an audit record that alerts are made of; a record without one has it empty."""

    account: str
    verb: str = ""
    entry: str = ""
    target: str = ""
    cause: str = ""
    item: str = ""
    rules: tuple[tuple[str, ...], ...] = ()
    """Name and fingerprint of each."""
    who: str = ""
    in_lane: str = ""
    because: str = ""
    why: str = ""
    said: str = ""


class Alerts:
    """Tells people that a lane braked itself, a proof is contradicted, a rule fails, or a limit is spent."""

    def __init__(self, log: Log, observer: Observer, broadcast: Broadcast) -> None:
        """Begin with nothing told: a restarted worker may tell once more what still lasts."""
        self._log, self._observer, self._broadcast = log, observer, broadcast
        self._notices: list[str] = []
        self._failing: set[tuple[tuple[str, ...], ...]] = set()
        self._spent: set[str] = set()
        self._tell: dict[str, Callable[[AuditRecord], None]] = {
            "braked": self._tell_brake,
            "drift": self._tell_drift,
            "rule failed": self._tell_failing_rule,
            "postponed": self._tell_spent_limit,
        }

    def take(self, line: bytes) -> None:
        """Log what a record has to tell, and keep the notice for ``send``."""
        record = _decode(line)
        if tell := self._tell.get(record.verb):
            tell(record)

    async def send(self) -> None:
        """Send the notices to every channel; one that does not take it has the log beside it."""
        while self._notices:
            for channel, error in (await self._broadcast(self._notices.pop(0))).items():
                # An error's words may hold the channel's address, which is a secret.
                self._log.warning("a notice was not taken", channel=channel, problem=type(error).__name__)

    def _tell_brake(self, record: AuditRecord) -> None:
        """Tell of a brake that nobody put on."""
        if record.who != "worker":
            return
        self._log.error("a lane braked itself", account=record.account, lane=record.in_lane, because=record.because)
        self._notices.append(
            f"{record.account}: nothing is done in the lane {record.in_lane} any more, since {record.because}; "
            f"mend that, then run worker brake off --lane {record.in_lane}"
        )

    def _tell_drift(self, record: AuditRecord) -> None:
        """Tell of an effect that was proved and is contradicted now."""
        self._observer.on_drift()
        self._log.error("what was proved is contradicted", entry=record.entry, target=record.target, why=record.why)
        self._notices.append(
            f"{record.account}: entry {record.entry} on {record.target}: {record.why}; look at it by hand"
        )

    def _tell_failing_rule(self, record: AuditRecord) -> None:
        """Tell of a rule when it begins to fail; how often it does is counted elsewhere."""
        if record.rules not in self._failing:
            self._failing.add(record.rules)
            self._log.warning("a rule failed", rule=record.rules[0][0], on=record.cause, problem=record.why)

    def _tell_spent_limit(self, record: AuditRecord) -> None:
        """Tell that what is beyond a rule's limit begins to wait; how much that becomes is listed elsewhere."""
        if not record.item.startswith(QUEUE) or record.item in self._spent:
            return
        self._spent.add(record.item)
        rule = record.item.removeprefix(QUEUE).partition("/")[0]
        lists = "worker waiting lists what is beyond it and waits for a person"
        self._log.warning("a limit is spent", account=record.account, rule=rule, because=record.said, then=lists)
        self._notices.append(f"{record.account}: {record.said}; {lists}")


_decode = msgspec.json.Decoder(AuditRecord).decode
