"""Outcomes: counts the actions of each rule that have ended, by what audit records say."""

import msgspec

from worker.ledger.entries import FINAL
from worker.telemetry import Observer


class _Action(msgspec.Struct, frozen=True):
    type: str


class _Step(msgspec.Struct, frozen=True):
    """The fields of an audit record that say whether an action has ended."""

    account: str
    to: str = ""
    action: _Action | None = None
    rules: tuple[tuple[str, ...], ...] = ()
    """Name and fingerprint of each rule that wanted it."""


class Outcomes:
    """Reports every action that ends, once for each rule that wanted it."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def take(self, line: bytes) -> None:
        """Report the end that a record tells of, if it tells of one."""
        step = _decode(line)
        if step.action and step.to in FINAL:
            for name, *_ in step.rules:
                self._observer.on_outcome(step.account, name, step.action.type, step.to)


_decode = msgspec.json.Decoder(_Step).decode
