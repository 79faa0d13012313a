"""The path of a message through the mail servers, as lines of their logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.sandbox.content.writing import read_record
from worker.sandbox.wire import Json, format_moment, format_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.sandbox.account.mail import Mail, State
    from worker.sandbox.content.writing import Record

Line = tuple[float, str]
ARRIVES, LEAVES = -2.0, 1.0  # seconds from the scan


def write_trace(mail: Mail, now: float, horizon: float, *, pending: bool, deprecated: bool) -> Json:
    """Return the lines logged by ``now``, of changes only those before ``horizon``; both in epoch seconds."""
    record = read_record(mail)
    return {
        "inbound": _write_lines(_log_inbound(mail, record), now, pending=pending, deprecated=deprecated),
        "outbound": _write_lines(_log_outbound(mail, record, horizon), now, pending=pending, deprecated=deprecated),
    }


def _write_lines(lines: Iterator[Line], now: float, *, pending: bool, deprecated: bool) -> Json:
    logged = [(at, message) for at, message in lines if at <= now]
    told: list[Json] = [
        {
            "lineno": n,
            "logged_at": format_moment(at),
            "message": message,
            **({"ts": format_seconds(int(at))} if deprecated else {}),
        }
        for n, (at, message) in enumerate(logged, 1)
    ]
    return {"lines": told, "pending": pending}


def _log_inbound(mail: Mail, record: Record) -> Iterator[Line]:
    at = mail.scanned + ARRIVES
    yield at, f"connect from mail[{record.smtp_helo_server_ip or 'unknown'}]"
    yield at, f"{mail.postfix}: message-id={record.message_id or '<>'}"
    sender, everybody = record.envelope_from or record.sender or "", record.client_recipients
    yield at, f"{mail.postfix}: from=<{sender}>, nrcpt={len(everybody)} (queue active)"
    for one in everybody:
        yield float(mail.scanned), f"{mail.postfix}: to=<{one}>, relay=scan, status=sent (scanned)"


def _log_outbound(mail: Mail, record: Record, horizon: float) -> Iterator[Line]:
    """Yield a line for each recipient: the message was delivered, or held; and one for each that a release reached."""
    reached: set[str] = set()
    for place, (since, state) in enumerate(_list_states(mail, horizon)):
        if place == 0:
            status = "held (quarantine)" if state.quarantined else "sent (250 2.0.0 OK)"
            yield from _log_deliveries(mail, record.client_recipients, mail.scanned + LEAVES, status)
        fresh = tuple(one for one in state.released if one not in reached)
        reached.update(fresh)
        yield from _log_deliveries(mail, fresh, since, "sent (released from quarantine)")


def _log_deliveries(mail: Mail, everybody: tuple[str, ...], at: float, status: str) -> Iterator[Line]:
    return ((at, f"{mail.postfix}: to=<{one}>, relay=mailbox, status={status}") for one in everybody)


def _list_states(mail: Mail, horizon: float) -> list[tuple[float, State]]:
    return [one for one in (*mail.past, (mail.since, mail.value)) if one[0] <= horizon]
