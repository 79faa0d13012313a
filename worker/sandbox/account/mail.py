"""A message: the part that never changes is encoded once, the part that changes is a small state."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from operator import attrgetter
from typing import cast

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from worker.sandbox.account.timeline import Timeline
from worker.sandbox.wire import Json, format_moment, format_seconds

DAY = 86400.0
QUARANTINE = "Quarantine"
PURGED = "RecoverableItemsPurges"
DESTINATIONS = frozenset({"Inbox", "JunkEmail", "DeletedItems", "RecoverableItemsDeletions", PURGED})
# The dispositions that a search may ask for, and those that a message may have.
SIX = frozenset({"MALICIOUS", "SUSPICIOUS", "SPOOF", "SPAM", "BULK", "NONE"})
TEN = SIX | {"MALICIOUS-BEC", "ENCRYPTED", "EXTERNAL", "UNKNOWN"}
DELIVERIES = frozenset(
    {"delivered", "moved", "quarantined", "rejected", "deferred", "bounced", "queued", "move_failed"}
)

# What an action log, or an item of an answer, says about an attempt.
DONE = "OK"
AUTO_MOVE = "auto-move"
NOT_FOUND = "ErrorItemNotFound: the message is not in the mailbox"
QUARANTINED = "the message is in quarantine"
NOT_HELD = "the message is not in quarantine"
NO_MAILBOX = "MailboxNotEnabledForRESTAPI: the mailbox is inactive, soft-deleted or hosted elsewhere"
NO_INTEGRATION = "no integration with write access for this mailbox"
NO_SOFT_DELETE = "RecoverableItemsDeletions is not available for Google Workspace"
PROVIDER = "ErrorServerBusy: the mailbox provider refused the move"


class State(Struct, frozen=True):
    """What changes in the life of a message; ``released`` names the recipients a partial release has reached."""

    disposition: str
    folder: str
    quarantined: bool
    delivery: tuple[str, ...]
    operations: tuple[str, ...] | None = None
    log: tuple[Json, ...] = ()
    released: tuple[str, ...] = ()

    def record_submission(self, at: float, by: str, status: str, disposition: str, ident: str) -> State:
        """Return the state after somebody asked for another verdict by the submission ``ident``."""
        asked = {"requested_disposition": disposition, "submission_id": ident, "submission_type": "Team"}
        entry = log_entry("RECLASSIFY", at, status, by, **asked)
        return replace(self, operations=_add_operation(self.operations, "SUBMISSION"), log=(*self.log, entry))

    def record_preview(self, at: float, by: str, status: str = "OK") -> State:
        """Return the state after somebody asked for a picture; with a status other than OK there was none."""
        after = replace(self, log=(*self.log, log_entry("PREVIEW", at, status, by)))
        return replace(after, operations=_add_operation(self.operations, "PREVIEW")) if status == "OK" else after


def log_entry(operation: str, at: float, status: str, by: str, folder: str | None = None, **asked: str) -> Json:
    """Write one entry of a message's action log; ``asked`` tells of a request for another verdict."""
    when, none = format_moment(at), dict.fromkeys(("requested_disposition", "submission_id", "submission_type"))
    service = AUTO_MOVE if by == "auto" else None
    properties = {"folder": folder, "requested_by": by, "service": service, **none, **asked}
    entry: Json = {"started_at": when, "completed_at": when, "operation": operation}
    return entry | {"status": status, "success": status == DONE, "properties": properties}


def write_old_log(log: tuple[Json, ...], *, deprecated: bool = True) -> list[Json]:
    """Return an action log as it was before it had pages, with or without the field that is past its end of life."""
    old = ("completed_timestamp",) if deprecated else ()
    return [_write_old_entry(entry) | dict.fromkeys(old, entry["completed_at"]) for entry in log]


def _write_old_entry(entry: Json) -> Json:
    details, known = cast("Json", entry["properties"]), ("completed_at", "operation", "status")
    properties = {name: details[name] for name in ("folder", "requested_by")}
    return {"properties": properties, **{name: entry[name] for name in known}}


def apply_move(state: State, folder: str, delivery: tuple[str, ...], log: tuple[Json, ...]) -> State:
    """Return the state after a move that reached at least one recipient."""
    operations = _add_operation(state.operations, "MOVE")
    return replace(state, folder=folder, delivery=delivery, operations=operations, log=(*state.log, *log))


def apply_release(state: State, everybody: tuple[str, ...], reached: tuple[str, ...], entry: Json) -> State:
    """Return the state after a release; in quarantine until everybody was reached."""
    after = replace(state, released=tuple(dict.fromkeys((*state.released, *reached))), log=(*state.log, entry))
    if not after.released:
        return after
    after = replace(after, operations=_add_operation(state.operations, "QUARANTINE_RELEASE"))
    if set(after.released) != set(everybody):
        return replace(after, delivery=("delivered", "quarantined"))
    return replace(after, delivery=("delivered",), quarantined=False, folder="Inbox")


def _add_operation(operations: tuple[str, ...] | None, operation: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*(operations or ()), operation)))


@lru_cache(maxsize=4096)
def first_state(disposition: str, *, quarantined: bool, folder: str = "Inbox") -> State:
    """Return the state of a new message; equal states are one object, to save memory."""
    delivery = "quarantined" if quarantined else "delivered"
    return State(disposition, QUARANTINE if quarantined else folder, quarantined, (delivery,))


# A page holds up to a thousand messages in few states, so each state is encoded once.
@lru_cache(maxsize=4096)
def _encode_tail(
    disposition: str, delivery: tuple[str, ...], operations: tuple[str, ...] | None, *, quarantined: bool
) -> bytes:
    changing = {
        "final_disposition": disposition,
        "is_quarantined": quarantined,
        "delivery_status": delivery,
        "post_delivery_operations": operations,
    }
    return b"," + msgspec.json.encode(changing)[1:]


class Fixed(Struct, frozen=True, rename={"sender": "from"}):
    """The fields of the fixed part that filters and effects need."""

    client_recipients: tuple[str, ...] = ()
    detection_reasons: tuple[str, ...] = ()
    envelope_from: str | None = None
    from_name: str | None = None
    is_phish_submission: bool = False
    message_id: str | None = None
    replyto: str | None = None
    sender: str | None = None
    smtp_helo_server_ip: str | None = None
    smtp_previous_hop_ip: str | None = None
    subject: str | None = None
    to_name: tuple[str, ...] | None = None
    validation: Json | None = None
    x_originating_ip: str | None = None


_read = msgspec.json.Decoder(Fixed).decode


class Mail(Timeline[State]):
    """One message: its encoded fixed part without the closing brace, and the timeline of its state.

    The timeline begins when the index first knows the message, which may be later than ``scanned``. ``original`` is the
    text of a real message; an invented one is written again whenever somebody asks.
    """

    __slots__ = ("first", "head", "id", "kind", "links", "original", "scanned")

    def __init__(self, fields: Json, scanned: int, indexed: float, state: State) -> None:
        """Encode ``fields``: the documented ones that never change."""
        super().__init__(indexed, state)
        self.id = str(fields["id"])
        self.head = msgspec.json.encode(fields)[:-1]
        self.scanned = scanned
        self.first = indexed
        self.kind = ""
        self.links: tuple[str, ...] = ()
        self.original = b""

    @property
    def now(self) -> State:
        """The true state, whatever a read shows."""
        return self.value

    @property
    def postfix(self) -> str:
        """The first part of the id."""
        return self.id.split("-", 1)[0]

    @property
    def stored(self) -> bool:
        """Whether the body was kept, as it is only for what was a detection from the start."""
        first = self.past[0][1] if self.past else self.value
        return first.disposition != "NONE"

    def read_fixed(self) -> Fixed:
        """Decode the fixed part. This is slow, so filters that need it come last."""
        return _read(self.head + b"}")

    def encode(self, state: State, *, deprecated: bool = False) -> bytes:
        """Join the fixed part and one state into the message as the API shows it."""
        tail = _encode_tail(state.disposition, state.delivery, state.operations, quarantined=state.quarantined)
        if not deprecated:
            return self.head + tail
        old = {"ts": format_seconds(self.scanned), "findings": None, "action_log": write_old_log(state.log)}
        return self.head + b"," + msgspec.json.encode(old)[1:-1] + tail


SCAN_TIME = attrgetter("scanned")
"""The key by which the messages of an account are sorted."""
Test = Callable[[Mail, State], bool]
"""Tells whether a search finds a message in a state."""
